/** Canary secrets through everything that takes one, and through everything that takes text: none comes out anywhere. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleOf, jwksOf, newKey, signed } from '../identity/forge.ts';
import { openClient, unary } from '../grpc/grpc-js.ts';
import { sourceFiles } from '../tidy/source-files.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const LOGIN = 'https://login.example.org';
const [meshKey, loginKey] = [newKey('ES256', 'm1'), newKey('RS256', 'l1')];
const directory = temporaryDirectory();
const canaries = new Map<string, string>();
/** A secret of this kind, to be looked for afterwards. */
const canary = (kind: string): string => {
  const secret = `canary-${kind}-${canaries.size}-zK9qW4`;
  canaries.set(kind, secret);
  return secret;
};
const seconds = (): number => Math.floor(Date.now() / 1_000);
/** The whole token is a secret, and so is what proves it. */
const remember = (kind: string, token: string): string => {
  canaries.set(`${kind} token`, token);
  canaries.set(`${kind} signature`, token.slice(token.lastIndexOf('.') + 1));
  return token;
};

let curfew: Curfew;
let pepToken: string;
let bootstrap: string;
beforeAll(async () => {
  pepToken = canary('pep');
  writeFileSync(join(directory.path, 'mesh.json'), JSON.stringify(bundleOf(meshKey)));
  writeFileSync(join(directory.path, 'login.json'), JSON.stringify(jwksOf(loginKey)));
  writeFileSync(join(directory.path, 'pep-token'), pepToken);
  curfew = await startCurfew({
    directory: directory.path, workers: 1,
    config: `
store: {path: store}
log: {level: debug}
limits: {decisionDeadlineMs: 10000}
decisionLog: {to: file, path: decisions.jsonl, redactHeaders: [x-shop-session]}
admin: {operators: {issuers: [${LOGIN}], groups: {all: {roles: [issuer, responder, configurer]}}, bootstrapTokenFile: bootstrap-token}}
peps: [{id: gw, token: {file: pep-token}, hosts: [shop.local]}]
identity:
  issuers:
    - {kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {file: mesh.json}}
    - {kind: oidc, issuer: ${LOGIN}, audiences: [curfew-admin], keys: {file: login.json}}
`,
  });
  bootstrap = readFileSync(join(directory.path, 'bootstrap-token'), 'utf8').trim();
  canaries.set('bootstrap', bootstrap);
});
afterAll(async () => {
  await curfew?.stop();
  directory.remove();
});

