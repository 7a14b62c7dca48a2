/** I12: two realms in one production node, each with its gateway, its issuer and its operators. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleOf, jwksOf, newKey, signed } from '../identity/forge.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const LOGIN = 'https://login.example.org';
const CONFIG = `
realms: [red, blue]
store: {path: store}
limits: {decisionDeadlineMs: 10000}
decisionLog: {to: file, path: decisions.jsonl}
admin:
  operators:
    issuers: [${LOGIN}]
    bootstrapTokenFile: bootstrap-token
    groups:
      red-issuers: {roles: [issuer], realms: [red]}
      blue-issuers: {roles: [issuer], realms: [blue]}
      responders: {roles: [responder]}
    persons:
      oidc:login.example.org/rita: user:rita
      oidc:login.example.org/rob: user:rob
peps:
  - {id: red-gw, token: {env: RED_TOKEN}, realms: [red], hosts: [shop.local]}
  - {id: blue-gw, token: {env: BLUE_TOKEN}, realms: [blue], hosts: [shop.local]}
  - {id: both-gw, token: {env: BOTH_TOKEN}, realms: [blue, red], hosts: [shop.local]}
identity:
  issuers:
    - {kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {file: mesh.json}}
    - {kind: spiffe, trustDomain: red.example.org, realms: [red], audiences: [curfew], bundle: {file: mesh.json}}
    - {kind: oidc, issuer: ${LOGIN}, audiences: [curfew-admin], keys: {file: login.json}}
`;
type Realm = 'red' | 'blue';
const PEP = { red: 'a-token-of-the-red-gateway', blue: 'a-token-of-the-blue-gateway', both: 'a-token-of-one-that-has-both' } as const;
const WORKLOAD = 'spiffe://example.org/ci/deployer';
const [meshKey, loginKey] = [newKey('ES256', 'm1'), newKey('RS256', 'l1')];
const directory = temporaryDirectory();
const seconds = (): number => Math.floor(Date.now() / 1_000);
const svid = (sub = WORKLOAD): string => signed({ alg: 'ES256', kid: 'm1', typ: 'JWT' }, { sub, aud: 'curfew', iat: seconds(), exp: seconds() + 300 }, meshKey);
const operator = (sub: string, ...groups: string[]): string =>
  signed({ alg: 'RS256', kid: 'l1', typ: 'JWT' }, { iss: LOGIN, sub, aud: 'curfew-admin', groups, iat: seconds(), exp: seconds() + 300 }, loginKey);
const RITA = operator('rita', 'responders');
const ROB = operator('rob', 'responders');
const issuerOf = (realm: Realm): string => operator('ines', `${realm}-issuers`);

let curfew: Curfew;
const start = async (): Promise<void> => {
  curfew = await startCurfew({
    directory: directory.path, config: CONFIG, workers: 1, env: { RED_TOKEN: PEP.red, BLUE_TOKEN: PEP.blue, BOTH_TOKEN: PEP.both },
  });
};
beforeAll(async () => {
  writeFileSync(join(directory.path, 'mesh.json'), JSON.stringify(bundleOf(meshKey)));
  writeFileSync(join(directory.path, 'login.json'), JSON.stringify(jwksOf(loginKey)));
  await start();
});
afterAll(async () => {
  await curfew?.stop();
  directory.remove();
});

const ask = async (gateway: keyof typeof PEP, bearer = svid()): Promise<Response> =>
  fetch(`http://127.0.0.1:${curfew.ports.http}/forward-auth`, {
    headers: { authorization: `Bearer ${bearer}`, 'x-curfew-pep-token': PEP[gateway], 'x-forwarded-method': 'POST', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': '/deploy/1' },
  });
const statuses = async (): Promise<readonly number[]> => [(await ask('red')).status, (await ask('blue')).status];
const admin = async (credential: string, method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: any }> => {
  const response = await fetch(`http://127.0.0.1:${curfew.ports.admin}/v1${path}`, {
    method, headers: { authorization: `Bearer ${credential}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
};
const issue = async (realm: Realm): Promise<{ readonly task: string; readonly grant: string }> => {
  const task = await admin(issuerOf(realm), 'POST', `/realms/${realm}/tasks`, { kind: 'ci-run', owner: 'team:shop', reference: `RUN-${realm}` });
  expect(task.status).toBe(201);
  const grant = await admin(issuerOf(realm), 'POST', `/realms/${realm}/grants`, {
    workload: WORKLOAD, model: 'jit', entitlement: 'shop-deploy', task: task.body.id, ttlMs: 600_000, owner: 'team:shop', justification: 'release',
    scopes: [{ actions: ['POST'], resource: { type: 'http', id: 'shop.local/deploy/**' } }],
  });
  expect([grant.status, grant.body.realm]).toEqual([201, realm]);
  return { task: task.body.id, grant: grant.body.id };
};

test("I12: a grant counts in its own realm, by its gateway's word, and is nowhere to be seen in another", async () => {
  const red = await issue('red');
  expect(await statuses()).toEqual([200, 403]);
  // The first realm of a gateway is that of its questions.
  expect((await ask('both')).status).toBe(403);
  for (const path of [`/grants/${red.grant}`, `/tasks/${red.task}`]) {
    expect((await admin(RITA, 'GET', `/realms/red${path}`)).status).toBe(200);
    expect((await admin(RITA, 'GET', `/realms/blue${path}`)).status).toBe(404);
  }
  expect((await admin(RITA, 'GET', '/realms/blue/grants')).body).toEqual({ items: [] });
  expect((await admin(RITA, 'GET', '/realms/blue/tasks')).body).toEqual({ items: [] });
  expect((await admin(issuerOf('red'), 'POST', `/realms/blue/tasks`, { kind: 'ci-run', owner: 'team:shop' })).status).toBe(403);
  expect((await admin(issuerOf('blue'), 'POST', `/realms/blue/tasks/${red.task}/close`)).status).toBe(404);
  expect((await admin(RITA, 'POST', '/realms/blue/revocations', { selector: { kind: 'grant', value: red.grant }, reason: 'x' })).status).toBe(404);
  expect((await admin(RITA, 'GET', '/realms/green/grants')).status).toBe(404);
  expect((await ask('red')).status).toBe(200);
  await issue('blue');
  expect(await statuses()).toEqual([200, 200]);
});

test('I12: an issuer of one realm vouches for nobody in another', async () => {
  const bearer = svid('spiffe://red.example.org/ci');
  expect([(await ask('red', bearer)).status, (await ask('blue', bearer)).status]).toEqual([403, 401]);
});

test('a record is shown in its realm only; curfew decision finds it', async () => {
  const id = (await ask('red')).headers.get('x-curfew-decision-id') ?? '';
  await until('the record', () => readFileSync(join(directory.path, 'decisions.jsonl'), 'utf8').includes(id));
  expect((await admin(RITA, 'GET', `/realms/red/decisions/${id}`)).body).toMatchObject({ id, realm: 'red', pep: 'red-gw' });
  expect((await admin(RITA, 'GET', `/realms/blue/decisions/${id}`)).status).toBe(404);
  const shown = (realm: Realm) => runCurfew(['decision', id, '--realm', realm, '--json', '--server', `http://127.0.0.1:${curfew.ports.admin}`], { directory: directory.path, env: { CURFEW_TOKEN: RITA } });
  expect(JSON.parse((await shown('red')).stdout)).toMatchObject({ id, result: { allow: true } });
  expect((await shown('blue')).code).toBe(1);
});

test("I12: the kill switch of a realm stops that realm; another person than who threw it lifts it", async () => {
  expect(await statuses()).toEqual([200, 200]);
  expect((await admin(RITA, 'POST', '/realms/blue/suspensions', { selector: { kind: 'realm', value: 'red' }, reason: 'not there' })).status).toBe(400);
  const { status, body } = await admin(RITA, 'POST', '/realms/red/suspensions', { selector: { kind: 'realm', value: 'red' }, reason: 'an incident' });
  expect([status, body.state]).toEqual([201, 'standing']);
  expect(await statuses()).toEqual([403, 200]);
  expect((await ask('red')).headers.get('x-curfew-reason')).toBe('ended');
  const lift = (credential: string) => admin(credential, 'POST', `/realms/red/suspensions/${body.id}/lift`, { reason: 'over' });
  expect((await lift(RITA)).status).toBe(403);
  expect((await lift(issuerOf('red'))).status).toBe(403);
  expect(await statuses()).toEqual([403, 200]);
  expect((await lift(ROB)).body).toMatchObject({ state: 'lifted', placedBy: expect.stringContaining('rita'), liftedBy: expect.stringContaining('rob') });
  expect(await statuses()).toEqual([200, 200]);
});

test('demand(6): a revocation of a workload ends it in that realm, also for its next credential of that age; not in the other', async () => {
  const { status } = await admin(RITA, 'POST', '/realms/red/revocations', { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leaked' });
  expect(status).toBe(201);
  expect(await statuses()).toEqual([403, 200]);
});

test('the bootstrap credential is made once: a restart makes no second one, and it still configures operators only', async () => {
  const before = readFileSync(join(directory.path, 'bootstrap-token'), 'utf8');
  await curfew.stop();
  await start();
  expect(readFileSync(join(directory.path, 'bootstrap-token'), 'utf8')).toBe(before);
  const bootstrap = before.trim();
  expect((await admin(bootstrap, 'PUT', '/realms/blue/operators/user:alice', { roles: ['issuer'] })).status).toBe(200);
  expect((await admin(bootstrap, 'GET', '/realms/blue/grants')).status).toBe(403);
  expect((await admin(bootstrap, 'POST', '/clock/reset', { reason: 'x' })).status).toBe(403);
  // What was granted and ended is as it was.
  expect(await statuses()).toEqual([403, 200]);
});
