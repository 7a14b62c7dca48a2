/** I8: Idempotency-Key on the writes of the API, each by a request of it that takes effect. Refreshing bundles changes no store. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Principal } from '../../src/admin/principal.ts';
import { alertRef } from '../../src/domain/alert.ts';
import { manualId, manualRef, openManualRef } from '../../src/domain/lifecycle/manual-rules.ts';
import { recertificationRef } from '../../src/domain/recertification.ts';
import { openReviewRef, reviewRef } from '../../src/domain/review.ts';
import { ROLES } from '../../src/domain/lifecycle/roles.ts';
import { createAdminWorld, OPERATORS, type AdminWorld } from './world.ts';

const MIGRATION = 'spiffe://dev.local/db/migrate';
const CONSOLE = 'spiffe://dev.local/ops/console';
const person = (name: string, ...persons: readonly string[]): Principal => ({ kind: 'operator', id: `user:${name}`, roles: ROLES, groups: [], persons: [`user:${name}`, ...persons] });
const people: Readonly<Record<string, Principal>> = { ...OPERATORS, dora: person('dora', 'team:data'), dan: person('dan', 'team:dba'), sue: person('sue', 'team:sre'), olga: { ...person('olga'), groups: ['on-call'] } };

const REQUEST = { entitlement: 'db-migration', workload: MIGRATION, ttlMs: 3_600_000, justification: 'adds a column', reference: 'CHG-7' };
const GRANT = {
  workload: 'spiffe://dev.local/ci/deployer', model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
  ttlMs: 60_000, owner: 'team:shop', justification: 'deploy', reference: 'CHG-1',
};
const ENDING = { selector: { kind: 'owner', value: 'team:z' }, reason: 'odd' };

let world: AdminWorld;
/** What would be there after much else. */
const put = (...puts: readonly { readonly key: { readonly kind: string; readonly id: string }; readonly value: object }[]) =>
  world.store.commit({ realm: 'default', expect: [], puts: puts as never, events: [] });
const recertified = async () => {
  const { id } = await made('/v1/grants', GRANT);
  const since = world.at.now;
  await put({ key: recertificationRef(id), value: { version: 1, grant: id, workload: GRANT.workload, entitlement: 'db-migration', expiresAt: since + 60_000, owner: 'team:data', since, dueAt: since + 50_000, everyMs: 50_000 } });
  return id;
};
beforeAll(async () => {
  world = await createAdminWorld({ authenticate: async (token) => people[token] });
  const policy = world.at.policy as NonNullable<typeof world.at.policy>;
  world.at.policy = { ...policy, entitlement: (id: string) => { const data = policy.entitlement(id); return data === undefined ? data : { ...data, recertify: { everyMs: 50_000, graceMs: 5_000 } }; } };
  for (const id of [MIGRATION, CONSOLE]) await world.ask('PUT', `/v1/workloads/${encodeURIComponent(id)}`, WORKLOAD_BODY);
});
afterAll(() => world.close());

const WORKLOAD_BODY = { kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true };
const by = (token: string) => ({ authorization: `Bearer ${token}` });
const made = async (path: string, body: object, token = 'all') => {
  const { status, body: answer, text } = await world.ask('POST', path, body, by(token));
  expect(status, text).toBe(201);
  return answer;
};
const request = () => made('/v1/requests', REQUEST, 'dora');
const task = () => made('/v1/tasks', { kind: 'ci', owner: 'team:x', heartbeatMs: 60_000 });
const paused = async () => {
  const { id } = await task();
  await world.ask('POST', `/v1/tasks/${id}/pause`, {});
  return id;
};