test('G4: canary secrets through every field and error are in no answer, log, record, metric, event or file', async () => {
  const svid = remember('svid', signed({ alg: 'ES256', kid: 'm1', typ: 'JWT' }, { sub: 'spiffe://example.org/ci', aud: 'curfew', iat: seconds(), exp: seconds() + 300 }, meshKey));
  const login = remember('login', signed({ alg: 'RS256', kid: 'l1', typ: 'JWT' }, { iss: LOGIN, sub: 'rita', aud: 'curfew-admin', groups: ['all'], iat: seconds(), exp: seconds() + 300 }, loginKey));
  const forged = remember('forged', signed({ alg: 'ES256', kid: 'm1', typ: 'JWT' }, { sub: 'spiffe://example.org/ci', aud: 'curfew', iat: seconds(), exp: seconds() + 300, secret: canary('claim-of-a-forged-token') }, newKey('ES256', 'm1')));
  let said = '';
  const hear = async (response: Promise<Response>): Promise<number> => {
    const { status, headers, text } = await response.then(async (given) => ({ status: given.status, headers: given.headers, text: await given.text() }));
    said += `${JSON.stringify([...headers])}${text}\n`;
    return status;
  };
  const secretHeaders = {
    cookie: `session=${canary('cookie')}`, 'proxy-authorization': `Basic ${canary('proxy')}`, 'x-api-key': canary('api-key'), 'x-shop-session': canary('configured'), dpop: canary('dpop'),
  };
  const ask = (bearer: string, token = pepToken, more: Record<string, string> = secretHeaders): Promise<number> => hear(fetch(`http://127.0.0.1:${curfew.ports.http}/forward-auth`, {
    headers: {
      authorization: bearer, 'x-curfew-pep-token': token, 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.local',
      'x-forwarded-uri': `/orders/1?access_token=${canary(`query-${canaries.size}`)}&x=1`, ...more,
    },
  }));
  // Decisions: good and bad credentials of every kind, known and unknown gateways.
  const { dpop: _, ...withoutProof } = secretHeaders;
  expect(await ask(`Bearer ${svid}`, pepToken, withoutProof)).toBe(403);
  expect(await ask(`Bearer ${svid}`)).toBe(401);
  expect(await ask(`Bearer ${forged}`)).toBe(401);
  expect(await ask(`Basic ${canary('basic')}`)).toBe(401);
  expect(await ask(`Bearer ${canary('opaque-bearer')}`)).toBe(401);
  expect(await ask(`Bearer ${svid}`, canary('another-pep'))).toBe(401);
  const client = openClient(`127.0.0.1:${curfew.ports.grpc}`);
  const http = { method: 'POST', path: `/orders/1?token=${canary('grpc-query')}`, host: 'shop.local', scheme: 'https', protocol: 'HTTP/1.1', headers: { authorization: `Bearer ${svid}`, cookie: canary('grpc-cookie') } };
  said += JSON.stringify(await unary(client, '/envoy.service.auth.v3.Authorization/Check', ['envoy.service.auth.v3.CheckRequest', 'envoy.service.auth.v3.CheckResponse'], { attributes: { request: { http } } }));
  client.close();
  // Administration: credentials, keys and bodies that are refused.
  const admin = (credential: string, method: string, path: string, body?: unknown, more: Record<string, string> = {}): Promise<number> => hear(fetch(`http://127.0.0.1:${curfew.ports.admin}${path}`, {
    method, headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json', ...more }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }));
  expect(await admin(canary('operator'), 'GET', '/v1/grants')).toBe(401);
  expect(await admin(login, 'GET', '/v1/grants')).toBe(200);
  expect(await admin(login, 'POST', '/v1/explain', { token: svid, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' } })).toBe(200);
  expect(await admin(login, 'POST', '/v1/explain', { token: forged, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' } })).toBe(200);
  expect(await admin(login, 'POST', '/v1/revocations', { selector: { kind: 'credential', value: svid }, reason: 'pasted into the wrong field' })).toBe(400);
  expect(await admin(login, 'POST', '/v1/tasks', { kind: 'ci', owner: 'team:shop', password: canary('unknown-member') })).toBe(400);
  expect(await admin(login, 'POST', '/v1/tasks', { kind: 'ci', owner: 'team:shop' }, { 'idempotency-key': canary('idempotency') })).toBe(201);
  expect(await admin(bootstrap, 'GET', '/v1/grants')).toBe(403);
  // The workload for itself.
  const self = (bearer: string): Promise<number> => hear(fetch(`http://127.0.0.1:${curfew.ports.http}/self/v1/grants`, { headers: { authorization: `Bearer ${bearer}` } }));
  expect([await self(svid), await self(forged)]).toEqual([200, 401]);
  // The command line: its token comes from the environment, and from a file that is none.
  const cli = await runCurfew(['grant', 'list', '--server', `http://127.0.0.1:${curfew.ports.admin}`], { directory: directory.path, env: { CURFEW_TOKEN: canary('cli') } });
  expect(cli.code).toBe(1);
  said += await curfew.metrics();

  const log = (): string => readFileSync(join(directory.path, 'decisions.jsonl'), 'utf8');
  await until('the records', () => log().split('\n').length > 7);
  await curfew.stop();
  const files = readdirSync(join(directory.path, 'store')).map((name) => readFileSync(join(directory.path, 'store', name), 'latin1')).join('');
  const places: Readonly<Record<string, string>> = { answers: said, 'standard output': curfew.stdout() + cli.stdout, 'standard error': curfew.stderr() + cli.stderr, 'the decision log': log(), 'the store': files };
  const found = Object.entries(places).flatMap(([place, text]) => [...canaries].filter(([, secret]) => text.includes(secret)).map(([kind]) => `${kind} in ${place}`));
  expect(found).toEqual([]);
  // Positive control: what is no secret is there, and would have been found.
  expect(log()).toContain('shop.local');
  expect(canaries.size).toBeGreaterThan(20);
});

test('G2: secrets are compared as hashes and in constant time, wherever there are any', () => {
  const comparing = sourceFiles().filter(({ path }) => ['src/gateways/pep.ts', 'src/admin/token-file.ts'].includes(path));
  expect(comparing.map(({ text }) => /timingSafeEqual\(/.test(text))).toEqual([true, true]);
  // No other source keeps a secret to compare with: tokens are verified by signature, and proofs by key.
  const plain = sourceFiles().flatMap(({ path, text }) =>
    [...text.matchAll(/\b(?:secret|password|token|pepToken|apiKey)\b\s*[!=]==\s*(?!undefined|null|''|'string')[\w.]+/g)].map(([comparison]) => `${path}: ${comparison}`));
  expect(plain).toEqual([]);
});
