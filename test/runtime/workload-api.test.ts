/** Curfew's own identity from the SPIFFE Workload API: listeners show its SVID, know clients by the mesh's authorities, and follow every change without a restart. */
import { request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleOf, newKey, signed } from '../identity/forge.ts';
import { jwtBundles, startWorkloadServer, svidMessage, x509Bundles, type WorkloadServer } from '../identity/workload-api/server.ts';
import { certificate, type Certificate } from '../identity/x509.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const life = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000 };
const ca = (name: string): Certificate => certificate({ ...life, subject: [{ CN: name }], ca: true });
const [mesh, nextMesh, foreign] = [ca('mesh'), ca('next'), ca('foreign')];
const ID = 'spiffe://example.org/curfew';
const own = (serialHex: string, by = mesh, uris = [ID], times = life): Certificate => certificate({ ...times, by, subject: [{ CN: 'curfew' }], serialHex, uris, dns: ['localhost'] });
const gatewayBy = (by: Certificate, uri = 'spiffe://example.org/gateway'): Certificate => certificate({ ...life, by, subject: [{ CN: 'gateway' }], serialHex: '77', uris: [uri] });
const gateway = gatewayBy(mesh);
const key = newKey('ES256', 'm1');

const directory = temporaryDirectory();
const address = `unix://${join(directory.path, 'agent.sock')}`;
const TLS = '{workloadApi: true, clientTrustDomain: example.org}';
const CONFIG = `
store: {path: store}
decisionLog: {to: file, path: decisions.jsonl}
http: {tls: ${TLS}}
grpc: {tls: ${TLS}}
admin: {tls: {workloadApi: true}}
peps:
  - {id: mesh, certificate: {san: "spiffe://example.org/gateway"}, hosts: [shop.local]}
  - {id: foreign, certificate: {san: "spiffe://foreign.org/gateway"}, hosts: [shop.local]}
identity:
  workloadApi: {address: "${address}", trustDomain: example.org, refreshMs: 1000, timeoutMs: 2000, maxAgeMs: 8000}
  issuers:
    - {kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {workloadApi: true}}
`;

let server: WorkloadServer;
let curfew: Curfew;
beforeAll(async () => {
  server = await startWorkloadServer(address);
  server.say('FetchX509SVID', svidMessage(ID, own('0a'), [mesh]));
  server.say('FetchX509Bundles', x509Bundles({ 'example.org': [mesh], 'foreign.org': [foreign] }));
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': bundleOf(key) }));
  curfew = await startCurfew({ directory: directory.path, config: CONFIG, workers: 1 });
});
afterAll(async () => {
  await curfew?.stop();
  await server?.stop();
  directory.remove();
});