/** By the path in the document: a request of it that takes effect. */
const WRITES: Readonly<Record<string, () => Promise<readonly [path: string, body: object | undefined, token?: string]>>> = {
  'post /v1/tasks': async () => ['/v1/tasks', { kind: 'ci', owner: 'team:x' }],
  'post /v1/tasks/{id}/heartbeat': async () => [`/v1/tasks/${(await task()).id}/heartbeat`, undefined],
  'post /v1/tasks/{id}/pause': async () => [`/v1/tasks/${(await task()).id}/pause`, undefined],
  'post /v1/tasks/{id}/resume': async () => [`/v1/tasks/${await paused()}/resume`, undefined],
  'post /v1/tasks/{id}/close': async () => [`/v1/tasks/${(await task()).id}/close`, undefined],
  'post /v1/grants': async () => ['/v1/grants', GRANT],
  'post /v1/revocations': async () => ['/v1/revocations', ENDING],
  'post /v1/suspensions': async () => ['/v1/suspensions', ENDING],
  'post /v1/suspensions/{id}/lift': async () => [`/v1/suspensions/${(await made('/v1/suspensions', ENDING)).id}/lift`, {}],
  'post /v1/requests': async () => ['/v1/requests', REQUEST, 'dora'],
  'post /v1/requests/{id}/approve': async () => {
    const { id, digest } = await request();
    return [`/v1/requests/${id}/approve`, { digest }, 'dan'];
  },
  'post /v1/requests/{id}/deny': async () => [`/v1/requests/${(await request()).id}/deny`, { reason: 'no' }, 'dan'],
  'post /v1/requests/{id}/cancel': async () => [`/v1/requests/${(await request()).id}/cancel`, {}, 'dora'],
  'post /v1/grants/{id}/extensions': async () => {
    const { id, digest } = await request();
    await world.ask('POST', `/v1/requests/${id}/approve`, { digest }, by('dan'));
    const { body } = await world.ask('POST', `/v1/requests/${id}/approve`, { digest }, by('sue'));
    return [`/v1/grants/${body.grant}/extensions`, { ttlMs: 600_000, justification: 'not done' }, 'dora'];
  },
  'post /v1/break-glass': async () => ['/v1/break-glass', { entitlement: 'break-glass-prod', workload: CONSOLE, ttlMs: 900_000, justification: 'the shop is down', reference: 'INC-9' }, 'olga'],
  'put /v1/people/{id}': async () => ['/v1/people/user:new', { accounts: [], teams: ['team:x'], active: true }],
  'put /v1/workloads/{id}': async () => ['/v1/workloads/spiffe:%2F%2Fdev.local%2Fdb%2Fother', WORKLOAD_BODY],
  'put /v1/operators/{id}': async () => ['/v1/operators/user:new', { roles: ['issuer'] }],
  'put /v1/groups/{id}': async () => ['/v1/groups/ldap', { groups: [] }],
  'post /v1/clock/reset': async () => ['/v1/clock/reset', { reason: 'set by hand' }],
  'post /v1/alerts': async () => ['/v1/alerts', undefined],
  'post /v1/alerts/{id}/redeliver': async () => {
    const { id } = await made('/v1/alerts', {});
    const [record] = await world.store.read('default', [alertRef(id)]);
    await put({ key: alertRef(id), value: { ...record?.value, state: 'done' } });
    return [`/v1/alerts/${encodeURIComponent(id)}/redeliver`, undefined];
  },
  'post /v1/manual-revocations/{id}': async () => {
    const { id: grant } = await made('/v1/grants', GRANT);
    const id = manualId(grant, 'mainframe');
    await put({ key: manualRef(id), value: { version: 1, id, grant, workload: GRANT.workload, system: 'mainframe', assignee: 'user:dora', endedAt: world.at.now, dueAt: world.at.now + 60_000, state: 'open' } }, { key: openManualRef(id), value: { version: 1 } });
    return [`/v1/manual-revocations/${encodeURIComponent(id)}`, { proof: 'TICKET-1' }, 'dora'];
  },
  'post /v1/grants/{id}/recertify': async () => [`/v1/grants/${await recertified()}/recertify`, { note: 'still needed' }, 'dora'],
  'post /v1/grants/{id}/grace': async () => [`/v1/grants/${await recertified()}/grace`, { note: 'its owner is away' }, 'sue'],
  'post /v1/reviews/{id}': async () => {
    const { id: grant } = await made('/v1/grants', GRANT);
    const usedAt = world.at.now;
    await put({ key: reviewRef(grant), value: { version: 1, grant, workload: GRANT.workload, owners: ['team:shop'], issuedBy: 'user:olga', decision: 'd', pep: null, usedAt, dueAt: usedAt + 60_000, state: 'open' } }, { key: openReviewRef(grant), value: { version: 1 } });
    return [`/v1/reviews/${grant}`, { outcome: 'real', note: 'the shop was down' }, 'sue'];
  },
};
/** They ask about something, or change no store. */
const NO_WRITES = new Set(['post /v1/explain', 'post /v1/bundles/refresh']);
test('this list names every write of the document, in the default realm and in named ones', async () => {
  const { paths } = (await world.ask('GET', '/openapi.json')).body as { paths: Record<string, Record<string, { parameters?: { in: string; name: string }[] }>> };
  const template = (path: string): string => path.replace(/\{(?!realm)\w+\}/, '{id}');
  const parameters = new Map<string, readonly { in: string; name: string }[]>(Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, of]) => [`${method} ${template(path)}`, of.parameters ?? []] as const)));
  expect([...parameters.keys()].filter((name) => !name.startsWith('get ') && !name.includes('/realms/') && !NO_WRITES.has(name)).sort()).toEqual(Object.keys(WRITES).sort());
  for (const write of Object.keys(WRITES)) {
    for (const name of [write, write.replace('/v1/', '/v1/realms/{realm}/')]) expect(parameters.get(name), name).toContainEqual(expect.objectContaining({ in: 'header', name: 'idempotency-key' }));
  }
});

describe.each(Object.keys(WRITES))('I8: %s', (write) => {
  test('the same again with its key is its first answer, without effect; of another thing it is refused', async () => {
    const prepare = WRITES[write] as (typeof WRITES)[string];
    const [path, body, token = 'all'] = await prepare();
    const method = write.split(' ', 1)[0]?.toUpperCase() ?? '';
    const headers = { ...by(token), 'idempotency-key': `key-${write.replace(' ', '-')}`, prefer: 'respond-async' };
    const first = await world.ask(method, path, body, headers);
    expect([first.status < 300, first.headers.get('idempotency-replayed')], first.text).toEqual([true, null]);
    const before = world.events();
    world.at.now += 10;
    const again = await world.ask(method, path, body, headers);
    expect([again.status, again.text, again.headers.get('idempotency-replayed')]).toEqual([first.status, first.text, 'true']);
    expect(world.events()).toBe(before);
    if (!write.includes('{id}')) return;
    const [otherPath, otherBody] = method === 'PUT' ? [`${path}2`, body] : await prepare();
    const between = world.events();
    expect((await world.ask(method, otherPath, otherBody, headers)).body).toMatchObject({ status: 422, code: 'key-reused' });
    expect(world.events()).toBe(between);
  });
});
