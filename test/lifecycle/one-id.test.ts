/** Approval, issue, use and end of one access hang together by the id of its grant, from whichever end one looks, and nothing lies about that belongs to none. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDecider } from '../../src/decision/decide.ts';
import type { DecisionRecord } from '../../src/decision/record.ts';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { evaluationOf, identityOf } from '../decision/world.ts';
import { createWorld, T0, type World } from './world.ts';

const WORKLOAD = 'spiffe://dev.local/db/migrate';
const person = (name: string, ...names: readonly string[]): Call => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, ...names] } });
const [CONFIGURER, DATA, DBA, SRE] = [person('carl'), person('dora', 'team:data'), person('dan', 'team:dba'), person('sue', 'team:sre')];
const must = (executed: Executed): JsonObject => {
  if (!executed.ok) throw new Error(`${executed.failure.code}: ${executed.failure.detail}`);
  return executed.reply;
};

let world: World;
beforeEach(async () => {
  world = await createWorld({ development: false });
});
afterEach(() => world.close());

test('demand(21): one id from the approval to the last denial', async () => {
  const records: DecisionRecord[] = [];
  const { decide } = createDecider({
    clock: world.clock, store: world.store, policy: () => world.at.policy, entrypoint: 'curfew/access/decision', sink: { write: (record) => void records.push(record) },
    authenticator: { authenticate: () => ({ ok: true, identity: identityOf({ workload: WORKLOAD, credential: { ...identityOf().credential, expiresAt: (T0 + 86_400_000) as Instant } }) }) },
    quarantine: { enter: () => true, leave: () => undefined }, realms: new Set(['default']), standing: [],
    limits: { decisionDeadlineMs: 10_000 as DurationMs, maxFactsAgeMs: 10_000 as DurationMs, credentialSkewMs: 0, pepCacheMaxMs: 0, policyMaySet: [] },
  });
  const ask = (id: string) => decide(evaluationOf({ id, question: { action: 'GET', resource: { type: 'http', id: 'orders-db.local/schema/x' } } }));
  await world.directory.setWorkload(CONFIGURER, { id: WORKLOAD, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true });
  const request = must(await world.requests.create(DATA, { entitlement: 'db-migration', workload: WORKLOAD, ttlMs: 60_000, justification: 'adds a column', reference: 'CHG-7' }, 'request'))['request'] as { id: string; digest: string };
  must(await world.requests.approve(DBA, request.id, request.digest));
  const { grant } = must(await world.requests.approve(SRE, request.id, request.digest))['request'] as { grant: string };
  expect(await ask('d1')).toMatchObject({ allow: true, grant });
  must(await world.lifecycle.revoke(CONFIGURER, { selector: { kind: 'grant', value: grant }, reason: 'done' }, true));
  expect(await ask('d2')).toMatchObject({ allow: false, reason: 'grant.revoked', grant });

  // From the grant: who asked, who approved, what for, and its history.
  expect(await world.inspect.grant('default', grant)).toMatchObject({
    reference: 'CHG-7', approvals: [{ approver: 'user:dan' }, { approver: 'user:sue' }],
    history: [{ type: 'grant.issued', by: 'user:sue' }, { type: 'revocation.placed', by: 'user:carl', reason: 'done' }],
  });
  // From the request, the log of decisions and the log of events: the grant.
  expect(await world.requests.get('default', request.id)).toMatchObject({ state: 'approved', grant });
  expect(records.map(({ id, result }) => [id, result.allow, result.grant])).toEqual([['d1', true, grant], ['d2', false, grant]]);
  const events = await world.store.events('default', { after: 0, limit: 100 });
  const of = (type: string) => events.filter((event) => event.type === type).map(({ data }) => data);
  expect(of('request.approved').map(({ request: at }) => (at as JsonObject)['grant'])).toEqual([undefined, grant]);
  expect(of('grant.issued')).toMatchObject([{ grant: { id: grant, request: request.id, requestedBy: 'user:dora' } }]);
  expect(of('revocation.placed')).toMatchObject([{ revocation: { selector: { kind: 'grant', value: grant } } }]);

  // No record without its other half.
  const list = async (kind: string) => (await world.store.list('default', { kind, limit: 100 })).items;
  const [grants, requests] = [await list('grant'), await list('request')];
  expect(grants.map(({ value }) => value['request'])).toEqual(requests.filter(({ value }) => value['state'] === 'approved').map(({ key }) => key.id));
  for (const kind of ['uses', 'review', 'recertification', 'task-grant']) for (const { key } of await list(kind)) expect(grants.map((record) => record.key.id), kind).toContain(key.id);
});
