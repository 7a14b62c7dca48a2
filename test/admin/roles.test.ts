/** Who may do what: the floor of roles, the policy that narrows it, and what works without any policy. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Principal } from '../../src/admin/principal.ts';
import type { PolicyOutcome } from '../../src/decision/ports.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import { COMMANDS, mayCommand, ROLES } from '../../src/domain/lifecycle/roles.ts';
import { WORKLOAD } from '../lifecycle/world.ts';
import { createAdminWorld, OPERATORS, type AdminWorld } from './world.ts';

let world: AdminWorld;
beforeEach(async () => {
  world = await createAdminWorld({}, { development: true });
});
afterEach(async () => {
  await world.close();
});

const GRANT = {
  workload: WORKLOAD, model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
  ttlMs: 60_000, owner: 'team:shop', justification: 'deploy', reference: 'CHG-1',
};
const REQUEST = { entitlement: 'db-migration', workload: 'spiffe://dev.local/db/migrate', ttlMs: 60_000, justification: 'adds a column', reference: 'CHG-1' };
const SELECTOR = { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leak' };
const as = (token: string) => ({ authorization: `Bearer ${token}` });

/** One request of each command, and who may give it. */
const requests: Readonly<Record<string, readonly [method: string, path: string, body: unknown, may: readonly string[]]>> = {
  'task.open': ['POST', '/v1/tasks', { kind: 'ci', owner: 'team:x' }, ['issuer']],
  'task.beat': ['POST', '/v1/tasks/x/heartbeat', undefined, ['issuer']],
  'task.pause': ['POST', '/v1/tasks/x/pause', undefined, ['issuer']],
  'task.resume': ['POST', '/v1/tasks/x/resume', undefined, ['issuer']],
  'task.close': ['POST', '/v1/tasks/x/close', undefined, ['issuer']],
  'task.read': ['GET', '/v1/tasks', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  'grant.issue': ['POST', '/v1/grants', GRANT, ['issuer']],
  'grant.recertify': ['POST', '/v1/grants/x/recertify', { note: 'x' }, ['issuer', 'approver', 'responder', 'configurer', 'nobody']],
  'grant.grace': ['POST', '/v1/grants/x/grace', { note: 'x' }, ['approver']],
  'grant.read': ['GET', '/v1/grants', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  revoke: ['POST', '/v1/revocations', SELECTOR, ['responder']],
  suspend: ['POST', '/v1/suspensions', SELECTOR, ['responder']],
  lift: ['POST', '/v1/suspensions/x/lift', {}, ['responder']],
  'ending.read': ['GET', '/v1/revocations', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  'entitlement.read': ['GET', '/v1/entitlements', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  explain: ['POST', '/v1/explain', { workload: WORKLOAD, action: 'GET', resource: { type: 'http', id: 'x' } }, ['issuer', 'approver', 'responder', 'configurer']],
  'decision.read': ['GET', '/v1/decisions/00000000-0000-4000-8000-000000000000', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  'record.read': ['GET', '/v1/audit/events', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  'operators.read': ['GET', '/v1/operators', undefined, ['configurer', 'bootstrap']],
  'operators.set': ['PUT', '/v1/operators/user:new', { roles: ['issuer'] }, ['configurer', 'bootstrap']],
  'node.read': ['GET', '/v1/status', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  'bundle.refresh': ['POST', '/v1/bundles/refresh', undefined, ['configurer']],
  'report.read': ['GET', '/v1/orphans', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  'manual.finish': ['POST', '/v1/manual-revocations/x', { proof: 'ticket 7' }, ['issuer', 'approver', 'responder', 'configurer']],
  'group.import': ['PUT', '/v1/groups/ldap', { groups: [] }, ['configurer']],
  'review.read': ['GET', '/v1/reviews', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  'review.close': ['POST', '/v1/reviews/x', { outcome: 'real', note: 'seen' }, ['approver', 'responder']],
  'alert.read': ['GET', '/v1/alerts', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  'alert.test': ['POST', '/v1/alerts', undefined, ['responder', 'configurer']],
  'alert.redeliver': ['POST', '/v1/alerts/x/redeliver', undefined, ['responder', 'configurer']],
  'request.create': ['POST', '/v1/requests', REQUEST, ['issuer', 'approver', 'responder', 'configurer', 'nobody']],
  'request.cancel': ['POST', '/v1/requests/x/cancel', {}, ['issuer', 'approver', 'responder', 'configurer', 'nobody']],
  'request.read': ['GET', '/v1/requests', undefined, ['issuer', 'approver', 'responder', 'configurer', 'nobody']],
  'request.approve': ['POST', '/v1/requests/x/approve', { digest: 'x' }, ['approver']],
  'request.deny': ['POST', '/v1/requests/x/deny', { reason: 'x' }, ['approver']],
  'break-glass.open': ['POST', '/v1/break-glass', { ...REQUEST, entitlement: 'break-glass-prod', workload: 'spiffe://dev.local/ops/fix' }, ['issuer', 'approver', 'responder', 'configurer', 'nobody']],
  'person.set': ['PUT', '/v1/people/user:new', {}, ['configurer']],
  'workload.set': ['PUT', '/v1/workloads/spiffe%3A%2F%2Fdev.local%2Fci%2Fnew', { owner: 'team:a', fallbackOwner: 'team:b' }, ['configurer']],
  'directory.read': ['GET', '/v1/people', undefined, ['issuer', 'approver', 'responder', 'configurer']],
  'clock.reset': ['POST', '/v1/clock/reset', { reason: 'set by hand' }, ['configurer']],
};

test('the table of commands is the table of this test', () => {
  expect(Object.keys(requests).sort()).toEqual([...COMMANDS].sort());
  for (const command of COMMANDS) expect(ROLES.filter((role) => mayCommand([role], command)), command).toEqual(ROLES.filter((role) => requests[command]?.[3].includes(role)));
});

test.each(Object.keys(requests))('%s: who may, may; who may not gets 403 and changes nothing', async (command) => {
  const [method, path, body, may] = requests[command] ?? ['', '', undefined, []];
  for (const token of ['issuer', 'approver', 'responder', 'configurer', 'nobody', 'bootstrap']) {
    const before = world.events();
    const { status, body: answer } = await world.ask(method, path, body, as(token));
    if (may.includes(token)) expect([200, 201, 404], `${token} ${status}`).toContain(status);
    else {
      expect([status, answer.code], token).toEqual([403, 'forbidden']);
      expect(world.events()).toBe(before);
    }
  }
});

test.each(Object.keys(requests))('%s, by an operator whose token may be out of time: only what ends access, or is about the clock', async (command) => {
  const [method, path, body] = requests[command] ?? ['', '', undefined];
  const untimed = await createAdminWorld({ authenticate: async () => ({ ...(OPERATORS['all'] as Principal), kind: 'operator', untimed: true }) }, { development: true });
  untimed.at.trusted = false;
  const before = untimed.events();
  const { status, body: answer } = await untimed.ask(method, path, body);
  if (['revoke', 'suspend', 'task.pause', 'task.close', 'clock.reset'].includes(command)) expect([200, 201, 404]).toContain(status);
  else {
    expect([status, answer.code]).toEqual([503, 'clock-untrusted']);
    expect(untimed.events()).toBe(before);
  }
  await untimed.close();
});

describe('the policy narrows and never widens', () => {
  const seen: JsonObject[] = [];
  const withPolicy = (outcome: PolicyOutcome | (() => never) | Promise<PolicyOutcome>): Promise<AdminWorld> =>
    createAdminWorld({
      policy: () => ({
        evaluate: (_entrypoint, input) => {
          seen.push(input);
          return typeof outcome === 'function' ? outcome() : outcome;
        },
      }),
    });
  const value = (result: JsonValue): PolicyOutcome => ({ kind: 'value', value: result });

  const answers: readonly (readonly [string, PolicyOutcome, number])[] = [
    ['true', value(true), 201], ['allow true', value({ allow: true }), 201], ['false', value(false), 403], ['allow false with reasons', value({ allow: false, reasons: ['freeze'] }), 403],
    ['allow true and allowed false', value({ allow: true, allowed: false }), 403], ['"true"', value('true'), 403], ['1', value(1), 403], ['{}', value({}), 403], ['[]', value([]), 403], ['null', value(null), 403],
    ['undefined', { kind: 'undefined' }, 403], ['failed', { kind: 'failed', reason: 'policy.error', detail: 'secret detail' }, 503],
  ];
  test.each(answers)('D3: %s', async (_name, outcome, status) => {
    const narrowed = await withPolicy(outcome);
    const issued = await narrowed.ask('POST', '/v1/grants', GRANT, as('issuer'));
    expect(issued.status).toBe(status);
    expect(issued.text).not.toContain('secret detail');
    expect(narrowed.events()).toBe(status === 201 ? 1 : 0);
    // What the floor forbids stays forbidden, whatever the policy says.
    expect((await narrowed.ask('POST', '/v1/grants', GRANT, as('responder'))).status).toBe(403);
    await narrowed.close();
  });

  test('an answer from another process, and one that never came', async () => {
    const later = await withPolicy(Promise.resolve(value(true)));
    expect((await later.ask('POST', '/v1/grants', GRANT, as('issuer'))).status).toBe(201);
    await later.close();
    const thrown = await withPolicy(() => { throw new Error('gone'); });
    expect((await thrown.ask('POST', '/v1/grants', GRANT, as('issuer'))).status).toBe(500);
    expect(thrown.events()).toBe(0);
    await thrown.close();
  });

  test('it is told the operator, the command and its target', async () => {
    seen.length = 0;
    const narrowed = await withPolicy(value(true));
    await narrowed.ask('POST', '/v1/tasks/t-1/close', {}, as('issuer'));
    expect(seen).toEqual([{ curfew: expect.objectContaining({ command: 'task.close', realm: 'default', target: { id: 't-1' }, operator: { id: 'user:ines', roles: ['issuer'], groups: [] } }) }]);
    await narrowed.close();
  });

  test('the committed pack agrees with the floor', async () => {
    for (const command of COMMANDS) {
      const [method, path, body] = requests[command] ?? ['', '', undefined];
      for (const role of ROLES) {
        if (!mayCommand([role], command)) continue;
        const { status, text } = await world.ask(method, path, body, as(role));
        expect([200, 201, 404], `${command} by ${role}: ${text}`).toContain(status);
      }
    }
  });
});

describe('DESIGN 10: a responder can revoke and suspend with a broken or hostile bundle', () => {
  const hostile: readonly (readonly [string, Parameters<typeof createAdminWorld>[0]])[] = [
    ['none', { policy: () => undefined }],
    ['one that denies', { policy: () => ({ evaluate: () => ({ kind: 'value', value: false }) }) }],
    ['one that throws', { policy: () => ({ evaluate: () => { throw new Error('boom'); } }) }],
    ['one that never answers', { policy: () => ({ evaluate: () => new Promise(() => undefined) }) }],
  ];
  test.each(hostile)('%s', async (_name, over) => {
    const broken = await createAdminWorld(over);
    for (const path of ['/v1/revocations', '/v1/suspensions']) expect((await broken.ask('POST', path, SELECTOR, as('responder'))).status).toBe(201);
    expect((await broken.ask('GET', '/v1/revocations', undefined, as('responder'))).body.items).toHaveLength(1);
    await broken.close();
  });

  test('without a bundle nothing is issued', async () => {
    const broken = await createAdminWorld({ policy: () => undefined });
    const { status, body } = await broken.ask('POST', '/v1/grants', GRANT);
    expect([status, body.code]).toEqual([503, 'unavailable']);
    await broken.close();
  });
});

describe('I13: no operator enlarges what they may do', () => {
  test('nobody changes their own roles', async () => {
    expect((await world.ask('PUT', '/v1/operators/user:carl', { roles: [...ROLES] }, as('configurer'))).status).toBe(403);
    expect((await world.ask('PUT', '/v1/operators/user:new', { roles: ['responder'] }, as('configurer'))).body).toMatchObject({ id: 'user:new', roles: ['responder'], setBy: 'user:carl' });
    expect((await world.ask('PUT', '/v1/operators/user:new', { roles: [] }, as('configurer'))).body.roles).toEqual([]);
  });
  test('an operator is a person or an account, by one spelling', async () => {
    for (const id of ['bootstrap', 'team:shop', 'alice', 'user:', 'user:a%20b', 'spiffe:%2F%2Fdev.local%2Fx', 'user:a%0a', 'oidc:idp.example']) {
      expect((await world.ask('PUT', `/v1/operators/${id}`, { roles: ['issuer'] }, as('configurer'))).status, id).toBe(400);
    }
    expect((await world.ask('PUT', '/v1/operators/oidc:idp.example%2Falice', { roles: ['issuer'] }, as('configurer'))).body.id).toBe('oidc:idp.example/alice');
    expect((await world.ask('PUT', '/v1/operators/user:x', { roles: ['admin'] }, as('configurer'))).status).toBe(400);
    expect((await world.ask('PUT', '/v1/operators/user:x', {}, as('configurer'))).status).toBe(400);
  });
  test('a suspension is not lifted by the one who placed it, nor by whom it concerns (production)', async () => {
    const production = await createAdminWorld({}, { development: false });
    const { body } = await production.ask('POST', '/v1/suspensions', { selector: { kind: 'owner', value: 'team:shop' }, reason: 'odd' }, as('responder'));
    expect((await production.ask('POST', `/v1/suspensions/${body.id}/lift`, {}, as('responder'))).body.code).toBe('not-permitted');
    expect((await production.ask('POST', `/v1/suspensions/${body.id}/lift`, {}, as('shop-responder'))).body.code).toBe('not-permitted');
    expect((await production.ask('POST', `/v1/suspensions/${body.id}/lift`, { reason: 'fine' }, as('responder2'))).body).toMatchObject({ state: 'lifted', liftedBy: 'user:rob', liftReason: 'fine' });
    await production.close();
  });
});

test('I8: every write takes an Idempotency-Key and replays status and body', async () => {
  const opened = (await world.ask('POST', '/v1/tasks', { kind: 'ci', owner: 'team:x', heartbeatMs: 60_000 })).body;
  const suspended = (await world.ask('POST', '/v1/suspensions', { selector: { kind: 'owner', value: 'team:y' }, reason: 'odd' })).body;
  const writes: readonly (readonly [string, string, object])[] = [
    ['POST', '/v1/tasks', { kind: 'ci', owner: 'team:x' }], ['POST', `/v1/tasks/${opened.id}/heartbeat`, {}], ['POST', `/v1/tasks/${opened.id}/pause`, {}], ['POST', `/v1/tasks/${opened.id}/resume`, {}],
    ['POST', `/v1/tasks/${opened.id}/close`, {}], ['POST', '/v1/grants', GRANT], ['POST', '/v1/revocations', SELECTOR], ['POST', '/v1/suspensions', SELECTOR], ['POST', `/v1/suspensions/${suspended.id}/lift`, {}],
    ['PUT', '/v1/operators/user:new', { roles: ['issuer'] }],
  ];
  for (const [method, path, body] of writes) {
    const headers = { 'idempotency-key': `key-${path}`, prefer: 'respond-async' };
    const first = await world.ask(method, path, body, headers);
    expect(first.status, `${path} ${first.text}`).toBeLessThan(300);
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    const before = world.events();
    world.at.now += 10;
    const again = await world.ask(method, path, body, headers);
    expect([again.status, again.text, again.headers.get('idempotency-replayed')], path).toEqual([first.status, first.text, 'true']);
    expect(world.events(), path).toBe(before);
    // The same status whatever the repeated request prefers.
    expect((await world.ask(method, path, body, { 'idempotency-key': `key-${path}` })).status).toBe(first.status);
  }
  const other = await world.ask('POST', '/v1/grants', { ...GRANT, ttlMs: 1 }, { 'idempotency-key': 'key-/v1/grants' });
  expect([other.status, other.body.code]).toEqual([422, 'key-reused']);
  expect((await world.ask('POST', '/v1/grants', GRANT, { 'idempotency-key': 'key-/v1/grants', ...as('issuer') })).headers.get('idempotency-replayed')).toBeNull();
  expect((await world.ask('POST', '/v1/realms/other/grants', GRANT, { 'idempotency-key': 'key-/v1/grants' })).headers.get('idempotency-replayed')).toBeNull();
});

test('the operators of the tests have the roles that their names say', () => {
  expect(OPERATORS['nobody']?.roles).toEqual([]);
});
