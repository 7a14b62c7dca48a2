/** Handing a grant on: narrower, shorter, of bounded depth, never in a circle; ending any link denies what hangs on it. Each attack beside its control. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { createWorld, T0, type World } from './world.ts';

const HOUR = 3_600_000;
const [ONE, TWO, THREE, FOUR] = ['spiffe://dev.local/agent/one', 'spiffe://dev.local/agent/two', 'spiffe://dev.local/agent/three', 'spiffe://dev.local/agent/four'] as const;
const CONFIGURER: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:carl', names: ['user:carl'] } };
const as = (id: string): Call => ({ realm: 'default', actor: { kind: 'workload', id } });

let world: World;
let task: string;
let first: string;
const said = (executed: Executed): string => (executed.ok ? 'ok' : `${executed.failure.code}: ${executed.failure.detail}`);
const register = (id: string, owner = 'team:support', over: object = {}) =>
  world.directory.setWorkload(CONFIGURER, { id, kind: 'agent', owner, fallbackOwner: 'team:platform', tier: 'standard', aliases: [], active: true, ...over });
const scope = (id: string) => [{ actions: ['GET'], resource: { type: 'http', id } }];
const give = (by: string, from: string, workload: string, over: object = {}) =>
  world.delegation.delegate(as(by), { from, workload, scopes: scope('kb.local/articles/a/**'), ttlMs: HOUR, justification: 'helps', ...over });
const grantIn = (executed: Executed): string => {
  if (!executed.ok) throw new Error(said(executed));
  return (executed.reply['grant'] as JsonObject)['id'] as string;
};
const state = async (id: string) => {
  const shown = await world.inspect.grant('default', id);
  return shown?.['endedBecause'] ?? shown?.['state'];
};

beforeEach(async () => {
  world = await createWorld({ development: false });
  for (const id of [ONE, TWO, THREE, FOUR]) await register(id);
  const opened = await world.lifecycle.openTask(CONFIGURER, { kind: 'ticket', owner: 'team:support' });
  task = opened.ok ? (opened.reply['task'] as { id: string }).id : '';
  const asked = await world.requests.create(as(ONE), { entitlement: 'kb-read', workload: ONE, ttlMs: 2 * HOUR, task, justification: 'answers a ticket', reference: 'T-1' }, 'request');
  first = asked.ok ? ((asked.reply['request'] as JsonObject)['grant'] as string) : said(asked);
});
afterEach(() => world.close());

test('demand(9) demand(15) I3: the chain is in the record, and ending any link denies the leaf', async () => {
  const second = grantIn(await give(ONE, first, TWO));
  const third = grantIn(await give(TWO, second, THREE, { scopes: scope('kb.local/articles/a/b') }));
  expect([await state(first), await state(second), await state(third)]).toEqual(['active', 'active', 'active']);
  await world.lifecycle.revoke(CONFIGURER, { selector: { kind: 'workload', value: TWO }, reason: 'leak' }, true);
  expect([await state(first), await state(second), await state(third)]).toEqual(['active', 'grant.revoked', 'grant.revoked']);
  const other = grantIn(await give(ONE, first, FOUR));
  await world.lifecycle.closeTask(CONFIGURER, task, true);
  expect([await state(first), await state(other)]).toEqual(['task.closed', 'task.closed']);
});

test('demand(29) F2: not wider, not longer, not deeper, not in a circle, not what is another\'s', async () => {
  const before = await world.sequence();
  expect(said(await give(ONE, first, TWO, { scopes: scope('kb.local/**') }))).toContain('/scopes');
  expect(said(await give(ONE, first, TWO, { scopes: [] }))).toContain('/scopes');
  expect(said(await give(ONE, first, TWO, { scopes: [{ actions: ['POST'], resource: { type: 'http', id: 'kb.local/articles/a/**' } }] }))).toContain('/scopes');
  expect(said(await give(ONE, first, TWO, { ttlMs: 2 * HOUR + 1 }))).toContain('/ttlMs');
  for (const ttlMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1.5]) expect(said(await give(ONE, first, TWO, { ttlMs })), String(ttlMs)).toContain('/ttlMs');
  expect(said(await give(TWO, first, THREE))).toContain('no such grant');
  expect(said(await give(ONE, first, ONE))).toContain('in the chain');
  expect(said(await give(ONE, first, 'spiffe://dev.local/agent/unknown'))).toContain('not registered');
  expect(await world.sequence()).toBe(before);
  const second = grantIn(await give(ONE, first, TWO));
  expect(said(await give(TWO, second, ONE))).toContain('in the chain');
  const third = grantIn(await give(TWO, second, THREE));
  expect(said(await give(THREE, third, FOUR)), 'kb-read lets it be handed on twice').toContain('no further');
});

test('F2: a circle by another name of the workload is one', async () => {
  await register(ONE, 'team:support', { aliases: ['spiffe://dev.local/agent/also-one'] });
  const second = grantIn(await give(ONE, first, TWO));
  expect(said(await give(TWO, second, 'spiffe://dev.local/agent/also-one'))).toContain('in the chain');
});

test('E12: nothing is handed on of what is revoked, suspended, ended or over', async () => {
  const placed = await world.lifecycle.suspend(CONFIGURER, { selector: { kind: 'workload', value: TWO }, reason: 'look' }, true);
  expect(said(await give(ONE, first, TWO))).toContain('suspended');
  expect(placed.ok).toBe(true);
  await world.lifecycle.revoke(CONFIGURER, { selector: { kind: 'grant', value: first }, reason: 'leak' }, true);
  expect(said(await give(ONE, first, THREE))).toContain('revoked');
  world.at.now = T0 + 2 * HOUR;
  expect(said(await give(ONE, first, FOUR))).not.toBe('ok');
});

test('F6: not to a workload of somebody who approved', async () => {
  const { policy } = world.at;
  world.at.policy = policy && { ...policy, entitlement: (id) => { const data = policy.entitlement(id); return id === 'kb-read' && data !== undefined ? { ...data, approval: { count: 1, by: ['team:dba'] } } : data; }, evaluate: () => ({ kind: 'value', value: true }) };
  await world.directory.setPerson(CONFIGURER, { id: 'user:dan', accounts: [], teams: ['team:dba'], active: true }, 'api');
  const asked = await world.requests.create(as(ONE), { entitlement: 'kb-read', workload: ONE, ttlMs: 2 * HOUR, task, justification: 'x', reference: 'T-1' }, 'request');
  const request = asked.ok ? (asked.reply['request'] as { id: string; digest: string }) : { id: '', digest: '' };
  const done = await world.requests.approve({ realm: 'default', actor: { kind: 'operator', id: 'user:dan', names: ['user:dan', 'team:audit'] } }, request.id, request.digest);
  const grant = done.ok ? ((done.reply['request'] as JsonObject)['grant'] as string) : said(done);
  await register(TWO, 'user:dan');
  expect(said(await give(ONE, grant, TWO))).toContain('user:dan, who approved');
  await register(FOUR, 'team:dba');
  expect(said(await give(ONE, grant, FOUR)), 'by a team of theirs').toContain('user:dan, who approved');
  await register('spiffe://dev.local/agent/five', 'team:audit');
  expect(said(await give(ONE, grant, 'spiffe://dev.local/agent/five')), 'by a team that only their credential told').toContain('user:dan, who approved');
  const second = grantIn(await give(ONE, grant, THREE));
  expect(said(await give(THREE, second, 'spiffe://dev.local/agent/five')), 'and over another').toContain('user:dan, who approved');
  await register('spiffe://dev.local/agent/six');
  expect(said(await give(THREE, second, 'spiffe://dev.local/agent/six')), 'the control').toBe('ok');
});

test('demand(23) demand(34) E12: what is handed on needs somebody who answers for it: not one who has left, and, where a people source says who there is, not one whom nobody knows', async () => {
  await register(TWO, 'user:olga');
  await register(THREE, 'user:unheard');
  expect(said(await give(ONE, first, TWO))).toBe('ok');
  await world.directory.setPerson(CONFIGURER, { id: 'user:olga', accounts: [], teams: [], active: false }, 'api', true);
  expect(said(await give(ONE, first, TWO))).toBe('not-permitted: who answers for that workload has left');
  expect(said(await give(ONE, first, THREE))).toBe('ok');
  world.knownOwners.names = new Set(['team:support']);
  expect(said(await give(ONE, first, THREE))).toContain('is nobody whom the people source');
  expect(said(await give(ONE, first, FOUR))).toBe('ok');
});
