/** A whole world for `decide` in memory: records that the test sets, a clock that it moves, a policy that is a function. */
import type { ClaimCommit } from '../../src/decision/claim.ts';
import { createDecider, type DecideDeps, type Decider } from '../../src/decision/decide.ts';
import type { Evaluation, Identity } from '../../src/decision/evaluation.ts';
import type { FactRecord } from '../../src/decision/gather.ts';
import type { Authenticated, PolicyOutcome } from '../../src/decision/ports.ts';
import type { DecisionRecord } from '../../src/decision/record.ts';
import type { Grant } from '../../src/domain/grant.ts';
import { grantRefs } from '../../src/domain/grant-refs.ts';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import { selectorKey, type Selector } from '../../src/domain/selector.ts';
import type { Task } from '../../src/domain/task.ts';

export const T0 = 1_800_000_000_000 as Instant;
/** Far above the default: a part of it is measured by a real timer, which on a busy machine strikes where no deadline is meant. */
export const DEADLINE_MS = 60_000 as DurationMs;
export const WORKLOAD = 'spiffe://dev.local/ci/deployer';

export const grantOf = (over: Partial<Grant> = {}): Grant => ({
  version: 1, id: 'g1', realm: 'default', epoch: 'e1', workload: WORKLOAD, model: 'time-boxed',
  scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
  conditions: {}, notBefore: T0, expiresAt: (T0 + 60_000) as Instant, owners: ['team:shop'], approvals: [], bundleRevision: 'r1',
  issuedBy: 'user:op', issuedAt: T0, direct: true, justification: 'test', tier: 'standard', chain: [], ...over,
});

export const taskOf = (over: Partial<Task> = {}): Task => ({
  version: 1, id: 't1', kind: 'ci', owner: 'team:shop', openedBy: 'user:op', openedAt: T0, state: 'open', deadline: (T0 + 3_600_000) as Instant, ...over,
});

export const identityOf = (over: Partial<Identity> = {}): Identity => ({
  workload: WORKLOAD, kind: 'jwt-svid', issuer: 'spiffe://dev.local', audience: ['curfew'], claims: {}, confirmed: {},
  credential: {
    selectors: ['credential:sha256:aa'], issuedAt: T0, expiresAt: (T0 + 300_000) as Instant, maxAgeMs: 3_600_000 as DurationMs, fingerprint: 'f0',
  },
  ...over,
});

