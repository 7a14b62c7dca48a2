/** Production as it is meant: everything over TLS, gateways that prove themselves by certificates, tokens of a mesh and of GitHub, and keys that change. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { credentials, type Client } from '@grpc/grpc-js';
import { bundleOf, jwksOf, newKey, signed, type TestKey } from '../identity/forge.ts';
import { certificate, type Certificate } from '../identity/x509.ts';
import { openClient, unary } from '../grpc/grpc-js.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const life = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000 };
const authority = certificate({ ...life, subject: [{ CN: 'authority' }], ca: true });
const issue = (serialHex: string, names: { uris?: string[]; dns?: string[]; ips?: string[] }, by = authority): Certificate =>
  certificate({ ...life, by, subject: [{ CN: 'leaf' }], serialHex, ...names });
const server = issue('0a', { dns: ['localhost'], ips: ['127.0.0.1'] });
const renewed = issue('0b', { dns: ['localhost'], ips: ['127.0.0.1'] });
const gateway = issue('0c', { uris: ['spiffe://example.org/gateway'] });
const stranger = issue('0d', { uris: ['spiffe://example.org/stranger'] });
const forged = issue('0e', { uris: ['spiffe://example.org/gateway'] }, certificate({ ...life, subject: [{ CN: 'another' }], ca: true }));
const [meshKey, nextKey, githubKey, loginKey] = [newKey('ES256', 'm1'), newKey('ES256', 'm2'), newKey('RS256', 'g1'), newKey('RS256', 'l1')];

const directory = temporaryDirectory();
const put = (name: string, text: string): void => {
  writeFileSync(join(directory.path, `${name}.new`), text, { mode: 0o600 });
  renameSync(join(directory.path, `${name}.new`), join(directory.path, name));
};
const putServer = (one: Certificate): void => {
  put('key.pem', one.keyPem);
  put('cert.pem', one.pem);
};
const TLS = '{cert: cert.pem, key: key.pem, clientCa: ca.pem}';
const CONFIG = `
store: {path: store}
limits: {decisionDeadlineMs: 10000}
decisionLog: {to: file, path: decisions.jsonl}
http: {tls: ${TLS}}
grpc: {tls: ${TLS}}
admin:
  tls: {cert: cert.pem, key: key.pem}
  operators: {issuers: [https://login.example.org], groups: {issuers: {roles: [issuer]}}}
peps:
  - {id: mesh, certificate: {san: "spiffe://example.org/gateway"}, hosts: [shop.local]}
identity:
  issuers:
    - {kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {file: mesh.json}}
    - {kind: oidc, preset: github, match: {repository_owner_id: "9919"}, audiences: [curfew], keys: {file: github.json}}
    - {kind: oidc, issuer: https://login.example.org, audiences: [curfew-admin], keys: {file: login.json}}
`;

const seconds = (): number => Math.floor(Date.now() / 1_000);
const token = (key: TestKey, claims: object): string => signed({ alg: key.alg, kid: key.kid, typ: 'JWT' }, { aud: 'curfew', iat: seconds(), exp: seconds() + 300, ...claims }, key);
const SERVICE = 'spiffe://example.org/ci/deployer';
const svid = (key = meshKey): string => token(key, { sub: SERVICE });
const JOB = 'oidc:token.actions.githubusercontent.com/repo/77/env/production';
const job = (): string => token(githubKey, { iss: 'https://token.actions.githubusercontent.com', sub: 'repo:o/r:environment:production', repository_owner_id: '9919', repository_id: '77', environment: 'production' });

let curfew: Curfew;
const clients: Client[] = [];
beforeAll(async () => {
  put('ca.pem', authority.pem);
  putServer(server);
  put('mesh.json', JSON.stringify(bundleOf(meshKey)));
  put('github.json', JSON.stringify(jwksOf(githubKey)));
  put('login.json', JSON.stringify(jwksOf(loginKey)));
  curfew = await startCurfew({ directory: directory.path, config: CONFIG, workers: 1 });
});
afterAll(async () => {
  for (const client of clients) client.close();
  await curfew?.stop();
  directory.remove();
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}
const send = (port: number, shown: Certificate | undefined, options: { method?: string; path: string; headers: Record<string, string>; body?: unknown }): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { method = 'GET', path, headers, body } = options;
    const asked = request(
      { port, host: '127.0.0.1', method, path, ca: authority.pem, agent: false, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(shown === undefined ? {} : { cert: shown.pem, key: shown.keyPem }) },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; }).once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      },
    );
    asked.once('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
const ask = (bearer: string, shown: Certificate | undefined = gateway, host = 'shop.local'): Promise<Answer> =>
  send(curfew.ports.http, shown, { path: '/forward-auth', headers: { authorization: `Bearer ${bearer}`, 'x-forwarded-method': 'POST', 'x-forwarded-proto': 'https', 'x-forwarded-host': host, 'x-forwarded-uri': '/deploy/1' } });
const admin = async (path: string, body: unknown): Promise<any> => {
  const answer = await send(curfew.ports.admin, undefined, {
    method: 'POST', path, body, headers: { authorization: `Bearer ${token(loginKey, { aud: 'curfew-admin', iss: 'https://login.example.org', sub: 'ines', groups: ['issuers'] })}` },
  });
  expect([answer.status, answer.body]).toEqual([201, expect.any(String)]);
  return JSON.parse(answer.body);
};
const overGrpc = async (bearer: string, shown: Certificate): Promise<string> => {
  const client = openClient(`localhost:${curfew.ports.grpc}`, credentials.createSsl(Buffer.from(authority.pem), Buffer.from(shown.keyPem), Buffer.from(shown.pem)));
  clients.push(client);
  const http = { method: 'POST', path: '/deploy/1', host: 'shop.local', scheme: 'https', protocol: 'HTTP/1.1', headers: { authorization: `Bearer ${bearer}` } };
  const answer = await unary(client, '/envoy.service.auth.v3.Authorization/Check', ['envoy.service.auth.v3.CheckRequest', 'envoy.service.auth.v3.CheckResponse'], { attributes: { request: { http } } }).catch(() => undefined);
  return answer === undefined ? 'refused' : answer['okResponse'] === undefined ? 'denied' : 'allowed';
};

test('demand(10) demand(61): a SPIFFE service and a GitHub job, granted by an OIDC operator, pass a gateway that shows its certificate, over HTTP and gRPC', async () => {
  const task = await admin('/v1/tasks', { kind: 'ci-run', owner: 'team:shop', reference: 'RUN-1' });
  for (const [workload, bearer] of [[SERVICE, svid()], [JOB, job()]] as const) {
    expect((await ask(bearer)).status).toBe(403);
    const grant = await admin('/v1/grants', {
      workload, model: 'jit', entitlement: 'shop-deploy', task: task.id, ttlMs: 600_000, owner: 'team:shop', justification: 'release',
      scopes: [{ actions: ['POST'], resource: { type: 'http', id: 'shop.local/deploy/**' } }], conditions: { pep: ['mesh'] },
    });
    const allowed = await ask(bearer);
    expect(allowed.status).toBe(200);
    expect(allowed.headers['x-curfew-grant']).toBeUndefined();
    const id = String(allowed.headers['x-curfew-decision-id']);
    const record = await until('the record', () => readFileSync(join(directory.path, 'decisions.jsonl'), 'utf8').split('\n').find((line) => line.includes(id)));
    expect(JSON.parse(record)).toMatchObject({ pep: 'mesh', workload, result: { allow: true, grant: grant.id } });
    expect(await overGrpc(bearer, gateway)).toBe('allowed');
  }
});

test('whoever shows no certificate, a forged one or one of a stranger is nobody; and the gateway asks only about its hosts', async () => {
  await expect(send(curfew.ports.http, undefined, { path: '/forward-auth', headers: {} })).rejects.toThrow();
  await expect(ask(svid(), forged)).rejects.toThrow();
  expect((await ask(svid(), stranger)).status).toBe(401);
  expect((await ask(svid(), gateway, 'elsewhere.local')).status).toBe(403);
  expect([await overGrpc(svid(), stranger), await overGrpc(svid(), forged)]).toEqual(['denied', 'refused']);
});

const serialOf = (port: number): Promise<string | undefined> => new Promise((resolve) => {
  const socket = connect({ port, host: 'localhost', ca: authority.pem, cert: gateway.pem, key: gateway.keyPem, ALPNProtocols: ['h2', 'http/1.1'] });
  socket.once('secureConnect', () => {
    resolve(socket.getPeerX509Certificate()?.serialNumber);
    socket.destroy();
  });
  socket.once('error', () => resolve(undefined));
});

test('certificates of all listeners are taken up without a restart, and one that can not be read changes nothing', { timeout: 120_000 }, async () => {
  const { http, grpc, admin: administration } = curfew.ports;
  const serials = (): Promise<unknown[]> => Promise.all([http, grpc, administration].map(serialOf));
  expect(await serials()).toEqual(['0A', '0A', '0A']);
  putServer(renewed);
  await until('the new certificate', async () => (await serials()).every((serial) => serial === '0B'), 20_000);
  put('cert.pem', 'not a certificate');
  await until('it to be noticed', () => curfew.stderr().includes('certificates can not be read again') && curfew.stderr().includes('new certificate is not used'), 20_000);
  expect(await serials()).toEqual(['0B', '0B', '0B']);
  expect((await ask(svid())).status).toBe(200);
});

test('demand(15): a key that leaves the trust bundle counts no more, its successor does, without a restart', async () => {
  expect((await ask(svid(nextKey))).status).toBe(401);
  put('mesh.json', JSON.stringify(bundleOf(nextKey)));
  await until('the new key', async () => (await ask(svid(nextKey))).status === 200);
  expect((await ask(svid())).status).toBe(401);
});
