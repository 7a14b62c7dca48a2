/** People sources over a store: what an identity provider sends goes in by the door of the signals' listener, decisions and operators see what became of it. */
import { createDecider, type Decider } from '../../src/decision/decide.ts';
import type { Clock } from '../../src/decision/ports.ts';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import { oidcOperator } from '../../src/admin/authenticate-operator.ts';
import type { Principal } from '../../src/admin/principal.ts';
import { configSchema } from '../../src/config/schema.ts';
import { lifecycleDeps, type Core } from '../../src/compose.ts';
import { createDirectory } from '../../src/lifecycle/directory.ts';
import { createInspect } from '../../src/lifecycle/inspect.ts';
import { createLifecycle, type Call, type LifecycleDeps } from '../../src/lifecycle/lifecycle.ts';
import { createRequests } from '../../src/lifecycle/requests.ts';
import { createSignals } from '../../src/supervisor/signals.ts';
import { evaluationOf, identityOf } from '../decision/world.ts';
import { committedPolicy } from '../lifecycle/world.ts';
import type { OpenStore } from '../support/both-stores.ts';
import { until } from '../support/until.ts';

export const TOKEN = 'the-token-of-the-people-source';
process.env['TEST_SCIM_TOKEN'] = TOKEN;
export const T0 = 1_800_000_000_000;
export const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:op' } };

export interface Got {
  readonly status: number;
  readonly body: any;
}

type OpenedStore = Awaited<ReturnType<OpenStore>>;
interface Over {
  readonly scim?: object;
  readonly groups?: object;
  readonly persons?: object;
  readonly directory?: object;
}

