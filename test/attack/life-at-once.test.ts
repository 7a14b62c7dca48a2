/**
 * The life of grants over the running service in production, in odd orders and at once, asked for by people and workloads with credentials of
 * their own: whatever comes first, what ended is refused at the next use, and nobody gets more than was approved. E12, F2, F4, F6, I2, I13.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMeshBundle } from '../history/mesh-bundle.ts';
import { bundleOf, jwksOf, newKey, signed } from '../identity/forge.ts';
import { startCurfew, temporaryDirectory, type Curfew } from '../runtime/curfew.ts';
import { until } from '../support/until.ts';

const LOGIN = 'https://login.example.org';
const [meshKey, loginKey] = [newKey('ES256', 'm1'), newKey('RS256', 'l1')];
const TEAMS: Readonly<Record<string, readonly string[]>> = { dora: ['data'], dan: ['dba'], dina: ['dba'], sue: ['sre'], sid: ['sre'], carl: ['admins'], ines: ['issuers'] };
const bundle = createMeshBundle();
const directory = temporaryDirectory();
let curfew: Curfew;

const seconds = (): number => Math.floor(Date.now() / 1_000);
const operator = (name: string): string => signed({ alg: 'RS256', kid: 'l1', typ: 'JWT' }, { iss: LOGIN, sub: name, aud: 'curfew-admin', groups: TEAMS[name] ?? [], iat: seconds() - 5, exp: seconds() + 300 }, loginKey);
const svid = (id: string): string => signed({ alg: 'ES256', kid: 'm1', typ: 'JWT' }, { sub: id, aud: 'curfew', iat: seconds() - 5, exp: seconds() + 300 }, meshKey);

interface Got {
  readonly status: number;
  readonly body: any;
}
const send = async (url: string, token: string, method: string, body?: unknown): Promise<Got> => {
  const response = await fetch(url, { method, headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return { status: response.status, body: await response.json() };
};
const by = (name: string, method: string, path: string, body?: unknown): Promise<Got> => send(`http://127.0.0.1:${curfew.ports.admin}/v1${path}`, operator(name), method, body);
const self = (id: string, method: string, path: string, body?: unknown): Promise<Got> => send(`http://127.0.0.1:${curfew.ports.http}/self/v1${path}`, svid(id), method, body);
const uses = async (id: string, path = '/schema/orders', host = 'orders-db.local'): Promise<number> => (await curfew.ask(svid(id), path, { 'x-forwarded-host': host })).status;
const ended = ({ status }: Got): boolean => status === 200 || status === 201;

beforeAll(async () => {
  writeFileSync(join(directory.path, 'mesh.json'), JSON.stringify(bundleOf(meshKey)));
  writeFileSync(join(directory.path, 'login.json'), JSON.stringify(jwksOf(loginKey)));
  const persons = Object.keys(TEAMS).map((name) => `oidc:login.example.org/${name}: user:${name}`).join(', ');
  curfew = await startCurfew({
    directory: directory.path, workers: 2,
    config: `
store: {kind: embedded, path: store}
policy: {bundle: {file: ${bundle.path}}, signing: {required: false}}
decisionLog: {to: file, path: decisions.jsonl}
lifecycle: {directory: {knownOwners: true, onTransfer: end}, sweepIntervalMs: 100}
admin:
  operators:
    issuers: [${LOGIN}]
    groups:
      data: {roles: [issuer], team: team:data}
      dba: {roles: [approver], team: team:dba}
      sre: {roles: [approver, responder], team: team:sre}
      admins: {roles: [configurer, responder], team: team:platform}
      issuers: {roles: [issuer], team: team:support}
    persons: {${persons}}
identity:
  issuers:
    - {kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {file: mesh.json}}
    - {kind: oidc, issuer: ${LOGIN}, audiences: [curfew-admin], keys: {file: login.json}}
`,
  });
}, 120_000);
afterAll(async () => {
  await curfew?.stop();
  directory.remove();
  bundle.remove();
});

let count = 0;
/** A workload nobody has heard of before, registered. */
const fresh = async (kind: 'db' | 'agent'): Promise<string> => {
  const id = `spiffe://example.org/${kind}/w${(count += 1)}`;
  const set = await by('carl', 'PUT', `/workloads/${encodeURIComponent(id)}`, { kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform' });
  expect([set.status, set.body.detail]).toEqual([200, undefined]);
  return id;
};
const ask = async (workload: string, over: object = {}): Promise<{ id: string; digest: string }> => {
  const { status, body } = await by('dora', 'POST', '/requests', { entitlement: 'db-migration', workload, ttlMs: 600_000, justification: 'adds a column', reference: 'CHG-7', ...over });
  expect([status, body.detail]).toEqual([201, undefined]);
  return body;
};
const approve = (name: string, { id, digest }: { id: string; digest: string }) => by(name, 'POST', `/requests/${id}/approve`, { digest });
const person = (name: string, over: object = {}) => by('carl', 'PUT', `/people/user:${name}`, { accounts: [`oidc:login.example.org/${name}`], teams: (TEAMS[name] ?? []).map((team) => `team:${team}`), active: true, ...over });

test('the control: asked, approved by two, used, ended; and more than was approved is refused', async () => {
  const id = await fresh('db');
  expect(await uses(id)).toBe(403);
  const request = await ask(id);
  // Whoever may not approve does not, in whatever order they try.
  for (const name of ['dora', 'carl', 'ines']) expect((await approve(name, request)).status, name).toBe(403);
  expect((await approve('dan', { ...request, digest: 'f'.repeat(64) })).status).toBe(400);
  expect((await approve('dan', request)).body.state).toBe('pending');
  expect([(await approve('dan', request)).status, await uses(id)]).toEqual([403, 403]);
  const done = await approve('sue', request);
  expect(done.body.state).toBe('approved');
  expect([await uses(id), await uses(id, '/rows/1'), await uses(await fresh('db'))]).toEqual([200, 403, 403]);
  expect((await by('sue', 'POST', '/revocations', { selector: { kind: 'grant', value: done.body.grant }, reason: 'over' })).status).toBe(201);
  expect(await uses(id)).toBe(403);
  expect((await by('dora', 'POST', `/grants/${done.body.grant as string}/extensions`, { ttlMs: 1_000, justification: 'more' })).status).not.toBe(201);
});

/** Each ends what the request asks for, or one of those whom its approval rests on; and how it is made good for the next round. */
const endings: readonly (readonly [string, (workload: string, request: string) => Promise<Got>, () => Promise<Got>])[] = [
  ['an approver leaves', () => person('dan', { active: false }), () => person('dan')],
  ['an approver leaves the team', () => person('dina', { teams: [] }), () => person('dina')],
  ['the workload is no more', (id) => by('carl', 'PUT', `/workloads/${encodeURIComponent(id)}`, { kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', active: false }), () => person('dan')],
  ['the workload is revoked', (id) => by('sue', 'POST', '/revocations', { selector: { kind: 'workload', value: id }, reason: 'x' }), () => person('dan')],
  ['an approver is revoked', () => by('carl', 'POST', '/revocations', { selector: { kind: 'approver', value: 'user:sue' }, reason: 'x' }), () => person('sue')],
  ['the owner is revoked', () => by('sue', 'POST', '/revocations', { selector: { kind: 'owner', value: 'team:data' }, reason: 'x' }), () => person('dan')],
  ['the request is denied', (_id, request) => by('sid', 'POST', `/requests/${request}/deny`, { reason: 'x' }), () => person('dan')],
  ['the request is cancelled', (_id, request) => by('dora', 'POST', `/requests/${request}/cancel`, {}), () => person('dan')],
];
test.each(endings)('F6 I2: %s at the very moment of the last approvals: once both are answered nothing is let through, whichever came first', { timeout: 120_000 }, async (name, end, mend) => {
  for (const one of ['dora', 'dan', 'dina', 'sue', 'sid']) expect((await person(one)).status).toBe(200);
  for (let round = 0; round < 4; round += 1) {
    const id = await fresh('db');
    const request = await ask(id);
    // Both of the team, so that whichever of them leaves is among those who approved.
    const approvals = [() => approve(name.includes('team') ? 'dina' : 'dan', request), () => approve('sue', request)];
    if (round % 2 === 0) await approvals.shift()?.();
    const done = await Promise.all(round < 2 ? [...approvals.map((act) => act()), end(id, request.id)] : [end(id, request.id), ...approvals.map((act) => act())]);
    const over = round < 2 ? done.at(-1) : done[0];
    const shown = (await by('dora', 'GET', `/requests/${request.id}`)).body ?? (await by('carl', 'GET', `/requests/${request.id}`)).body;
    // Denied or cancelled too late is an answer too: then the approval stands.
    if (over !== undefined && ended(over)) expect([await uses(id), await uses(id)], `${String(round)}: ${JSON.stringify(shown)}`).toEqual([403, 403]);
    else expect(name).toMatch(/^the request/);
    // Nor does anything later make it good.
    expect((await mend()).status).toBe(200);
    // Two others may, where one whose approval did not count yet was taken away.
    const others = name === 'an approver is revoked' || name.startsWith('an approver leaves') ? ['sue', 'dan', 'dina'] : ['sid', 'dina', 'sue', 'dan'];
    for (const late of others) await approve(late, request);
    if (over !== undefined && ended(over) && !name.startsWith('an approver')) expect(await uses(id), 'also when others approve').toBe(403);
  }
});

test('F2 I3: handed on, extended and ended at once, by two workloads and a ticket: once its task is closed nothing of the tree is let through', { timeout: 120_000 }, async () => {
  for (let round = 0; round < 6; round += 1) {
    const [first, second, third] = [await fresh('agent'), await fresh('agent'), await fresh('agent')];
    const task = (await by('ines', 'POST', '/tasks', { kind: 'ticket', owner: 'team:support' })).body.id as string;
    const mine = await self(first, 'POST', '/requests', { entitlement: 'kb-read', ttlMs: 600_000, task, justification: 'answers', reference: 'T-1' });
    expect([mine.status, mine.body.state]).toEqual([200, 'approved']);
    const give = (from: string, grant: string, to: string, over: object = {}) => self(from, 'POST', `/grants/${grant}/delegations`, { workload: to, scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'kb.local/articles/**' } }], ttlMs: 60_000, justification: 'helps', ...over });
    const { grant } = mine.body as { grant: string };
    const child = await give(first, grant, second);
    expect(child.status).toBe(200);
    const leaf = child.body.id as string;
    const reads = async (id: string) => uses(id, '/articles/1', 'kb.local');
    expect([await reads(first), await reads(second), await reads(third)]).toEqual([200, 200, 403]);
    // What would be more than there is.
    for (const [from, held, over] of [
      [second, grant, {}], [third, leaf, {}], [second, leaf, { workload: first }], [second, leaf, { scopes: [{ actions: ['POST'], resource: { type: 'http', id: 'kb.local/articles/**' } }] }],
      [second, leaf, { scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'kb.local/**' } }] }], [second, leaf, { ttlMs: 900_000 }],
    ] as const) expect((await give(from, held, third, over)).status).toBeGreaterThanOrEqual(400);
    expect(await reads(third)).toBe(403);
    const end = () => (round % 2 === 0 ? by('ines', 'POST', `/tasks/${task}/close`) : by('sue', 'POST', '/revocations', { selector: { kind: 'grant', value: grant }, reason: 'x' }));
    const more = [() => give(second, leaf, third), () => self(first, 'POST', `/grants/${grant}/extensions`, { ttlMs: 60_000, justification: 'more' }), () => give(first, grant, third)];
    const all = await Promise.all([...(round < 3 ? [end] : []), ...more, ...(round < 3 ? [] : [end])].map((act) => act()));
    const over = round < 3 ? all[0] : all.at(-1);
    expect(over !== undefined && ended(over), JSON.stringify(over)).toBe(true);
    expect([await reads(first), await reads(second), await reads(third)], String(round)).toEqual([403, 403, 403]);
    for (const act of more) await act();
    expect([await reads(first), await reads(second), await reads(third)], 'nor by anything later').toEqual([403, 403, 403]);
    if (round % 2 === 0) expect((await by('ines', 'POST', `/tasks/${task}/resume`)).status).toBeGreaterThanOrEqual(400);
  }
});

