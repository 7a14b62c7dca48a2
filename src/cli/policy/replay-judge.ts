/** One recorded decision under another policy: is it as it was, would it change, or can't that be told? */
import { createRedactor, sameUnderMasks } from '../../audit/redact.ts';
import type { PolicyOutcome } from '../../decision/ports.ts';
import type { DecisionRecord } from '../../decision/record.ts';
import { changeOf, recordedAnswer, recordedOutcome, rejudge, type Answer, type AskedAgain, type Change, type Envelope } from '../../decision/rejudge.ts';
import { isJsonObject, type JsonValue } from '../../domain/json.ts';
import type { TrialAnswer } from '../../policy/trial/trial.ts';

export interface Side {
  readonly answer: Answer;
  /** What the policy said; absent when it said nothing. */
  readonly result?: JsonValue;
  /** The answer, and the policy's own reasons, for people and as a group. */
  readonly label: string;
}

export type Judged =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'changed'; readonly change: Change; readonly before: Side; readonly after: Side }
  /** The policy reads a field whose value is not in the log. */
  | { readonly kind: 'masked'; readonly differs: boolean };

const LABEL_CHARS_MAX = 160;

const reasonsOf = (result: JsonValue | undefined): string => {
  const reasons = isJsonObject(result) ? result['reasons'] : undefined;
  const texts = Array.isArray(reasons) ? (reasons as readonly JsonValue[]).filter((reason) => typeof reason === 'string') : [];
  return texts.length === 0 ? '' : `: ${texts.join('; ')}`;
};

const labelOf = (answer: Answer, result: JsonValue | undefined): string => {
  const { allow, reason, standing, wouldDeny } = answer;
  const why = (code: string): string => `${code}${code === 'policy.denied' ? reasonsOf(result) : ''}`;
  const label = allow
    ? `allow${standing === undefined ? '' : ` (standing ${standing}${wouldDeny === undefined ? '' : `, would deny ${why(wouldDeny)}`})`}`
    : `deny ${why(reason ?? '')}`;
  return label.length <= LABEL_CHARS_MAX ? label : `${label.slice(0, LABEL_CHARS_MAX - 1)}…`;
};

const sideOf = (answer: Answer, result: JsonValue | undefined): Side => ({ answer, label: labelOf(answer, result), ...(result === undefined ? {} : { result }) });

const redact = createRedactor();

/** As it would stand in a log. */
const logged = (outcome: PolicyOutcome): JsonValue | undefined => (outcome.kind === 'value' ? redact({ result: outcome.value })['result'] : undefined);

const sameOutcome = (before: PolicyOutcome, after: PolicyOutcome): boolean => {
  if (before.kind === 'failed') return after.kind === 'failed' && before.reason === after.reason;
  if (before.kind === 'undefined' || after.kind !== 'value') return before.kind === after.kind;
  return sameUnderMasks(before.value, after.value) || sameUnderMasks(before.value, logged(after));
};

const STOPPED: PolicyOutcome = { kind: 'failed', reason: 'policy.quarantined', detail: '' };

/** `undefined` when the decision did not depend on a policy. */
export const judgeReplayed = (record: DecisionRecord, asked: AskedAgain, { outcome: evaluated, readsMasked, stopped }: TrialAnswer, envelope: Envelope): Judged | undefined => {
  // What takes too long stops the worker that decides it, and is refused from then on.
  const outcome = stopped === true ? STOPPED : evaluated;
  const before = recordedOutcome(record);
  const answer = rejudge(record, asked, outcome, envelope);
  if (before === undefined || answer === undefined) return undefined;
  const same = sameOutcome(before, outcome);
  const recorded = recordedAnswer(record);
  const change = same && asked.withdrawn.length === 0 ? undefined : (changeOf(recorded, answer) ?? (same ? undefined : 'another result'));
  if (readsMasked === true) return { kind: 'masked', differs: change !== undefined };
  if (change === undefined) return { kind: 'unchanged' };
  return { kind: 'changed', change, before: sideOf(recorded, record.policy.result), after: sideOf(answer, logged(outcome)) };
};