export const createPeopleWorld = async (open: OpenStore, over: Over = {}) => {
  const at = { now: T0 };
  const clock: Clock = { now: () => ({ earliest: at.now as Instant, latest: at.now as Instant, trusted: true }), monotonicMs: () => performance.now() };
  const store = await open(clock);
  const policy = await committedPolicy();
  const configOf = (over: Over) => configSchema.parse({
    http: {},
    authzen: undefined, opa: undefined, kubernetes: undefined, limits: undefined, log: undefined,
    signals: { port: 0, scim: [{ id: 'idp', token: { env: 'TEST_SCIM_TOKEN' }, accounts: ['oidc:idp.example/{externalId}'], ...over.scim }] },
    lifecycle: { directory: over.directory ?? {} },
    admin: { operators: { issuers: ['https://idp.example'], groups: { 'Shop DBAs': { team: 'team:dba', roles: ['approver'] }, SRE: { team: 'team:sre', roles: ['approver'] }, Data: { team: 'team:data' }, Shop: { team: 'team:shop' }, Platform: { team: 'team:platform' }, ...over.groups }, persons: over.persons ?? {} } },
  });
  const config = configOf(over);
  const named = lifecycleDeps({ store, clock, config, mode: 'production' } as unknown as Core, () => policy).knownOwners;
  const deps: LifecycleDeps = { store, clock, config: config.lifecycle, policy: () => policy, development: false, enforcementMs: 0, settle: async () => undefined, ...(named === undefined ? {} : { knownOwners: named }) };
  const lifecycle = createLifecycle({ ...deps, development: true });
  const log = { debug: () => undefined, info: () => undefined, warn: (text: string, fields?: object) => void (process.env['PEOPLE_DEBUG'] === undefined ? 0 : console.log(text, fields)), error: () => undefined };
  const signalsOf = (own: typeof config, within: OpenedStore = store) => createSignals({ config: own, clock, store: within, mode: 'production' } as unknown as Core, lifecycle, log);
  const { receive } = signalsOf(config);
  /** As after a reload: its rounds have begun; `settled` ends them once the round under way is over. */
  const withConfiguration = async (more: Over) => {
    let looked = false;
    const watched: OpenedStore = { ...store, read: (realm, keys) => { looked ||= keys.some(({ kind }) => kind === 'feed-meaning'); return store.read(realm, keys); } };
    const { rounds } = signalsOf(configOf({ ...over, ...more }), watched);
    rounds.start();
    return { settled: async () => { await until('a round', () => looked); await rounds.stop(); } };
  };
  const raw = async (method: string, path: string, body?: string, headers: Readonly<Record<string, string>> = {}): Promise<Got> => {
    const response = await receive(new Request(`http://localhost/scim/idp/v2${path}`, { method, ...(body === undefined ? {} : { body }), headers: { authorization: `Bearer ${TOKEN}`, ...(body === undefined ? {} : { 'content-type': 'application/scim+json' }), ...headers } }));
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  const scim = (method: string, path: string, body?: object): Promise<Got> => raw(method, path, body === undefined ? undefined : JSON.stringify(body));
  const patch = (path: string, ...Operations: readonly object[]): Promise<Got> => scim('PATCH', path, { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations });
  const user = async (userName: string, more: object = {}): Promise<string> => {
    const made = await scim('POST', '/Users', { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName, externalId: `x-${userName}`, active: true, ...more });
    if (made.status !== 201) throw new Error(JSON.stringify(made));
    return made.body.id as string;
  };
  const group = async (displayName: string, ...members: readonly string[]): Promise<string> => {
    const made = await scim('POST', '/Groups', { schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'], displayName, members: members.map((value) => ({ value })) });
    if (made.status !== 201) throw new Error(JSON.stringify(made));
    return made.body.id as string;
  };
  const decider: Decider = createDecider({
    clock, store, policy: () => ({ revision: 'r', digest: 'd', entitlement: () => ({}), evaluate: () => ({ kind: 'value', value: true }) }) as never,
    authenticator: { authenticate: (presented) => ({ ok: true, identity: identityOf({ workload: presented.kind === 'bearer' ? presented.token : '', credential: { ...identityOf().credential, issuedAt: at.now as Instant, expiresAt: (at.now + 3_600_000) as Instant } }) }) },
    entrypoint: 'curfew/access/decision', sink: { write: () => undefined }, quarantine: { enter: () => true, leave: () => undefined },
    limits: { decisionDeadlineMs: 10_000 as DurationMs, maxFactsAgeMs: 10_000 as DurationMs, credentialSkewMs: 1_000, pepCacheMaxMs: 0, policyMaySet: [] },
    realms: new Set(['default']), standing: [],
  });
  let asked = 0;
  /** What this workload is answered at its next use. */
  const ask = async (workload: string, id = 'shop.local/orders/1'): Promise<string> => {
    const made = await decider.decide(evaluationOf({ id: `d${(asked += 1)}`, presented: { kind: 'bearer', token: workload }, question: { action: 'GET', resource: { type: 'http', id } } }));
    return made.allow ? 'allow' : made.reason;
  };
  /** Who an account of the identity provider is here, with these groups in its token. */
  const principal = async (sub: string, groups: readonly string[] = []): Promise<Principal | undefined> => {
    const identity = identityOf({ workload: `oidc:idp.example/${sub}`, kind: 'oidc', issuer: 'https://idp.example', audience: ['curfew-admin'], claims: { groups: [...groups] }, credential: { ...identityOf().credential, issuedAt: at.now as Instant, expiresAt: (at.now + 60_000) as Instant } });
    return oidcOperator({ authenticator: { authenticate: () => ({ ok: true, identity }) }, config: config.admin.operators, clock, store, credentialSkewMs: 0 })('token', 'default');
  };
  const person = async (id: string) => (await store.read('default', [{ kind: 'person', id }]))[0]?.value;
  const events = async (after = 0) => (await store.events('default', { after, limit: 1_000 })).map(({ type, data }) => ({ type, data }));
  const sequence = async (): Promise<number> => (await store.facts({ realm: 'default', keys: [] })).position.sequence;
  return {
    at, clock, store, config, receive, withConfiguration, raw, scim, patch, user, group, ask, principal, person, events, sequence, lifecycle,
    directory: createDirectory(deps), requests: createRequests(deps), inspect: createInspect({ store, clock, policy: () => policy }),
  };
};
export type PeopleWorld = Awaited<ReturnType<typeof createPeopleWorld>>;

/** Who an operator is when they call, as the admin API makes of it. */
export const callOf = (principal: Principal | undefined): Call => ({ realm: 'default', actor: { kind: 'operator', id: principal?.id ?? 'nobody', names: principal?.persons ?? [] } });
