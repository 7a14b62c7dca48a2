/**
 * Executes one lifecycle command: load what the rule judges, judge, commit, and begin again when something moved in between.
 * Guarantees: every record the rule saw is still that version when the change is committed; with an idempotency key at most one
 * effect (I8); a failure after the commit was sent is reported as unknown, never as failed.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../decision/ports.ts';
import type { Change, Fault, Loaded, LoadedRecord, RefusalCode, Rule } from '../domain/lifecycle/change.ts';
import type { DurationMs, Instant } from '../domain/instant.ts';
import { canonicalJson, isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { Position } from '../domain/position.ts';
import type { Enforcement, Holders } from '../store/leases.ts';
import { recordKeyText, StoreUnavailable, type Commit, type CommitOutcome, type RecordKey, type Store } from '../store/port.ts';
import type { Unconfirmed } from './deciders.ts';
import { createTurns } from './turns.ts';

export type FailureCode = RefusalCode | 'key-reused' | 'clock-untrusted' | 'store-unavailable' | 'outcome-unknown' | 'busy';

export interface Failure {
  readonly code: FailureCode;
  readonly detail: string;
  readonly faults?: readonly Fault[];
}

/** What became of one process that decides, after an ending. */
export type EnforcedBy = Enforcement | Unconfirmed;

export interface Done {
  readonly ok: true;
  readonly position: Position;
  /** The instant of the commit. */
  readonly at: Instant;
  readonly reply: JsonObject;
  /** An earlier command with this idempotency key did it. */
  readonly replayed: boolean;
  /** Who may answer from memory, as the commit saw it. */
  readonly holders?: Holders | undefined;
  /** What became of them, once it is enforced; how long that took since before the command, and when it was, where that is known. With one `pending` it is not known to be. */
  readonly enforced?: { readonly by: readonly EnforcedBy[]; readonly tookMs: number; readonly at?: Instant };
}

export type Executed = Done | { readonly ok: false; readonly failure: Failure };

/** An idempotency key as the caller sent it, and what it is bound to. */
export interface Idempotency {
  readonly principal: string;
  readonly command: string;
  readonly key: string;
  /** Everything the command says; another command under the same key is refused. */
  readonly body: JsonValue;
}

export interface Execution {
  readonly realm: string;
  /** Commands with the same turn follow one another. */
  readonly turn: string;
  readonly rule: Rule;
  readonly idempotency?: Idempotency | undefined;
  /** Kept beside the rule's reply, for replays. */
  readonly remember?: JsonObject | undefined;
  /** W3C trace context of the request, written into its events. */
  readonly traceparent?: string | undefined;
}

export interface ExecuteDeps {
  readonly store: Pick<Store, 'epoch' | 'facts' | 'commit'>;
  readonly clock: Clock;
  /** How long idempotency keys are remembered. */
  readonly idempotencyKeepMs: number;
}

const ATTEMPTS_MAX = 16;
const LOAD_ROUNDS_MAX = 4;
/** No record of this key exists; expecting one asks the store only whether the idempotency key was used. */
const NEVER: RecordKey = { kind: 'never', id: 'never' };

const failed = (code: FailureCode, detail: string, faults?: readonly Fault[]): { readonly ok: false; readonly failure: Failure } => ({
  ok: false,
  failure: { code, detail, ...(faults === undefined ? {} : { faults }) },
});

const boundTo = (idempotency: Idempotency, realm: string, reply: JsonObject, keepMs: number): NonNullable<Commit['idempotency']> => ({
  scope: JSON.stringify([realm, idempotency.principal, idempotency.command]),
  key: idempotency.key,
  digest: createHash('sha256').update(canonicalJson(idempotency.body)).digest('hex'),
  reply,
  keepMs: keepMs as DurationMs,
});

const traced = (events: Change['events'], traceparent: string | undefined): Change['events'] =>
  traceparent === undefined ? events : events.map((event) => ({ ...event, data: { ...event.data, traceparent } }));

export type Execute = (execution: Execution) => Promise<Executed>;

