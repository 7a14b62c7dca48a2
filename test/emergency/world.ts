/** Emergency access from issue to review: a real lifecycle and real decisions over a store, a clock that the test moves, several deciders that share it. */
import { createDecider, type Decider } from '../../src/decision/decide.ts';
import type { Clock } from '../../src/decision/ports.ts';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import { createLifecycle, type Call } from '../../src/lifecycle/lifecycle.ts';
import { createRequests } from '../../src/lifecycle/requests.ts';
import type { LifecycleDeps } from '../../src/lifecycle/lifecycle.ts';
import { createReviewWatch } from '../../src/lifecycle/review-watch.ts';
import type { NodeStore } from '../../src/store/port.ts';
import { evaluationOf, identityOf, WORKLOAD } from '../decision/world.ts';
import { committedPolicy } from '../lifecycle/world.ts';
import type { OpenStore } from '../support/both-stores.ts';

export const ENTITLEMENT = 'break-glass-prod';
const ENTITLEMENT_DATA = {
  owner: 'team:prod', fallbackOwner: 'team:platform', model: 'break-glass', tier: 'standard', direct: true, maxTtlMs: 3_600_000,
  scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'prod.local/**' } }], alerts: ['team:prod', 'team:oncall'], orphan: { unusedMs: 86_400_000, action: 'flag' },
  review: { by: 'team:audit', withinMs: 7_200_000 },
  request: { persons: ['group:on-call'], for: [WORKLOAD] }, approval: { count: 0, by: [] },
};
export const HOUR = 3_600_000;
export const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:op' } };
export const REVIEWER: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:eve' } };

export const createEmergencyWorld = async (open: OpenStore, over: { development?: boolean; emergencyChannels?: number; entitlements?: readonly string[]; wrap?: (store: NodeStore) => NodeStore } = {}) => {
  const at = { now: 1_800_000_000_000 };
  const clock: Clock = { now: () => ({ earliest: at.now as Instant, latest: at.now as Instant, trusted: true }), monotonicMs: () => performance.now() };
  const made = await open(clock);
  const store = over.wrap?.(made) ?? made;
  const policy = { ...(await committedPolicy()), entitlement: (id: string) => (id === ENTITLEMENT ? ENTITLEMENT_DATA : undefined) };
  const config = lifecycleConfig.parse({ directory: { required: false } });
  const deps: LifecycleDeps = {
    store, clock, config, policy: () => policy, development: over.development ?? true, enforcementMs: 0, settle: async () => undefined,
    ...(over.emergencyChannels === undefined ? {} : { emergencyChannels: over.emergencyChannels }),
  };
  const lifecycle = createLifecycle(deps);
  const requests = createRequests(deps);
  const errors: unknown[] = [];
  const watch = createReviewWatch({ store, clock, lifecycle, realms: ['default'], config: config.breakGlass, entitlements: () => over.entitlements ?? [], intervalMs: 10, onError: (error) => errors.push(error) });
  const decider = (): Decider => createDecider({
    clock, store, policy: () => ({ revision: 'r', digest: 'd', entitlement: () => ({}), evaluate: () => ({ kind: 'value', value: true }) }) as never,
    authenticator: { authenticate: () => ({ ok: true, identity: identityOf({ credential: { ...identityOf().credential, issuedAt: at.now as Instant, expiresAt: (at.now + HOUR) as Instant } }) }) },
    entrypoint: 'curfew/access/decision', sink: { write: () => undefined }, quarantine: { enter: () => true, leave: () => undefined },
    limits: { decisionDeadlineMs: 10_000 as DurationMs, maxFactsAgeMs: 10_000 as DurationMs, credentialSkewMs: 1_000, pepCacheMaxMs: 0, policyMaySet: [] },
    realms: new Set(['default']), standing: [],
  });
  let asked = 0;
  const deciders = [decider(), decider(), decider()];
  const ask = async (which = 0, more: object = {}) => {
    asked += 1;
    const made = await (deciders[which] as Decider).decide(evaluationOf({ id: `d${asked}`, question: { action: 'GET', resource: { type: 'http', id: 'prod.local/x' } }, ...more }));
    return made.allow ? 'allow' : made.reason;
  };
  const issue = async (terms: object = {}, call = CALL) => lifecycle.issueGrant(call, {
    workload: WORKLOAD, model: 'break-glass', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'prod.local/**' } }], ttlMs: 15 * 60_000,
    owner: 'user:owner', justification: 'the shop is down', reference: 'INC-9', ...terms,
  });
  const issued = async (terms: object = {}): Promise<string> => {
    const executed = await issue(terms);
    if (!executed.ok) throw new Error(executed.failure.detail);
    return (executed.reply['grant'] as { id: string }).id;
  };
  /** As the route for emergencies does, beyond development: by a person who is on call. */
  const opened = async (asked: object = {}): Promise<string> => {
    const executed = await requests.create({ realm: 'default', actor: { kind: 'operator', id: 'user:op', names: ['group:on-call'] } }, {
      entitlement: ENTITLEMENT, workload: WORKLOAD, ttlMs: 15 * 60_000, justification: 'the shop is down', reference: 'INC-9', ...asked,
    }, 'break-glass');
    if (!executed.ok) throw new Error(executed.failure.detail);
    return (executed.reply['request'] as { grant: string }).grant;
  };
  const alerts = async (type: string) => (await store.list('default', { kind: 'alert', limit: 200 })).items.map(({ value }) => value).filter((value) => value['type'] === type);
  const review = async (grant: string) => (await store.read('default', [{ kind: 'review', id: grant }]))[0]?.value;
  return { at, clock, store, lifecycle, watch, errors, ask, issue, issued, opened, alerts, review, deciders };
};