test('I2 F1: stopped and let go on again at once, by suspension and by pause, while more is handed on and asked for: what stops last stops all, and an answer is what the next use shows', { timeout: 120_000 }, async () => {
  for (let round = 0; round < 4; round += 1) {
    const [first, second, third] = [await fresh('agent'), await fresh('agent'), await fresh('agent')];
    const task = (await by('ines', 'POST', '/tasks', { kind: 'ticket', owner: 'team:support' })).body.id as string;
    const { grant } = (await self(first, 'POST', '/requests', { entitlement: 'kb-read', ttlMs: 600_000, task, justification: 'answers', reference: 'T-1' })).body as { grant: string };
    const give = (from: string, held: string, to: string) => self(from, 'POST', `/grants/${held}/delegations`, { workload: to, scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'kb.local/articles/**' } }], ttlMs: 60_000, justification: 'helps' });
    const reads = async () => [await uses(first, '/articles/1', 'kb.local'), await uses(second, '/articles/1', 'kb.local'), await uses(third, '/articles/1', 'kb.local')];
    const suspend = (name: string, kind: string, value: string) => by(name, 'POST', '/suspensions', { selector: { kind, value }, reason: 'looks odd' });
    const lift = (name: string, { body }: Got) => by(name, 'POST', `/suspensions/${body.id as string}/lift`, { reason: 'fine' });
    const onTask = (verb: string) => by('ines', 'POST', `/tasks/${task}/${verb}`);
    expect((await give(first, grant, second)).status).toBe(200);
    expect(await reads()).toEqual([200, 200, 403]);

    const stopped = await suspend('sue', 'grant', grant);
    expect([stopped.status, ...(await reads())]).toEqual([201, 403, 403, 403]);
    expect((await give(first, grant, third)).status, 'nothing comes of what is suspended').toBeGreaterThanOrEqual(400);
    expect((await lift('sue', stopped)).status, 'nor does who placed it lift it').toBe(403);
    // Lifted, and the workload it is for suspended by another, at the same time, while more is asked for.
    const acts = [() => suspend('carl', 'workload', first), () => lift('sid', stopped), () => give(first, grant, third), () => onTask('pause'), () => onTask('resume')];
    const done = await Promise.all((round % 2 === 0 ? acts : acts.toReversed()).map((act) => act()));
    const [again, lifted, given] = round % 2 === 0 ? done : done.toReversed();
    expect([again?.status, lifted?.status]).toEqual([201, 200]);
    expect(await reads(), 'the workload stands').toEqual([403, 403, 403]);
    expect((await lift('sue', again as Got)).status).toBe(200);
    // What the task says is what the next use shows.
    const open = async () => (await by('ines', 'GET', `/tasks/${task}`)).body.state === 'open';
    const holds = async () => ((await open()) ? [200, 200, given?.status === 200 ? 200 : 403] : [403, 403, 403]);
    expect(await reads()).toEqual(await holds());
    if (!(await open())) expect((await onTask('resume')).status).toBe(200);
    expect(await reads()).toEqual(await holds());
    expect(await open()).toBe(true);
    // Closed while it is paused, resumed and extended: nothing makes it good.
    const last = [() => onTask('close'), () => onTask('pause'), () => onTask('resume'), () => self(first, 'POST', `/grants/${grant}/extensions`, { ttlMs: 60_000, justification: 'more' })];
    const [closed] = round % 2 === 0 ? await Promise.all(last.map((act) => act())) : (await Promise.all(last.toReversed().map((act) => act()))).toReversed();
    expect(closed?.status).toBe(200);
    expect(await reads()).toEqual([403, 403, 403]);
    for (const verb of ['resume', 'beat', 'pause']) expect((await onTask(verb)).status, verb).toBeGreaterThanOrEqual(400);
    for (const over of [{ kind: 'ticket', owner: 'team:support', id: task }, { kind: 'ticket', owner: 'team:support', source: task }]) expect((await by('ines', 'POST', '/tasks', over)).status, 'nor is it opened anew').toBeGreaterThanOrEqual(400);
    expect([...(await reads()), (await give(first, grant, third)).status >= 400]).toEqual([403, 403, 403, true]);
  }
});