export const createExecute = (deps: ExecuteDeps): Execute => {
  const { store, clock } = deps;
  const turns = createTurns();

  const load = async (realm: string, rule: Rule, endsAfter: Instant): Promise<{ loaded: Loaded; expect: Commit['expect'] }> => {
    const records = new Map<string, LoadedRecord | undefined>();
    const keys = new Map<string, RecordKey>();
    const loaded = { record: (ref: RecordKey) => records.get(recordKeyText(ref)), grants: [] as readonly LoadedRecord[], truncated: false };
    for (let round = 0; ; round += 1) {
      const missing = rule.needs(loaded).filter((key) => !records.has(recordKeyText(key)));
      const first = round === 0 && rule.grantsOf !== undefined;
      if (missing.length === 0 && !first) break;
      if (round >= LOAD_ROUNDS_MAX) throw new StoreUnavailable('a command needs too many records');
      const read = await store.facts({ realm, keys: missing, ...(first ? { index: { owner: rule.grantsOf ?? '', endsAfter, wanted: () => false } } : {}) });
      for (const key of missing) {
        const text = recordKeyText(key);
        keys.set(text, key);
        records.set(text, read.records.get(text));
      }
      if (first) Object.assign(loaded, { grants: read.rows.filter(({ key }) => key.kind === 'grant'), truncated: read.truncated });
    }
    const expect = [...keys].map(([text, key]) => ({ key, version: records.get(text)?.modified.sequence ?? 0 }));
    return { loaded, expect };
  };

  /** The outcome of an earlier command with this key, if there was one: a replay must not be judged again. */
  const earlier = async (execution: Execution): Promise<CommitOutcome | undefined> => {
    if (execution.idempotency === undefined) return undefined;
    const outcome = await store.commit({
      realm: execution.realm, expect: [{ key: NEVER, version: 1 }], puts: [], events: [{ type: 'never', about: [], ending: false, data: {} }],
      idempotency: boundTo(execution.idempotency, execution.realm, {}, deps.idempotencyKeepMs),
    });
    return outcome.outcome === 'replayed' || outcome.outcome === 'key-reused' ? outcome : undefined;
  };

  const conclude = (outcome: CommitOutcome, reply: JsonObject): Executed | undefined => {
    if (outcome.outcome === 'committed') return { ok: true, position: outcome.position, at: outcome.at, reply, replayed: false, holders: outcome.holders };
    if (outcome.outcome === 'replayed') return { ok: true, position: outcome.position, at: outcome.at, reply: isJsonObject(outcome.reply) ? outcome.reply : {}, replayed: true, holders: outcome.holders };
    if (outcome.outcome === 'key-reused') return failed('key-reused', 'this idempotency key was used for another command; nothing was changed');
    return undefined;
  };

  const commit = async (execution: Execution, change: Change, reply: JsonObject, expect: Commit['expect']): Promise<CommitOutcome> =>
    store.commit({
      realm: execution.realm, expect, puts: change.puts, events: traced(change.events, execution.traceparent),
      ...(change.drops === undefined ? {} : { drops: change.drops }),
      ...(change.increments === undefined ? {} : { increments: change.increments.map(({ key, max }) => ({ key, max })) }),
      ...(change.before === undefined ? {} : { before: change.before }),
      ...(execution.idempotency === undefined ? {} : { idempotency: boundTo(execution.idempotency, execution.realm, reply, deps.idempotencyKeepMs) }),
    });

  const attempt = async (execution: Execution): Promise<Executed | undefined> => {
    const now = clock.now();
    if (!now.trusted && !execution.rule.ends) return failed('clock-untrusted', 'the clock of this node is not trusted; only commands that end access are carried out');
    let sent = false;
    try {
      const { loaded, expect } = await load(execution.realm, execution.rule, now.latest);
      // The time that the rule judges by is taken after its facts, so that reading slowly never extends anything.
      const ruling = execution.rule.judge(loaded, clock.now());
      if (!ruling.ok) {
        const before = await earlier(execution);
        const { code, detail, faults } = ruling.refusal;
        return before === undefined ? failed(code, detail, faults) : conclude(before, {});
      }
      if (ruling.unchanged !== undefined && (ruling.change === undefined || execution.idempotency === undefined)) {
        const { sequence, reply } = ruling.unchanged;
        return conclude((await earlier(execution)) ?? { outcome: 'committed', position: { epoch: store.epoch, sequence }, at: now.latest }, reply);
      }
      if (ruling.change === undefined) throw new Error('a ruling without any change');
      const reply = execution.remember === undefined ? ruling.change.reply : { ...ruling.change.reply, ...execution.remember };
      sent = true;
      const outcome = await commit(execution, ruling.change, reply, expect);
      if (outcome.outcome !== 'exhausted') return conclude(outcome, reply);
      const { kind, id } = outcome.key;
      return failed('limit', ruling.change.increments?.find(({ key }) => key.kind === kind && key.id === id)?.over ?? 'a count of its own is at its limit');
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      return sent
        ? failed('outcome-unknown', 'the store did not confirm the command: it may or may not have taken effect; repeat it with the same idempotency key, or look')
        : failed('store-unavailable', 'the store can not be read; nothing was changed');
    }
  };

  return (execution) =>
    turns(`${execution.realm}/${execution.turn}`, async () => {
      for (let count = 0; count < ATTEMPTS_MAX; count += 1) {
        const executed = await attempt(execution);
        if (executed !== undefined) return executed;
      }
      return failed('busy', 'others changed the same records too often; nothing was changed');
    });
};
