/** The admin API's contract: paths, member names, statuses. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createAdminWorld, type AdminWorld } from './world.ts';
import { T0, WORKLOAD } from '../lifecycle/world.ts';

let world: AdminWorld;
beforeEach(async () => {
  world = await createAdminWorld();
});
afterEach(async () => {
  await world.close();
});

const GRANT = {
  workload: WORKLOAD, model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
  ttlMs: 60_000, owner: 'team:shop', justification: 'deploy', reference: 'CHG-1',
};
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

test('demand(4) demand(41): a grant is issued with its end, read back with its state, and listed', async () => {
  const issued = await world.ask('POST', '/v1/grants', GRANT);
  expect(issued.status).toBe(201);
  expect(issued.body).toMatchObject({
    workload: WORKLOAD, state: 'active', notBefore: new Date(T0).toISOString(), expiresAt: new Date(T0 + 60_000).toISOString(), owner: 'team:shop', direct: true,
  });
  expect(issued.body.position).toMatch(/^[A-Za-z0-9_-]+\.1$/);
  const read = await world.ask('GET', `/v1/grants/${issued.body.id}`);
  expect(read.status).toBe(200);
  const { history, ...same } = read.body;
  expect(same).toEqual(issued.body);
  expect(history).toMatchObject([{ type: 'grant.issued', by: 'user:dev', direct: true }]);
  const listed = await world.ask('GET', '/v1/grants');
  expect(listed.body).toEqual({ items: [issued.body] });
  world.at.now += 60_000;
  expect((await world.ask('GET', `/v1/grants/${issued.body.id}`)).body).toMatchObject({ state: 'ended', endedBecause: 'grant.expired' });
});

test('demand(18): a window given by its two instants is scheduled before it begins', async () => {
  const { ttlMs: _, ...rest } = GRANT;
  const window = { notBefore: new Date(T0 + 10_000).toISOString(), expiresAt: new Date(T0 + 20_000).toISOString() };
  const issued = await world.ask('POST', '/v1/grants', { ...rest, ...window });
  expect(issued.status).toBe(201);
  expect(issued.body).toMatchObject({ state: 'scheduled', ...window });
  expect((await world.ask('GET', `/v1/grants/${issued.body.id}`)).body.state).toBe('scheduled');
  world.at.now += 10_000;
  expect((await world.ask('GET', `/v1/grants/${issued.body.id}`)).body.state).toBe('active');
});

test('demand(19) demand(25): a jit grant ends when its task closes, and a task tells its life', async () => {
  const task = await world.ask('POST', '/v1/tasks', { kind: 'ci-run', owner: 'team:shop', reference: 'run-7', heartbeatMs: 10_000 });
  expect(task.status).toBe(201);
  expect(task.body).toMatchObject({ kind: 'ci-run', owner: 'team:shop', reference: 'run-7', state: 'open', heartbeatMs: 10_000 });
  const { id } = task.body;
  const grant = await world.ask('POST', '/v1/grants', { ...GRANT, model: 'jit', task: id, reference: undefined });
  expect(grant.status).toBe(201);
  const because = async () => (await world.ask('GET', `/v1/grants/${grant.body.id}`)).body.endedBecause;
  expect(await because()).toBeUndefined();
  world.at.now += 9_000;
  expect((await world.ask('POST', `/v1/tasks/${id}/heartbeat`)).body.lastBeatAt).toBe(new Date(T0 + 9_000).toISOString());
  expect((await world.ask('POST', `/v1/tasks/${id}/pause`)).body.state).toBe('paused');
  expect(await because()).toBe('task.paused');
  world.at.now += 30_000;
  expect((await world.ask('POST', `/v1/tasks/${id}/resume`)).body.state).toBe('open');
  expect(await because()).toBeUndefined();
  const closed = await world.ask('POST', `/v1/tasks/${id}/close`, {});
  expect(closed.status).toBe(200);
  expect(closed.body).toMatchObject({ state: 'closed', closedBy: 'user:dev', endedBecause: 'task.closed' });
  expect(await because()).toBe('task.closed');
  expect((await world.ask('GET', `/v1/tasks/${id}`)).body).toEqual(closed.body);
  expect((await world.ask('GET', `/v1/grants?task=${id}`)).body.items.map((item: any) => item.id)).toEqual([grant.body.id]);
  expect((await world.ask('GET', `/v1/grants/${grant.body.id}`)).body.history.map((event: any) => event.type))
    .toEqual(['grant.issued', 'task.paused', 'task.resumed', 'task.closed']);
});

test('a revocation answers when it is enforced, with where and when; respond-async answers at once', async () => {
  const grant = await world.ask('POST', '/v1/grants', GRANT);
  const revoked = await world.ask('POST', '/v1/revocations', { selector: { kind: 'grant', value: grant.body.id }, reason: 'leak' });
  expect(revoked.status).toBe(201);
  expect(revoked.body).toMatchObject({ effectiveAt: new Date(T0).toISOString(), enforcedAt: new Date(T0 + 250).toISOString(), selector: { kind: 'grant' }, reason: 'leak' });
  expect(revoked.body.position).toMatch(/\.2$/);
  expect(world.settled).toEqual([250]);
  expect((await world.ask('GET', `/v1/revocations/${revoked.body.id}`)).body).toEqual(revoked.body);
  expect((await world.ask('GET', `/v1/grants/${grant.body.id}`)).body).toMatchObject({ state: 'ended', endedBecause: 'grant.revoked' });
  const later = await world.ask('POST', '/v1/revocations', { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leak' }, { prefer: 'respond-async' });
  expect(later.status).toBe(202);
  expect(later.body.effectiveAt).toMatch(INSTANT);
  expect(later.body.notes.join(' ')).toContain('suspension');
  expect(world.settled).toEqual([250]);
});

test('a suspension stops and, lifted, gives back; other realms are apart', async () => {
  const grant = await world.ask('POST', '/v1/grants', GRANT);
  const stop = await world.ask('POST', '/v1/suspensions', { selector: { kind: 'workload', value: WORKLOAD }, reason: 'odd traffic' });
  expect(stop.status).toBe(201);
  expect(stop.body).toMatchObject({ state: 'standing', enforcedAt: new Date(T0 + 250).toISOString() });
  expect((await world.ask('GET', `/v1/grants/${grant.body.id}`)).body.endedBecause).toBe('grant.suspended');
  expect((await world.ask('POST', '/v1/grants', GRANT)).status).toBe(409);
  expect((await world.ask('POST', '/v1/realms/other/grants', GRANT)).status).toBe(201);
  expect((await world.ask('GET', `/v1/realms/other/grants/${grant.body.id}`)).status).toBe(404);
  const lifted = await world.ask('POST', `/v1/suspensions/${stop.body.id}/lift`);
  expect(lifted.status).toBe(200);
  expect(lifted.body).toMatchObject({ state: 'lifted', liftedBy: 'user:dev' });
  expect((await world.ask('GET', `/v1/suspensions/${stop.body.id}`)).body).toEqual(lifted.body);
  expect((await world.ask('GET', `/v1/grants/${grant.body.id}`)).body.state).toBe('active');
  expect((await world.ask('GET', '/v1/realms/unknown/grants')).status).toBe(404);
});

test('W3C trace context is carried through to the history; what is none is left out', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const traceOf = async (given: string | undefined): Promise<unknown> => {
    const { body } = await world.ask('POST', '/v1/grants', GRANT, given === undefined ? {} : { traceparent: given });
    return (await world.ask('GET', `/v1/grants/${body.id}`)).body.history[0].traceparent;
  };
  expect(await traceOf(traceparent)).toBe(traceparent);
  for (const none of [undefined, 'x', traceparent.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)), `${traceparent}, ${traceparent}`]) expect(await traceOf(none)).toBeUndefined();
});

test('the document of the API lists every route', async () => {
  const { status, body } = await world.ask('GET', '/openapi.json', undefined, { authorization: '' });
  expect(world.errors).toEqual([]);
  expect(status).toBe(200);
  expect(Object.keys(body.paths).filter((path) => !path.includes('realm')).sort()).toEqual([
    '/v1/alerts',
    '/v1/alerts/{id}',
    '/v1/alerts/{id}/redeliver',
    '/v1/audit',
    '/v1/audit/events',
    '/v1/break-glass',
    '/v1/bundles/refresh',
    '/v1/clock/reset',
    '/v1/decisions/{id}',
    '/v1/drills',
    '/v1/entitlements',
    '/v1/entitlements/{id}',
    '/v1/exceptions',
    '/v1/explain',
    '/v1/grants',
    '/v1/grants/{id}',
    '/v1/grants/{id}/extensions',
    '/v1/grants/{id}/grace',
    '/v1/grants/{id}/recertify',
    '/v1/groups/{id}',
    '/v1/manual-revocations',
    '/v1/manual-revocations/{id}',
    '/v1/operators',
    '/v1/operators/{id}',
    '/v1/orphans',
    '/v1/people',
    '/v1/people/{id}',
    '/v1/period-report',
    '/v1/recertifications',
    '/v1/requests',
    '/v1/requests/{id}',
    '/v1/requests/{id}/approve',
    '/v1/requests/{id}/cancel',
    '/v1/requests/{id}/deny',
    '/v1/residual',
    '/v1/reviews',
    '/v1/reviews/{id}',
    '/v1/revocations',
    '/v1/revocations/{id}',
    '/v1/standing-share',
    '/v1/status',
    '/v1/suspensions',
    '/v1/suspensions/{id}',
    '/v1/suspensions/{id}/lift',
    '/v1/tasks',
    '/v1/tasks/{id}',
    '/v1/tasks/{id}/close',
    '/v1/tasks/{id}/heartbeat',
    '/v1/tasks/{id}/pause',
    '/v1/tasks/{id}/resume',
    '/v1/workloads',
    '/v1/workloads/{id}',
  ]);
  expect(body.paths['/v1/grants'].post.requestBody.content['application/json'].schema.properties.expiresAt).toMatchObject({ type: 'string', format: 'date-time' });
});

test('the document says what is taken: what an Idempotency-Key is, any position in the record, and that every refusal is a problem', async () => {
  const { body } = await world.ask('GET', '/openapi.json');
  const { parameters, responses } = body.paths['/v1/grants'].post;
  const { pattern } = parameters.find(({ name }: any) => name === 'idempotency-key').schema;
  for (const key of ['a', '!~'.repeat(100), '', 'a b', 'é', 'x'.repeat(201)]) {
    const { status } = await world.ask('POST', '/v1/tasks', { kind: 'ci-run', owner: 'team:shop' }, { 'idempotency-key': Buffer.from(key).toString('latin1') });
    expect(status, key).toBe(new RegExp(pattern).test(key) ? 201 : 400);
  }
  expect(Object.keys(responses).sort()).toEqual(['201', '4XX', '5XX']);
  const { maximum } = body.paths['/v1/audit/events'].get.parameters.find(({ name }: any) => name === 'after').schema;
  for (const after of [2 ** 48, maximum]) expect((await world.ask('GET', `/v1/audit/events?after=${after}`)).body).toMatchObject({ events: [] });
  expect((await world.ask('GET', `/v1/audit/events?after=${BigInt(maximum) + 1n}`)).status).toBe(400);
});

test('a body that the document requires is required: a PUT without one empties nothing', async () => {
  const { body: { paths } } = await world.ask('GET', '/openapi.json');
  await world.ask('PUT', '/v1/people/user:alice', { teams: ['team:shop'] });
  const before = await world.sequence();
  for (const [path, methods] of Object.entries<any>(paths)) {
    for (const [method, { requestBody }] of Object.entries<any>(methods)) {
      if (requestBody?.required !== true) continue;
      const { status, body } = await world.ask(method.toUpperCase(), path.replace('{realm}', 'default').replace('people/{id}', 'people/user:alice').replace('{id}', 'x'));
      expect(status, `${method} ${path}`).toBe(400);
      expect(body.errors.length, `${method} ${path}`).toBeGreaterThan(0);
    }
  }
  expect(await world.sequence()).toBe(before);
  expect((await world.ask('GET', '/v1/people/user:alice')).body.teams).toEqual(['team:shop']);
  expect(paths['/v1/suspensions/{id}/lift'].post.requestBody.required ?? false).toBe(false);
});