test('F6: who asked leaves at the moment of the last approval: what was approved first rests on its owner and approvers, what was not is nothing for good', { timeout: 120_000 }, async () => {
  for (let round = 0; round < 4; round += 1) {
    expect((await person('dora')).status).toBe(200);
    const id = await fresh('db');
    const request = await ask(id);
    await approve('dan', request);
    const [last, left] = await Promise.all(round < 2 ? [approve('sid', request), person('dora', { active: false })] : [person('dora', { active: false }), approve('sid', request)].toReversed());
    expect(left?.status).toBe(200);
    expect(await uses(id)).toBe(last?.status === 200 ? 200 : 403);
    await approve('dina', request);
    expect(await uses(id)).toBe(last?.status === 200 ? 200 : 403);
    expect((await by('dora', 'GET', '/requests')).status, 'their account is nobody').toBe(401);
  }
  expect((await person('dora')).status).toBe(200);
});

test('F4 I13: nobody raises themselves: not by roles, by a team, by an account, by registering a workload, or by another body under the same key', async () => {
  for (const name of ['dora', 'dan', 'ines', 'sue']) {
    for (const [method, path, body] of [
      ['PUT', `/operators/user:${name}`, { roles: ['configurer', 'approver', 'issuer'] }], ['PUT', `/people/user:${name}`, { accounts: [], teams: ['team:dba', 'team:sre'] }],
      ['PUT', `/workloads/${encodeURIComponent('spiffe://example.org/db/mine')}`, { owner: `user:${name}`, fallbackOwner: 'team:data' }],
    ] as const) expect((await by(name, method, path, body)).status, `${name} ${path}`).toBe(403);
  }
  expect((await by('carl', 'PUT', '/operators/user:carl', { roles: ['issuer', 'approver'] })).status, 'nor who configures others').toBe(403);
  // An account of another person is not to be had, and an owner is somebody.
  expect((await person('dora')).status).toBe(200);
  expect((await by('carl', 'PUT', '/people/user:eve', { accounts: ['oidc:login.example.org/dora'], teams: ['team:sre'] })).status).toBe(409);
  expect((await by('carl', 'PUT', `/workloads/${encodeURIComponent('spiffe://example.org/db/nobodys')}`, { owner: 'user:unheard', fallbackOwner: 'team:data' })).status).toBe(400);
});