const seconds = (): number => Math.floor(Date.now() / 1_000);
const token = (): string => signed({ alg: key.alg, kid: key.kid }, { sub: 'spiffe://example.org/ci', aud: 'curfew', iat: seconds(), exp: seconds() + 300 }, key);
/** What a gateway with this certificate is told, or that it can't connect. */
const askAs = (shown: Certificate, authorities: readonly Certificate[] = [mesh, nextMesh]): Promise<number | 'refused'> => new Promise((resolve) => {
  const asked = request(
    {
      port: curfew.ports.http, host: 'localhost', path: '/forward-auth', agent: false, ca: authorities.map(({ pem }) => pem), cert: shown.pem, key: shown.keyPem,
      headers: { authorization: `Bearer ${token()}`, 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': '/a' },
    },
    (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', () => resolve('refused'));
    },
  );
  asked.once('error', () => resolve('refused'));
  asked.end();
});
const serialOf = (port: number, shown = gateway): Promise<string | undefined> => new Promise((resolve) => {
  const socket = connect({ port, host: 'localhost', ca: [mesh.pem, nextMesh.pem], cert: shown.pem, key: shown.keyPem, ALPNProtocols: ['h2', 'http/1.1'] });
  socket.once('secureConnect', () => {
    resolve(socket.getPeerX509Certificate()?.serialNumber);
    socket.destroy();
  });
  socket.once('error', () => resolve(undefined));
});
const serials = (): Promise<unknown[]> => Promise.all([curfew.ports.http, curfew.ports.grpc, curfew.ports.admin].map((port) => serialOf(port)));
const shows = (serial: string): Promise<unknown> => until(`SVID ${serial} on all listeners`, async () => (await serials()).every((one) => one === serial));

test('every listener shows the SVID, and two rotations reach them without a restart', { timeout: 90_000 }, async () => {
  expect(await serials()).toEqual(['0A', '0A', '0A']);
  // 403: known as an enforcement point; nothing is granted.
  expect(await askAs(gateway)).toBe(403);
  const workers = curfew.workers();
  server.say('FetchX509SVID', svidMessage(ID, own('0b'), [mesh]));
  await shows('0B');
  server.say('FetchX509SVID', svidMessage(ID, own('0c', nextMesh), [mesh, nextMesh]));
  await shows('0C');
  expect(curfew.workers()).toEqual(workers);
});

test('clients are known by the authorities of the trust domain that was named: no other domain, no stranger, and no name of another domain under its signature', async () => {
  expect(await askAs(gatewayBy(foreign))).toBe('refused');
  expect(await askAs(gatewayBy(foreign, 'spiffe://foreign.org/gateway'))).toBe('refused');
  expect(await askAs(gatewayBy(ca('mesh')))).toBe('refused');
  expect(await askAs(gatewayBy(mesh, 'spiffe://foreign.org/gateway'))).toBe(401);
  expect(await askAs(gateway)).toBe(403);
});

test('a withdrawn authority ends open connections and is known no more, its successor is', { timeout: 90_000 }, async () => {
  const open = [curfew.ports.http, curfew.ports.grpc].map((port) => connect({ port, host: 'localhost', ca: [mesh.pem, nextMesh.pem], cert: gateway.pem, key: gateway.keyPem, ALPNProtocols: ['h2', 'http/1.1'] }));
  await Promise.all(open.map((socket) => new Promise((resolve) => socket.once('secureConnect', resolve))));
  const ended = Promise.all(open.map((socket) => new Promise((resolve) => socket.resume().on('error', () => undefined).once('close', resolve))));
  server.say('FetchX509Bundles', x509Bundles({ 'example.org': [nextMesh] }));
  await ended;
  await until('the old one to be refused', async () => (await askAs(gateway)) === 'refused');
  expect(await askAs(gatewayBy(nextMesh))).toBe(403);
  server.say('FetchX509Bundles', x509Bundles({ 'example.org': [mesh, nextMesh] }));
  await until('both', async () => (await askAs(gateway)) === 403);
});

test('an SVID that is not ours to use changes nothing: another trust domain, another key, another name, another chain, one whose time is over', { timeout: 90_000 }, async () => {
  await shows('0C');
  const hostile = [
    svidMessage('spiffe://foreign.org/curfew', own('1a', foreign, ['spiffe://foreign.org/curfew']), [foreign]),
    svidMessage(ID, own('1b'), [mesh], gateway),
    svidMessage(ID, own('1c', mesh, ['spiffe://example.org/other']), [mesh]),
    svidMessage(ID, own('1d', foreign), [mesh]),
    svidMessage(ID, own('1e', mesh, [ID], { notBefore: Date.now() - 120_000, notAfter: Date.now() - 60_000 }), [mesh]),
  ];
  for (const message of hostile) {
    const opened = server.opened.FetchX509SVID;
    server.say('FetchX509SVID', message);
    // It is refused, and asked for anew, by the supervisor and the worker.
    await until('it to be refused', () => server.opened.FetchX509SVID >= opened + 2);
    expect(await serials()).toEqual(['0C', '0C', '0C']);
  }
  for (const detail of ['another trust domain', 'not that of its SVID', 'not of the SPIFFE ID', 'does not chain', 'not in time']) await until(`it to be said: ${detail}`, () => curfew.stderr().includes(detail));
  expect(curfew.stderr()).not.toMatch(/BEGIN [A-Z ]*PRIVATE KEY/);
  server.say('FetchX509SVID', svidMessage(ID, own('0d'), [mesh]));
  await shows('0D');
});

test('a lost API: what it said is believed for maxAgeMs; then tokens and client certificates count no more, until it is back', { timeout: 90_000 }, async () => {
  expect(await askAs(gateway)).toBe(403);
  await server.stop();
  await until('nobody to be known', async () => (await askAs(gateway)) === 401);
  server = await startWorkloadServer(address);
  server.say('FetchX509SVID', svidMessage(ID, own('0e'), [mesh]));
  server.say('FetchX509Bundles', x509Bundles({ 'example.org': [mesh] }));
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': bundleOf(key) }));
  await until('it to be known again', async () => (await askAs(gateway)) === 403);
  await shows('0E');
});

test('an identity that is taken back is shown to nobody, and given again it is', { timeout: 90_000 }, async () => {
  server.say('FetchX509SVID', { ends: 'PERMISSION_DENIED' });
  await until('nobody to be served', async () => (await serials()).every((serial) => serial === undefined));
  server.say('FetchX509SVID', svidMessage(ID, own('0f'), [mesh]));
  await shows('0F');
  expect(await askAs(gateway)).toBe(403);
});