export const evaluationOf = (over: Partial<Evaluation> = {}): Evaluation => ({
  id: 'd1', realm: 'default', protocol: 'forward-auth', pep: { id: undefined, obligations: [] }, presented: { kind: 'bearer', token: 't' },
  question: { action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' } }, input: {}, ...over,
});

export const createWorld = (over: Partial<DecideDeps> = {}) => {
  const records = new Map<string, FactRecord>();
  const grants: Grant[] = [];
  const state = {
    now: T0 as number,
    monotonic: 0,
    trusted: true,
    sequence: 10,
    endings: 0,
    identity: { ok: true, identity: identityOf() } as Authenticated,
    /** What a credential has to wait for. */
    authenticating: undefined as undefined | (() => Promise<void>),
    policy: ((): PolicyOutcome => ({ kind: 'value', value: true })) as (input: JsonObject) => PolicyOutcome,
    /** Runs between the read of the facts and the policy: where a race would strike. */
    duringPolicy: () => {},
    claims: [] as ClaimCommit[],
    records: [] as DecisionRecord[],
    facts: undefined as undefined | (() => never),
  };
  const put = (kind: string, id: string, value: unknown, mark = false): void => {
    state.sequence += 1;
    const stamp = { sequence: state.sequence, at: state.now as Instant };
    const before = records.get(`${kind}/${id}`);
    const marked = mark ? stamp : before?.marked;
    records.set(`${kind}/${id}`, {
      key: { kind, id }, created: before?.created ?? stamp, modified: stamp, value: value as JsonObject, ...(marked === undefined ? {} : { marked }),
    });
  };
  const store: DecideDeps['store'] = {
    facts: (request) => {
      state.facts?.();
      const found = new Map<string, FactRecord>();
      const take = (key: { kind: string; id: string }): void => {
        const record = records.get(`${key.kind}/${key.id}`);
        if (record !== undefined) found.set(`${key.kind}/${key.id}`, record);
      };
      for (const key of request.keys) take(key);
      const mine = grants.filter(({ workload }) => workload === request.index?.owner);
      const rows = mine.filter(({ expiresAt }) => expiresAt > (request.index?.endsAfter ?? 0));
      for (const grant of rows) for (const ref of grantRefs(grant)) take(ref);
      const recordsOf = (list: Grant[]): FactRecord[] => list.map(({ id }) => records.get(`grant/${id}`)).filter((record) => record !== undefined);
      return {
        position: { epoch: 'e1', sequence: state.sequence }, endings: { sequence: state.endings, hash: String(state.endings) },
        records: found, rows: recordsOf(rows), ended: rows.length > 0 ? [] : recordsOf(mine.filter((grant) => !rows.includes(grant))),
      };
    },
    endings: () => ({ sequence: state.endings, hash: String(state.endings) }),
    commit: async (commit) => {
      for (const { key, version } of commit.expect) {
        if ((records.get(`${key.kind}/${key.id}`)?.modified.sequence ?? 0) !== version) return { outcome: 'conflict' };
      }
      for (const { key, max } of commit.increments) {
        const count = ((records.get(`${key.kind}/${key.id}`)?.value['count'] as number | undefined) ?? 0) + 1;
        if (count > max) return { outcome: 'exhausted' };
        put(key.kind, key.id, { count });
      }
      for (const { key, value } of commit.puts) put(key.kind, key.id, value);
      state.claims.push(commit);
      return { outcome: 'committed' };
    },
  };
  const deps: DecideDeps = {
    clock: { now: () => ({ earliest: state.now as Instant, latest: state.now as Instant, trusted: state.trusted }), monotonicMs: () => state.monotonic },
    store,
    authenticator: { authenticate: () => state.authenticating?.().then(() => state.identity) ?? state.identity },
    policy: () => ({
      revision: 'r1', digest: 'd', entitlementIds: () => [], entitlement: (id) => (id === 'known' ? {} : undefined),
      evaluate: (_entrypoint, input) => {
        state.duringPolicy();
        return state.policy(input);
      },
    }),
    entrypoint: 'curfew/access/decision',
    sink: { write: (record) => void state.records.push(record) },
    quarantine: { enter: () => true, leave: () => {} },
    limits: {
      decisionDeadlineMs: DEADLINE_MS, maxFactsAgeMs: 50 as DurationMs, credentialSkewMs: 1_000, pepCacheMaxMs: 0, policyMaySet: [],
    },
    realms: new Set(['default']),
    standing: [],
    ...over,
  };
  const decider: Decider = createDecider(deps);
  return {
    state,
    /** Methods may be replaced, to plant a fault. */
    store,
    decide: decider.decide,
    explain: decider.explain,
    answer: (value: JsonValue) => { state.policy = () => ({ kind: 'value', value }); },
    issue: (over_: Partial<Grant> = {}) => {
      const grant = grantOf(over_);
      grants.push(grant);
      put('grant', grant.id, grant);
      return grant;
    },
    task: (over_: Partial<Task> = {}) => { const task = taskOf(over_); put('task', task.id, task); },
    revoke: (selector: Selector) => {
      state.endings += 1;
      put('ending', selectorKey(selector), { version: 1, selector: selectorKey(selector), revocation: 'rv1', suspensions: [] }, true);
    },
    suspend: (selector: Selector) => {
      state.endings += 1;
      put('ending', selectorKey(selector), { version: 1, selector: selectorKey(selector), suspensions: [{ id: 's1', placedBy: 'user:a', reason: 'x' }] });
    },
    put,
    reasonOf: async (evaluation: Evaluation = evaluationOf()) => {
      const decision = await decider.decide(evaluation);
      return decision.allow ? 'allow' : decision.reason;
    },
  };
};