// The last one: nobody's tokens of before count after it.
test('demand(7): a token that was copied while its access held is nothing once its key is rotated away, and one of the new key is nothing once the session is over', { timeout: 120_000 }, async () => {
  const id = await fresh('agent');
  const task = (await by('ines', 'POST', '/tasks', { kind: 'ticket', owner: 'team:support' })).body.id as string;
  expect((await self(id, 'POST', '/requests', { entitlement: 'kb-read', ttlMs: 600_000, task, justification: 'answers', reference: 'T-1' })).body.state).toBe('approved');
  const copied = svid(id);
  // On connections of their own, so that both workers are asked.
  const answers = async (token: string): Promise<readonly number[]> => [...new Set(await Promise.all(Array.from({ length: 12 }, async () => (await curfew.ask(token, '/articles/1', { 'x-forwarded-host': 'kb.local', connection: 'close' })).status)))];
  expect(await answers(copied)).toEqual([200]);
  const next = newKey('ES256', 'm2');
  writeFileSync(join(directory.path, 'mesh.json'), JSON.stringify(bundleOf(next)));
  await until('what was remembered of the old key is gone', async () => String(await answers(copied)) === '401');
  const rotated = signed({ alg: 'ES256', kid: 'm2', typ: 'JWT' }, { sub: id, aud: 'curfew', iat: seconds() - 5, exp: seconds() + 300 }, next);
  expect(await answers(rotated)).toEqual([200]);
  expect((await by('ines', 'POST', `/tasks/${task}/close`)).status).toBe(200);
  expect(await answers(rotated)).toEqual([403]);
  expect(await answers(copied)).not.toContain(200);
});
