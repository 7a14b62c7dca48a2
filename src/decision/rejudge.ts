/**
 * What another policy would have made of a decision that is on record. It re-judges what depends on the policy: entitlements of
 * its data, its answer, the guard's rules over that answer. What was decided before it was asked (credential, endings, grants)
 * and after it (uses, deadlines, facts that changed) is taken from the record; where something after the policy denied, it
 * denies again.
 *
 * Not re-judged: grants that the recorded policy had no entitlement for (their records are not in the log), and what the
 * gateway's protocol has no words for.
 */
import type { Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';
import { allowFault } from './guard.ts';
import type { PolicyOutcome } from './ports.ts';
import type { DecisionRecord } from './record.ts';
import { observable } from './standing.ts';
import { EMPTY_SHAPING, readVerdict } from './verdict.ts';

export type Recorded = Pick<DecisionRecord, 'input' | 'policy' | 'standing' | 'result' | 'now'>;

/** What the policy is to be asked again. */
export interface AskedAgain {
  readonly input: JsonObject;
  readonly now: Instant;
  /** Grants that no longer count: the other policy's data has not their entitlement. */
  readonly withdrawn: readonly string[];
}

export interface Answer {
  readonly allow: boolean;
  readonly reason?: Reason;
  readonly grant?: string;
  readonly standing?: string;
  readonly wouldDeny?: Reason;
}

/** What configuration lets a policy do. */
export interface Envelope {
  readonly policyMaySet: readonly string[];
  readonly obligations: readonly string[];
}

const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');

const objectsIn = (value: JsonValue | undefined): readonly JsonObject[] => (Array.isArray(value) ? value.filter((item): item is JsonObject => isJsonObject(item)) : []);

/** The policy's outcome as recorded; `undefined` when it was not asked. */
export const recordedOutcome = ({ policy: { result, fault } }: Pick<Recorded, 'policy'>): PolicyOutcome | undefined => {
  if (fault === 'policy.undefined') return { kind: 'undefined' };
  if (fault === 'policy.quarantined') return undefined;
  if (fault?.startsWith('policy.') === true) return { kind: 'failed', reason: fault as Extract<Reason, `policy.${string}`>, detail: '' };
  return result === undefined ? undefined : { kind: 'value', value: result };
};

/** The recorded input as the other policy would be given it; `undefined` when none was recorded. */
export const askAgain = (record: Recorded, hasEntitlement: (id: string) => boolean): AskedAgain | undefined => {
  const { input } = record;
  const curfew = input?.['curfew'];
  if (input === undefined || !isJsonObject(curfew) || typeof curfew['now_ms'] !== 'number') return undefined;
  const now = curfew['now_ms'] as Instant;
  const grants = objectsIn(curfew['grants']);
  const gone = grants.filter(({ entitlement }) => typeof entitlement === 'string' && !hasEntitlement(entitlement));
  if (gone.length === 0) return { input, now, withdrawn: [] };
  const left = grants.filter((grant) => !gone.includes(grant));
  const tasks = objectsIn(curfew['tasks']).filter(({ id }) => left.some(({ task }) => task === id));
  return { input: { ...input, curfew: { ...curfew, grants: left, tasks } }, now, withdrawn: gone.map(({ id }) => textOf(id)) };
};

export const recordedAnswer = ({ result }: Pick<Recorded, 'result'>): Answer => {
  const { allow, reason, grant, standing, wouldDeny } = result;
  if (!allow) return { allow, ...(reason === undefined ? {} : { reason }) };
  return { allow, ...(grant === undefined ? {} : { grant }), ...(standing === undefined ? {} : { standing }), ...(wouldDeny === undefined ? {} : { wouldDeny }) };
};

export const sameAnswer = (a: Answer, b: Answer): boolean =>
  a.allow === b.allow && a.reason === b.reason && a.grant === b.grant && a.standing === b.standing && a.wouldDeny === b.wouldDeny;

/** Conditions 3 and 4 and the guard, over what a policy said. */
const conclude = (record: Recorded, { input, withdrawn }: AskedAgain, outcome: PolicyOutcome, envelope: Envelope): Answer => {
  const { curfew } = input as { readonly curfew: JsonObject };
  const { standing } = record;
  const denied = (reason: Reason): Answer =>
    standing?.observe === true && observable(reason, { identity: 'optional' })
      ? { allow: true, standing: standing.id, wouldDeny: reason }
      : { allow: false, reason };
  const live = objectsIn(curfew['grants']).map(({ id }) => textOf(id));
  const excuse = typeof curfew['standing'] === 'string' ? curfew['standing'] : undefined;
  if (live.length === 0 && excuse === undefined) {
    return denied(withdrawn.length > 0 ? 'grant.entitlement' : (record.result.reason ?? record.result.wouldDeny ?? 'grant.none'));
  }
  if (outcome.kind === 'undefined') return denied('policy.undefined');
  if (outcome.kind === 'failed') return denied(outcome.reason);
  const read = readVerdict(outcome.value);
  if (!read.ok) return denied(read.reason);
  const { yes, grant, shaping } = read.verdict;
  if (!yes) return denied('policy.denied');
  if (grant !== undefined && !live.includes(grant)) return denied('policy.malformed');
  const fault = allowFault(shaping, envelope.obligations, envelope.policyMaySet);
  if (fault !== undefined) return denied(fault);
  const relied = grant ?? live[0];
  return relied === undefined ? { allow: true, ...(excuse === undefined ? {} : { standing: excuse }) } : { allow: true, grant: relied };
};

/** What left with the recorded answer was within the envelope, whatever it is. */
const widened = (record: Recorded, envelope: Envelope): Envelope => {
  const { result } = record.policy;
  if (!record.result.allow || record.result.wouldDeny !== undefined || result === undefined) return envelope;
  const read = readVerdict(result);
  const { headers, removeHeaders, setQuery, removeQuery, obligations } = read.ok ? read.verdict.shaping : EMPTY_SHAPING;
  return {
    policyMaySet: [
      ...envelope.policyMaySet,
      ...[...headers.map(([name]) => name), ...removeHeaders].map((name) => name.toLowerCase()),
      ...[...setQuery.map(([name]) => name), ...removeQuery].map((name) => `query:${name}`),
    ],
    obligations: [...envelope.obligations, ...obligations.flatMap(({ type }) => (typeof type === 'string' ? [type] : []))],
  };
};

/** The answer under another policy's outcome; `undefined` when the recorded one did not depend on a policy. */
export const rejudge = (record: Recorded, asked: AskedAgain, outcome: PolicyOutcome, given: Envelope): Answer | undefined => {
  const before = recordedOutcome(record);
  const unchanged = askAgain(record, () => true);
  if (before === undefined || unchanged === undefined) return undefined;
  const envelope = widened(record, given);
  const recorded = recordedAnswer(record);
  const concluded = conclude(record, asked, outcome, envelope);
  // Something after the policy denied: that would come again, unless the policy denies first now.
  const later = !sameAnswer(conclude(record, unchanged, before, envelope), recorded);
  return later && concluded.allow && concluded.wouldDeny === undefined ? recorded : concluded;
};

export type Change = 'allow to deny' | 'deny to allow' | 'another reason' | 'another grant' | 'another result';

/** `undefined`: the same answer. `another result` is the caller's to find: the answer is the same, what the policy said is not. */
export const changeOf = (before: Answer, after: Answer): Exclude<Change, 'another result'> | undefined => {
  if (sameAnswer(before, after)) return undefined;
  if (before.allow !== after.allow) return before.allow ? 'allow to deny' : 'deny to allow';
  return before.reason === after.reason && before.wouldDeny === after.wouldDeny ? 'another grant' : 'another reason';
};
