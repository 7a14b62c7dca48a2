/** Requests and approvals: who may ask and approve, what an approval is bound to, and what ends a request. Each attack beside its control. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { readGrant } from '../../src/domain/records.ts';
import { openReview, stoppedBy } from '../../src/domain/review.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import type { AskedRequest } from '../../src/lifecycle/requests.ts';
import { createWorld, T0, type World } from './world.ts';

const HOUR = 3_600_000;
const WORKLOAD = 'spiffe://dev.local/db/migrate';

let world: World;
beforeEach(async () => {
  world = await createWorld({ development: false });
  await register();
});
afterEach(() => world.close());

const person = (name: string, ...names: readonly string[]): Call => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, ...names] } });
const CONFIGURER = person('carl');
const DATA = person('dora', 'team:data');
const DBA = person('dan', 'team:dba');
const SRE = person('sue', 'team:sre');
const workload = (id: string): Call => ({ realm: 'default', actor: { kind: 'workload', id } });

const register = (over: object = {}) =>
  world.directory.setWorkload(CONFIGURER, { id: WORKLOAD, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true, ...over });
const know = (name: string, over: object = {}) =>
  world.directory.setPerson(CONFIGURER, { id: `user:${name}`, accounts: [], teams: [], active: true, ...over }, 'api');

const ask = (by: Call = DATA, over: Partial<AskedRequest> = {}) =>
  world.requests.create(by, { entitlement: 'db-migration', workload: WORKLOAD, ttlMs: HOUR, justification: 'adds a column', reference: 'CHG-7', ...over }, 'request');

const said = (executed: Executed): string => (executed.ok ? 'ok' : `${executed.failure.code}: ${executed.failure.detail}`);
const requestIn = (executed: Executed): JsonObject => {
  if (!executed.ok) throw new Error(said(executed));
  return executed.reply['request'] as JsonObject;
};
const pending = async (by: Call = DATA, over: Partial<AskedRequest> = {}): Promise<{ id: string; digest: string }> => {
  const request = requestIn(await ask(by, over));
  expect(request['state']).toBe('pending');
  return { id: request['id'] as string, digest: request['digest'] as string };
};
const approve = (by: Call, { id, digest }: { id: string; digest: string }) => world.requests.approve(by, id, digest);
const stateOf = async (id: string): Promise<unknown> => (await world.requests.get('default', id))?.['state'];

test('demand(27) demand(21) demand(22) demand(23): two distinct eligible persons approve, then the grant is there and names request and approvers', async () => {
  const request = await pending();
  expect(requestIn(await approve(DBA, request))).toMatchObject({ state: 'pending', needed: 2 });
  expect(await approve(DBA, request), 'the same person once more').toMatchObject({ ok: false });
  const done = requestIn(await approve(SRE, request));
  expect(done).toMatchObject({ state: 'approved', grant: expect.any(String) });
  const grant = await world.inspect.grant('default', done['grant'] as string);
  expect(grant).toMatchObject({
    state: 'active', workload: WORKLOAD, direct: false, entitlement: 'db-migration', owner: 'team:data', reference: 'CHG-7', justification: 'adds a column', model: 'time-boxed', tier: 'sensitive',
    approvals: [expect.objectContaining({ approver: 'user:dan' }), expect.objectContaining({ approver: 'user:sue' })],
    scopes: [{ actions: ['*'], resource: { type: 'http', id: 'orders-db.local/schema/**' } }],
  });
  const after = await world.sequence();
  expect(said(await approve(person('sid', 'team:sre'), request)), 'demand(14): what is decided is final').toContain('final');
  expect(said(await world.requests.deny(DBA, request.id, 'no'))).toContain('final');
  expect(said(await world.requests.cancel(DATA, request.id))).toContain('final');
  expect(await world.sequence()).toBe(after);
});

describe('demand(36) demand(31): who may ask', () => {
  const refused: readonly (readonly [string, () => Promise<Executed>, string])[] = [
    ['a person of another team', () => ask(person('otto', 'team:shop')), 'you may not ask'],
    ['an account that is no person', () => ask({ realm: 'default', actor: { kind: 'operator', id: 'oidc:idp.example/x', names: ['team:data'] } }), 'not configured as a person'],
    ['a workload, on a flow for people', () => ask(workload(WORKLOAD)), 'asked for by people'],
    ['a person, on a flow for workloads', () => ask(DATA, { entitlement: 'kb-read', reference: 'T-1', task: 't' }), 'asked for by workloads'],
    ['for a workload that is not meant', () => ask(DATA, { workload: 'spiffe://dev.local/ci/deployer' }), 'not registered'],
    ['for one that is not registered', () => ask(DATA, { workload: 'spiffe://dev.local/db/other' }), 'not registered'],
    ['without the reference', () => ask(DATA, { reference: undefined }), '/reference'],
    ['for longer than the cap', () => ask(DATA, { ttlMs: 3 * HOUR }), '/ttlMs'],
    ['for more than the entitlement', () => ask(DATA, { scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'orders-db.local/**' } }] }), '/scopes'],
    ['an entitlement that is not there', () => ask(DATA, { entitlement: 'nothing' }), '/entitlement'],
    ['with an owner who has nothing to do with it', () => ask(DATA, { owner: 'team:shop' }), '/owner'],
    ['emergency access, on the route for requests', () => ask(DATA, { entitlement: 'break-glass-prod' }), '/entitlement'],
  ];
  test.each(refused)('%s is refused, and nothing is written', async (_name, attempt, detail) => {
    const before = await world.sequence();
    expect(said(await attempt())).toContain(detail);
    expect(await world.sequence()).toBe(before);
    expect(said(await ask()), 'the control').toBe('ok');
  });

  test('demand(34): a workload that is no more, or whose named owner has left', async () => {
    await register({ active: false });
    expect(said(await ask())).toContain('no more');
    await register({ active: true });
    await know('olga');
    await register({ owner: 'user:olga' });
    await know('olga', { active: false });
    expect(said(await ask())).toContain('/owner has left');
  });

  test('a workload asks for itself where the entitlement says so, and the policy alone approves where the floor lets it', async () => {
    const agent = 'spiffe://dev.local/agent/kb';
    await world.directory.setWorkload(CONFIGURER, { id: agent, kind: 'agent', owner: 'team:support', fallbackOwner: 'team:platform', tier: 'standard', aliases: [], active: true });
    const opened = await world.lifecycle.openTask(CONFIGURER, { kind: 'ticket', owner: 'team:support' });
    const task = opened.ok ? (opened.reply['task'] as { id: string }).id : '';
    const mine = { entitlement: 'kb-read', workload: agent, task, reference: 'T-1' };
    expect(said(await ask(workload(WORKLOAD), mine)), 'for another').toContain('asks for itself');
    expect(said(await ask(workload(agent), { ...mine, task: 'none' })), 'demand(19): without its task').toContain('/task');
    const request = requestIn(await ask(workload(agent), mine));
    expect(request).toMatchObject({ state: 'approved', decidedBy: 'policy', grant: expect.any(String) });
    expect(await world.inspect.grant('default', request['grant'] as string)).toMatchObject({ state: 'active', task, direct: false });
    await world.lifecycle.closeTask(CONFIGURER, task, true);
    expect(await world.inspect.grant('default', request['grant'] as string)).toMatchObject({ state: 'ended', endedBecause: 'task.closed' });
    expect(said(await ask(workload(agent), mine)), 'its task is over').toContain('closed');
  });
});

describe('F1 F6: who may approve', () => {
  test('F1: not who asked, by no name of theirs', async () => {
    const both = person('dora', 'team:data', 'team:dba');
    const request = await pending(both);
    expect(said(await approve(both, request))).toContain('asked for it yourself');
    // Another account of the same person arrives as the same person; one of nobody approves nothing.
    expect(said(await approve({ realm: 'default', actor: { kind: 'operator', id: 'oidc:idp.example/dora2', names: ['team:dba'] } }, request))).toContain('nobody\'s approver');
    expect(said(await approve(workload(WORKLOAD), request))).toContain('only people');
    expect(said(await approve(DBA, request)), 'the control').toBe('ok');
  });

  test('not an owner of the workload or the entitlement, nor a member of a team that is', async () => {
    const request = await pending(person('dick', 'team:data'));
    expect(said(await approve(person('owen', 'team:dba', 'team:data'), request))).toContain('answers for');
    expect(said(await approve(person('pat', 'team:dba', 'team:platform'), request))).toContain('answers for');
    expect(said(await approve(person('otto', 'team:shop'), request))).toContain('others as approvers');
    expect(said(await approve(DBA, request)), 'the control').toBe('ok');
  });

  test('F6: an owner who hands the workload over before approving, or leaves the owning team, stays an owner', async () => {
    await know('olga', { teams: ['team:dba'] });
    await register({ owner: 'user:olga' });
    await register({ owner: 'team:data' });
    const request = await pending();
    expect(said(await approve(person('olga', 'team:dba'), request))).toContain('user:olga answers for');
    await know('tom', { teams: ['team:data', 'team:dba'] });
    await know('tom', { teams: ['team:dba'] });
    expect(said(await approve(person('tom', 'team:dba'), request))).toContain('team:data answers for');
    expect(said(await approve(DBA, request)), 'the control').toBe('ok');
  });

  test('F6: an owner who hands over after it was asked', async () => {
    await know('olga', { teams: ['team:dba'] });
    await register({ owner: 'user:olga' });
    const request = await pending();
    await register({ owner: 'team:shop' });
    expect(said(await approve(person('olga', 'team:dba'), request))).toContain('answers for');
  });

  test('an approval counts no more once its person has left, and nobody who left approves', async () => {
    await know('dan', { teams: ['team:dba'] });
    const request = await pending();
    expect(said(await approve(DBA, request))).toBe('ok');
    await know('dan', { active: false });
    expect(said(await approve(DBA, request))).not.toBe('ok');
    // The revocation that came with leaving covers the request, which rested on that approval.
    expect(await stateOf(request.id)).toBe('cancelled');
    expect(said(await approve(SRE, request))).toContain('cancelled');
  });

  test('F6: an approval counts no more once its person answers for the workload, by name or by team', async () => {
    const request = await pending();
    expect(said(await approve(DBA, request))).toBe('ok');
    await register({ owner: 'user:dan' });
    expect(requestIn(await approve(SRE, request))).toMatchObject({ state: 'pending', approvals: [expect.objectContaining({ approver: 'user:sue' })] });
    expect(said(await approve(DBA, request))).toContain('answers for');
    expect(requestIn(await approve(person('dina', 'team:dba'), request)), 'the control').toMatchObject({ state: 'approved' });
  });

  test('an approval by a team that its person has left meanwhile counts no more', async () => {
    await know('dan', { teams: ['team:dba'] });
    const request = await pending();
    expect(said(await approve(person('dan'), request))).toBe('ok');
    await know('dan', { teams: [] });
    expect(requestIn(await approve(SRE, request))).toMatchObject({ state: 'pending', approvals: [expect.objectContaining({ approver: 'user:sue' })] });
    expect(requestIn(await approve(person('dina', 'team:dba'), request))).toMatchObject({ state: 'approved' });
  });
});

describe('what an approval is bound to', () => {
  test('the digest of what was asked, and the text of the entitlement', async () => {
    const request = await pending();
    expect(said(await approve(DBA, { ...request, digest: '0'.repeat(64) }))).toContain('/digest');
    const other = await pending(DATA, { ttlMs: 2 * HOUR });
    expect(other.digest).not.toBe(request.digest);
    expect(said(await approve(DBA, { id: request.id, digest: other.digest }))).toContain('/digest');
    const { policy } = world.at;
    world.at.policy = policy && { ...policy, entitlement: (id) => { const data = policy.entitlement(id); return data && { ...data, maxTtlMs: 3_600_001 }; } };
    expect(said(await approve(DBA, request))).toContain('has changed');
    world.at.policy = policy;
    expect(said(await approve(DBA, request)), 'the control').toBe('ok');
  });

  test('a policy or a floor that asks for more approvals meanwhile gets them', async () => {
    const strict = await createWorld({ development: false, config: { caps: { tiers: { sensitive: { minApprovals: { 'time-boxed': 3 } } } } } });
    try {
      await strict.directory.setWorkload(CONFIGURER, { id: WORKLOAD, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true });
      const asked = requestIn(await strict.requests.create(DATA, { entitlement: 'db-migration', workload: WORKLOAD, ttlMs: HOUR, justification: 'x', reference: 'CHG-7' }, 'request'));
      expect(asked).toMatchObject({ needed: 3 });
      const refusing = strict.at.policy && { ...strict.at.policy, evaluate: () => ({ kind: 'value', value: { allow: false, reasons: ['not today'] } }) as const };
      strict.at.policy = refusing;
      expect(said(await strict.requests.approve(DBA, asked['id'] as string, asked['digest'] as string))).toContain('not today');
    } finally {
      await strict.close();
    }
  });
});

describe('E12: what was asked before a revocation gives nothing after it', () => {
  const kinds: readonly (readonly [string, string])[] = [
    ['workload', WORKLOAD], ['workload-prefix', 'spiffe://dev.local/db'], ['trust-domain', 'dev.local'], ['realm', 'default'], ['owner', 'team:data'], ['owner', 'user:dora'], ['entitlement', 'db-migration'], ['approver', 'user:dan'],
  ];
  test.each(kinds)('%s %s revoked between asking and the last approval: cancelled for good, and a new request is none', async (kind, value) => {
    const request = await pending();
    expect(said(await approve(DBA, request))).toBe('ok');
    const revoked = await world.lifecycle.revoke(CONFIGURER, { selector: { kind: kind as 'workload', value }, reason: 'leak' }, true);
    expect(revoked.ok).toBe(true);
    expect(await stateOf(request.id)).toBe('cancelled');
    expect(said(await approve(SRE, request))).toContain('cancelled');
    const again = await pending();
    expect(said(await approve(person('dina', 'team:dba'), again)), 'asked afterwards: it rests on nothing older').toBe('ok');
    expect(requestIn(await approve(SRE, again))).toMatchObject({ state: 'approved' });
  });

  test('a suspension stops asking and approving until it is lifted', async () => {
    const request = await pending();
    const placed = await world.lifecycle.suspend(CONFIGURER, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'look' }, true);
    expect(said(await approve(DBA, request))).toContain('suspended');
    expect(said(await ask())).toContain('suspended');
    await world.lifecycle.lift(person('lea'), { id: placed.ok ? (placed.reply['suspension'] as { id: string }).id : '', persons: [] });
    expect(said(await approve(DBA, request))).toBe('ok');
  });
});

test('scopes that are asked for lie within what the parameters say, so that what is asked for one place gives nothing at another', async () => {
  const { policy } = world.at;
  world.at.policy = policy && {
    ...policy,
    entitlement: (id) => { const data = policy.entitlement(id); return data && { ...data, scopes: [{ actions: ['*'], resource: { type: 'http', id: 'orders-db.local/{env}/**' } }], parameters: { env: { oneOf: ['staging', 'prod'] } } }; },
  };
  const at = (env: string) => [{ actions: ['GET'], resource: { type: 'http', id: `orders-db.local/${env}/a` } }];
  expect(said(await ask(DATA, { parameters: { env: 'staging' }, scopes: at('prod') }))).toContain('/scopes');
  expect(said(await ask(DATA, { parameters: { env: 'staging' }, scopes: [...at('staging'), ...at('prod')] }))).toContain('/scopes');
  for (const env of ['**', '*', 'prod%2f..', '..', 'prod/x', '']) expect(said(await ask(DATA, { parameters: { env } })), env).toContain('/parameters/env');
  expect(said(await ask(DATA, { parameters: { env: 'staging' }, scopes: at('staging') })), 'the control').toBe('ok');
});

test('emergency access that others approved is also that of who asked: they do not review it, and are stopped where the review is overdue', async () => {
  const { policy } = world.at;
  world.at.policy = policy && { ...policy, entitlement: (id) => { const data = policy.entitlement(id); return data && { ...data, approval: { count: 1, by: ['team:dba'] } }; } };
  await register({ id: 'spiffe://dev.local/ops/console' });
  const onCall = person('dora', 'group:on-call');
  const asked = requestIn(await world.requests.create(onCall, { entitlement: 'break-glass-prod', workload: 'spiffe://dev.local/ops/console', ttlMs: HOUR / 4, justification: 'the shop is down', reference: 'INC-1' }, 'break-glass'));
  const done = requestIn(await approve(DBA, asked as { id: string; digest: string }));
  const id = done['grant'] as string;
  const [record, noted] = await world.store.read('default', [{ kind: 'grant', id }, { kind: 'emergency', id: 'person:user:dora' }]);
  const grant = readGrant(record?.value ?? {});
  if (grant === undefined) throw new Error('no grant');
  const review = openReview(grant, T0 as Instant, { decision: 'd', pep: null });
  expect([...review.owners, review.issuedBy]).toEqual(expect.arrayContaining(['user:dora', 'user:dan']));
  expect(stoppedBy(review)).toContainEqual({ kind: 'owner', value: 'user:dora' });
  expect(noted?.value).toMatchObject({ grants: [id] });
});

test('a request that nobody decides expires; by its state at once, and nothing revives it', async () => {
  const request = await pending();
  world.at.now = T0 + 24 * HOUR - 1;
  expect(await stateOf(request.id)).toBe('pending');
  world.at.now = T0 + 24 * HOUR;
  expect(await stateOf(request.id)).toBe('expired');
  expect(said(await approve(DBA, request))).toContain('expired');
});

test('demand(18): a start in the future: nothing before it, nothing after its end; too late to approve is too late', async () => {
  const window = { ttlMs: undefined, notBefore: T0 + HOUR, expiresAt: T0 + 2 * HOUR };
  const request = await pending(DATA, window);
  await approve(DBA, request);
  const grant = requestIn(await approve(SRE, request))['grant'] as string;
  const state = async (): Promise<unknown> => (await world.inspect.grant('default', grant))?.['state'];
  expect(await state()).toBe('scheduled');
  world.at.now = T0 + HOUR;
  expect(await state()).toBe('active');
  world.at.now = T0 + 2 * HOUR;
  expect(await state()).toBe('ended');
});

test('denied and cancelled are final; only who asked cancels; another workload does not even learn that it is there', async () => {
  const denied = await pending();
  expect(said(await world.requests.deny(DBA, denied.id, ''))).toContain('/reason');
  expect(requestIn(await world.requests.deny(DBA, denied.id, 'not now'))).toMatchObject({ state: 'denied', reason: 'not now', decidedBy: 'user:dan' });
  expect(said(await approve(DBA, denied))).toContain('denied already');
  const cancelled = await pending();
  expect(said(await world.requests.cancel(DBA, cancelled.id))).toContain('only who asked');
  expect(said(await world.requests.cancel(workload('spiffe://dev.local/db/x'), cancelled.id))).toContain('no such request');
  expect(requestIn(await world.requests.cancel(DATA, cancelled.id))).toMatchObject({ state: 'cancelled' });
  expect(said(await approve(DBA, cancelled))).toContain('cancelled already');
});

test('one who asks without end is stopped by a limit, which decisions free again', async () => {
  const small = await createWorld({ development: false, config: { requests: { maxPending: 2 } } });
  const keep = world;
  world = small;
  try {
    await register();
    const first = await pending();
    await pending();
    expect(said(await ask())).toContain('wait for a decision');
    await world.requests.deny(DBA, first.id, 'no');
    expect(said(await ask())).toBe('ok');
  } finally {
    world = keep;
    await small.close();
  }
});

test('I8: the last approval twice at once issues one grant', async () => {
  const request = await pending();
  await approve(DBA, request);
  const both = await Promise.all([approve(SRE, request), approve(person('sid', 'team:sre'), request), approve(SRE, request)]);
  expect(both.filter(({ ok }) => ok)).toHaveLength(1);
  expect((await world.inspect.grants('default', {}, { limit: 50 })).items).toHaveLength(1);
});

test('a repeated command answers its first result; the same key with another body is refused', async () => {
  const keyed = (body: JsonObject): Call => ({ ...DATA, idempotency: { principal: 'user:dora', key: 'k1', body } });
  const first = requestIn(await ask(keyed({ a: 1 })));
  const again = await ask(keyed({ a: 1 }));
  expect(again).toMatchObject({ ok: true, replayed: true });
  expect(requestIn(again)['id']).toBe(first['id']);
  expect(said(await ask(keyed({ a: 2 })))).toContain('key-reused');
});
