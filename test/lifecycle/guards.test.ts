/** Guards of requests that stand behind others: each is tried with the others satisfied, so that it is seen when it goes away. Also over Redis. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { raise } from '../../src/domain/alert.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { boundConditions, withinEntitlement } from '../../src/domain/lifecycle/entitlement-scope.ts';
import type { Entitlement } from '../../src/domain/lifecycle/entitlement.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { createWorld, type World } from './world.ts';

const HOUR = 3_600_000;
const [MIGRATE, ELSEWHERE, AGENT] = ['spiffe://dev.local/db/migrate', 'spiffe://dev.local/ci/deployer', 'spiffe://dev.local/agent/one'] as const;
const person = (name: string, ...names: readonly string[]): Call => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, ...names] } });
const workload = (id: string): Call => ({ realm: 'default', actor: { kind: 'workload', id } });
const CONFIGURER = person('carl');
const [DATA, DBA, SRE] = [person('dora', 'team:data'), person('dan', 'team:dba'), person('sue', 'team:sre')];

let world: World;
const said = (executed: Executed): string => (executed.ok ? 'ok' : `${executed.failure.code}: ${executed.failure.detail}`);
const must = (executed: Executed): JsonObject => {
  if (!executed.ok) throw new Error(said(executed));
  return executed.reply;
};
const register = (id: string, over: object = {}) => world.directory.setWorkload(CONFIGURER, { id, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true, ...over });
const ask = (by: Call = DATA, over: object = {}) => world.requests.create(by, { entitlement: 'db-migration', workload: MIGRATE, ttlMs: HOUR, justification: 'adds a column', reference: 'CHG-7', ...over }, 'request');
const pending = async (over: object = {}, by = DATA) => must(await ask(by, over))['request'] as { id: string; digest: string };
const withMore = (id: string, over: JsonObject): void => {
  const { policy } = world.at;
  world.at.policy = policy && { ...policy, entitlement: (one) => { const data = policy.entitlement(one); return one === id && data !== undefined ? { ...data, ...over } : data; } };
};
beforeEach(async () => {
  world = await createWorld({ development: false });
  for (const id of [MIGRATE, ELSEWHERE, AGENT]) await register(id);
});
afterEach(() => world.close());

test('demand(36): an entitlement is asked for the workloads that it is for, also where another is registered', async () => {
  expect(said(await ask(DATA, { workload: ELSEWHERE }))).toBe('not-permitted: nobody may ask for this entitlement for that workload');
  expect(said(await ask())).toBe('ok');
});

test('demand(67): one who has left asks for nothing, also for a team that they are still said to be in', async () => {
  await world.directory.setPerson(CONFIGURER, { id: 'user:dora', accounts: [], teams: ['team:data'], active: false }, 'api', true);
  expect(said(await ask())).toBe('not-permitted: this person has left');
  expect(said(await ask(person('dirk', 'team:data')))).toBe('ok');
});

test('demand(27): who is in the team that the request makes its owner does not approve it', async () => {
  const asker = person('dora', 'team:data', 'team:analytics');
  const request = await pending({ owner: 'team:analytics' }, asker);
  expect(said(await world.requests.approve(person('ada', 'team:sre', 'team:analytics'), request.id, request.digest))).toContain('team:analytics answers for');
  expect(said(await world.requests.approve(SRE, request.id, request.digest))).toBe('ok');
});

test('demand(31): a workload denies nothing, and of another\'s request it learns nothing', async () => {
  const { id } = await pending();
  for (const actor of [MIGRATE, AGENT]) expect(said(await world.requests.deny(workload(actor), id, 'no'))).toBe('not-found: there is no such request');
  expect(await world.requests.get('default', id, MIGRATE)).toBeUndefined();
  expect(await world.requests.get('default', id, 'user:dora')).toMatchObject({ state: 'pending' });
  expect((await world.requests.list('default', { limit: 10 }, MIGRATE)).items).toEqual([]);
  expect(said(await world.requests.deny(DBA, id, 'no'))).toBe('ok');
});

test('demand(22): the reference that the entitlement asks for, also where its task would do for the model', async () => {
  const task = (must(await world.lifecycle.openTask(CONFIGURER, { kind: 'ticket', owner: 'team:support' }))['task'] as { id: string }).id;
  const mine = { entitlement: 'kb-read', workload: AGENT, ttlMs: HOUR, task, justification: 'answers' };
  expect(said(await world.requests.create(workload(AGENT), mine, 'request'))).toContain('/reference is missing: this entitlement needs the reference of a ticket');
  expect(said(await world.requests.create(workload(AGENT), { ...mine, reference: 'T-1' }, 'request'))).toBe('ok');
});

test('demand(63) demand(30): emergency access is neither extended nor handed on', async () => {
  const ops = 'spiffe://dev.local/ops/one';
  await register(ops);
  const opened = must(await world.requests.create(person('otto', 'group:on-call'), { entitlement: 'break-glass-prod', workload: ops, ttlMs: HOUR, justification: 'down', reference: 'INC-1', owner: 'team:sre' }, 'break-glass'));
  const { grant } = opened['request'] as { grant: string };
  expect(said(await world.requests.extend(person('otto', 'group:on-call'), grant, { ttlMs: 1_000, justification: 'more' }))).toBe('state: emergency access is never extended');
  expect(said(await world.delegation.delegate(workload(ops), { from: grant, workload: AGENT, ttlMs: 1_000, justification: 'helps' }))).toBe('not-permitted: emergency access is never handed on');
});

test('F7: back-to-back grants may last as long as they may together, and not a millisecond longer', async () => {
  withMore('db-migration', { maxContinuousMs: 2 * HOUR, cooldownMs: HOUR });
  const issue = (ttlMs: number) => world.lifecycle.issueGrant(CONFIGURER, {
    workload: MIGRATE, model: 'time-boxed', entitlement: 'db-migration', scopes: [{ actions: ['*'], resource: { type: 'http', id: 'orders-db.local/schema/**' } }], ttlMs, owner: 'team:data', justification: 'nightly', reference: 'CHG-1',
  });
  expect(said(await issue(HOUR))).toBe('ok');
  world.at.now += HOUR;
  expect(said(await issue(HOUR + 1))).toContain('back-to-back');
  expect(said(await issue(HOUR))).toBe('ok');
  world.at.now += HOUR + HOUR - 1;
  expect(said(await issue(1_000)), 'a rest that is too short by a millisecond').toContain('back-to-back');
  world.at.now += 1;
  expect(said(await issue(1_000))).toBe('ok');
});

test('demand(52): conditions may only be fewer of the entitlement\'s, and one parameter has one value', () => {
  const entitlement = { scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/{env}/copy/{env}' } }], parameters: { env: {} }, conditions: { pep: ['a', 'b'] } } as unknown as Entitlement;
  expect(boundConditions(entitlement, { pep: ['a', 'c'] }).faults).toHaveLength(1);
  expect(boundConditions(entitlement, { pep: ['b'] }).faults).toEqual([]);
  const scope = (id: string) => [{ actions: ['GET'], resource: { type: 'http', id } }];
  expect(['shop.local/dev/copy/dev', 'shop.local/dev/copy/prod'].map((id) => withinEntitlement(scope(id), entitlement))).toEqual([true, false]);
});

test('demand(67): one who left before it was asked approves nothing, whatever team their credential still names; come back, they do', async () => {
  const dan = (active: boolean) => world.directory.setPerson(CONFIGURER, { id: 'user:dan', accounts: [], teams: ['team:dba'], active }, 'api', true);
  expect(said(await dan(false))).toBe('ok');
  const { id, digest } = await pending();
  expect(said(await world.requests.approve(DBA, id, digest))).toBe('not-permitted: this person has left');
  expect(said(await dan(true))).toBe('ok');
  expect(said(await world.requests.approve(DBA, id, digest))).toBe('ok');
});

test('demand(29) demand(5): what was handed on is not extended, and what is bound to a key is not handed on', async () => {
  const task = (must(await world.lifecycle.openTask(CONFIGURER, { kind: 'ticket', owner: 'team:support' }))['task'] as { id: string }).id;
  const ask = async (over: object = {}) => (must(await world.requests.create(workload(AGENT), { entitlement: 'kb-read', workload: AGENT, ttlMs: HOUR, task, justification: 'answers', reference: 'T-1', ...over }, 'request'))['request'] as { grant: string }).grant;
  const give = (from: string, to: string) => world.delegation.delegate(workload(AGENT), { from, workload: to, ttlMs: 60_000, justification: 'helps' });
  const other = 'spiffe://dev.local/agent/two';
  await register(other);
  const child = (must(await give(await ask(), other))['grant'] as { id: string }).id;
  expect(said(await world.requests.extend(workload(other), child, { ttlMs: 1_000, justification: 'more' }))).toBe('state: what was handed on is not extended; it is handed on anew');
  expect(said(await give(await ask({ binding: { jkt: 'A'.repeat(43) } }), other))).toBe('not-permitted: the grant is bound to a key, which another workload has not');
  expect(said(await give(await ask({ uses: 2 }), other))).toBe('not-permitted: the uses of this grant are counted, so it is not handed on');
});

test('demand(46): a step by hand is finished by whom it is for, and by nobody else', async () => {
  const step = { version: 1, id: 'g:mainframe', grant: 'g', workload: MIGRATE, system: 'mainframe', assignee: 'team:ops', endedAt: world.at.now, dueAt: world.at.now + 1, state: 'open' } as const;
  expect(said(await world.lifecycle.openStep({ realm: 'default', actor: { kind: 'system', id: 'system:survey' } }, step as never))).toBe('ok');
  const finish = (by: Call) => world.lifecycle.finishStep(by, { id: step.id, proof: 'CHG-77', persons: [] });
  for (const by of [DATA, CONFIGURER, person('ops'), workload(MIGRATE)]) expect(said(await finish(by)), by.actor.id).toBe('not-permitted: this step is for team:ops');
  expect(said(await finish(person('olga', 'team:ops')))).toBe('ok');
});

test('an alert of one cause is raised once, and not sent again by whoever finds the cause again', async () => {
  const make = (now: number) => raise('orphan.found', 'g:never-used', now as Instant, { grant: 'g' });
  expect(said(await world.lifecycle.raiseOnce(CONFIGURER, make))).toBe('ok');
  const before = await world.sequence();
  world.at.now += 1;
  expect(said(await world.lifecycle.raiseOnce(CONFIGURER, make))).toBe('ok');
  expect(await world.sequence()).toBe(before);
});

test('demand(27): what a request takes is the most of then and now: a floor that is raised meanwhile counts, one that is lowered does not', async () => {
  const answers = (approvals: number) => { const { policy } = world.at; world.at.policy = policy && { ...policy, evaluate: () => ({ kind: 'value', value: { allow: true, approvals } }) }; };
  const { policy } = world.at;
  answers(3);
  const lowered = await pending();
  world.at.policy = policy;
  const raised = await pending({ reference: 'CHG-8' });
  for (const [name, request] of [['lowered', lowered], ['raised', raised]] as const) {
    if (name === 'raised') answers(3);
    for (const by of [DBA, SRE]) expect(must(await world.requests.approve(by, request.id, request.digest))['request'], name).toMatchObject({ state: 'pending', needed: 3 });
    expect(must(await world.requests.approve(person('sid', 'team:sre'), request.id, request.digest))['request'], name).toMatchObject({ state: 'approved' });
  }
});

test('demand(28): the longest time is the shorter of what the policy says then and now', async () => {
  const { policy } = world.at;
  const lasting = (longest: number) => { world.at.policy = policy && { ...policy, evaluate: () => ({ kind: 'value', value: { allow: true, approvals: 2, max_ttl_ms: longest } }) }; };
  lasting(HOUR);
  const { id, digest } = await pending();
  lasting(HOUR - 1);
  expect(said(await world.requests.approve(DBA, id, digest))).toContain('/ttlMs');
  lasting(2 * HOUR);
  expect(said(await world.requests.approve(DBA, id, digest))).toBe('ok');
  lasting(HOUR - 1);
  expect(said(await world.requests.approve(SRE, id, digest))).toContain('/ttlMs');
});

test('F6: what follows a grant rests on those who approved that one too', async () => {
  const approved = async (names: readonly Call[], { id, digest }: { id: string; digest: string }) => {
    let last: JsonObject = {};
    for (const by of names) last = must(await world.requests.approve(by, id, digest));
    return (last['request'] as { grant: string }).grant;
  };
  const first = await approved([DBA, SRE], await pending());
  const more = must(await world.requests.extend(DATA, first, { ttlMs: HOUR, justification: 'more' }))['request'] as { id: string; digest: string };
  const second = await approved([person('dina', 'team:dba'), person('sid', 'team:sre')], more);
  world.at.now += HOUR;
  const state = async () => (await world.inspect.grant('default', second))?.['endedBecause'] ?? (await world.inspect.grant('default', second))?.['state'];
  expect(await state()).toBe('active');
  must(await world.lifecycle.revoke(CONFIGURER, { selector: { kind: 'approver', value: 'user:dan' }, reason: 'x' }, true));
  expect(await state()).toBe('grant.revoked');
});

test('an entitlement whose uses are counted gives no grant without a count, nor one with more', async () => {
  withMore('db-migration', { uses: 5 });
  const issue = (over: object) => world.lifecycle.issueGrant(CONFIGURER, {
    workload: MIGRATE, model: 'time-boxed', entitlement: 'db-migration', scopes: [{ actions: ['*'], resource: { type: 'http', id: 'orders-db.local/schema/**' } }], ttlMs: HOUR, owner: 'team:data', justification: 'nightly', reference: 'CHG-1', ...over,
  });
  for (const over of [{}, { uses: 6 }]) expect(said(await issue(over))).toContain('/uses');
  expect(said(await issue({ uses: 5 }))).toBe('ok');
});
