import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request as httpsRequest } from 'node:https';
import { credentials, Metadata, type ChannelCredentials } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import type { GrpcTls } from '../../../src/grpc/server.ts';
import { certificate, type Certificate } from '../../identity/x509.ts';
import { openClient, type Json } from '../../grpc/grpc-js.ts';
import { messageType } from '../../../src/grpc/proto/schema.ts';
import { describeWith } from '../../parts.ts';
import { shippedConfiguration, startEnvoy } from '../../support/envoy.ts';
import { startService } from '../../support/service.ts';
import { allowed, startGateway, unlessRefused, type RunningGateway } from './harness.ts';

const DAY = 86_400_000;
const life = { notBefore: Date.now() - DAY, notAfter: Date.now() + DAY };
const authority = certificate({ ...life, subject: [{ CN: 'curfew test authority' }], ca: true });
const otherAuthority = certificate({ ...life, subject: [{ CN: 'somebody else' }], ca: true });
const issue = (options: { uris?: string[]; dns?: string[]; ips?: string[]; by?: Certificate; serialHex?: string }): Certificate =>
  certificate({ ...life, subject: [{ CN: 'leaf' }], by: authority, serialHex: '01', ...options });

const server = issue({ dns: ['localhost', 'curfew.test'], ips: ['127.0.0.1'], serialHex: '02' });
const gatewayCertificate = issue({ uris: ['spiffe://test/gateway'], serialHex: '03' });
const strangerCertificate = issue({ uris: ['spiffe://test/stranger'], serialHex: '04' });
const tls: GrpcTls = { cert: server.pem, key: server.keyPem, clientCa: authority.pem };

const CHECK = { attributes: { request: { http: { method: 'GET', path: '/a', host: 'shop.local', scheme: 'http', protocol: 'HTTP/1.1', headers: {} } }, source: { principal: 'spiffe://test/ci' } } };

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close();
});

const gatewayWith = async (...args: Parameters<typeof startGateway> extends [unknown, ...infer Rest] ? Rest : never): Promise<RunningGateway> => {
  const gateway = await startGateway(unlessRefused((evaluation) => allowed(evaluation)), ...args);
  open.push(gateway);
  return gateway;
};

/** Asks once; gives the reason of a denial, `allowed`, or the gRPC error. */
const ask = async (address: string, { channel = credentials.createInsecure(), tokens = [], message = CHECK }: { channel?: ChannelCredentials; tokens?: readonly string[]; message?: Json } = {}): Promise<string> => {
  const client = openClient(address, channel);
  const metadata = new Metadata();
  for (const token of tokens) metadata.add('x-curfew-pep-token', token);
  const [request, response] = [messageType('envoy.service.auth.v3.CheckRequest'), messageType('envoy.service.auth.v3.CheckResponse')];
  try {
    const answer = await new Promise<Json>((resolve, reject) => {
      client.makeUnaryRequest(
        '/envoy.service.auth.v3.Authorization/Check', (value: Json) => Buffer.from(request.encode(value).finish()), (bytes: Buffer) => response.toObject(response.decode(bytes)),
        message, metadata, { deadline: Date.now() + 10_000 }, (error, value) => (error === null ? resolve(value ?? {}) : reject(error)),
      );
    });
    if (answer['okResponse'] !== undefined) return 'allowed';
    return answer['deniedResponse'].headers.find(({ header }: Json) => header.key === 'x-curfew-reason').header.value;
  } catch (error) {
    return `error ${(error as { code: number }).code}`;
  } finally {
    client.close();
  }
};

const withCertificate = (client?: Certificate, roots = authority): ChannelCredentials =>
  credentials.createSsl(Buffer.from(roots.pem), client === undefined ? null : Buffer.from(client.keyPem), client === undefined ? null : Buffer.from(client.pem));

const PEP_TOKEN = 'a-token-of-the-gateway';
const peps = [
  { id: 'edge', token: { sha256: createHash('sha256').update(PEP_TOKEN).digest('hex') }, hosts: ['shop.local'], realms: ['default', 'second'] },
  { id: 'mesh', certificate: { san: 'spiffe://test/gateway' }, hosts: ['*'], subject: 'peer' },
  { id: 'sidecar', unixListener: 'envoy', hosts: ['*'] },
];

test('an enforcement point proves itself by its token, which must be there once and right', async () => {
  const gateway = await gatewayWith({ peps });
  const [address] = gateway.addresses as [string];
  expect(await ask(address, { tokens: [PEP_TOKEN] })).toBe('allowed');
  expect(gateway.evaluations.at(-1)).toMatchObject({ pep: { id: 'edge' }, realm: 'default', otherPeer: { principal: 'spiffe://test/ci' } });
  for (const tokens of [[], ['wrong-token-of-the-gateway'], [PEP_TOKEN, PEP_TOKEN], [PEP_TOKEN, 'x'], [`${PEP_TOKEN} `.trimEnd().slice(1)]]) {
    expect([tokens, await ask(address, { tokens })]).toEqual([tokens, 'pep.unauthenticated']);
  }
  expect(gateway.evaluations.at(-1)?.pep.id).toBeUndefined();
  // It asks only about its own hosts, and a token in the request's own headers is no token of the gateway.
  const elsewhere = structuredClone(CHECK);
  elsewhere.attributes.request.http.host = 'other.local';
  expect(await ask(address, { tokens: [PEP_TOKEN], message: elsewhere })).toBe('pep.not_permitted');
  const smuggled = { attributes: { request: { http: { ...CHECK.attributes.request.http, headers: { 'x-curfew-pep-token': PEP_TOKEN } } } } };
  expect(await ask(address, { message: smuggled })).toBe('pep.unauthenticated');
});

test('by its client certificate, signed by the configured authority and named in the configuration', async () => {
  const gateway = await gatewayWith({ peps, tls, config: { tls: { cert: 'c', key: 'k', clientCa: 'ca' } } });
  const address = `localhost:${gateway.port}`;
  expect(await ask(address, { channel: withCertificate(gatewayCertificate) })).toBe('allowed');
  expect(gateway.evaluations.at(-1)).toMatchObject({ pep: { id: 'mesh' }, presented: { kind: 'peer', peer: { principal: 'spiffe://test/ci' } } });
  expect(await ask(address, { channel: withCertificate(strangerCertificate) })).toBe('pep.unauthenticated');
  // Two proofs must be of the same enforcement point.
  expect(await ask(address, { channel: withCertificate(gatewayCertificate), tokens: [PEP_TOKEN] })).toBe('pep.unauthenticated');
  const before = gateway.evaluations.length;
  expect(await ask(address, { channel: withCertificate() })).toBe('error 14');
  expect(await ask(address, { channel: withCertificate(issue({ uris: ['spiffe://test/gateway'], by: otherAuthority })) })).toBe('error 14');
  expect(await ask(address)).toBe('error 14');
  expect(gateway.evaluations.length).toBe(before);
});

test('by the Unix socket that it alone can open', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-pep-'));
  open.push({ close: () => rmSync(folder, { recursive: true, force: true }) });
  const gateway = await gatewayWith({ peps, config: { port: 0, unix: { path: join(folder, 'curfew.sock') } } });
  expect(gateway.addresses).toHaveLength(2);
  expect(await ask(gateway.addresses[1] as string)).toBe('allowed');
  expect(gateway.evaluations.at(-1)?.pep.id).toBe('sidecar');
  expect(await ask(gateway.addresses[0] as string)).toBe('pep.unauthenticated');
});

test('nobody is served beyond loopback without proof, unless that is written out; and then asserts nothing', async () => {
  const closed = await gatewayWith({ config: { host: '0.0.0.0' } });
  expect(await ask(`127.0.0.1:${closed.port}`)).toBe('pep.unauthenticated');
  const anonymous = await gatewayWith({ config: { host: '0.0.0.0', pep: 'anonymous' } });
  expect(await ask(`127.0.0.1:${anonymous.port}`)).toBe('allowed');
  expect(anonymous.evaluations.at(-1)).not.toHaveProperty('otherPeer');
  const peers = await gatewayWith({ config: { host: '0.0.0.0', pep: 'anonymous', subject: 'peer' } });
  expect(await ask(`127.0.0.1:${peers.port}`)).toBe('pep.unauthenticated');
});

test('a realm that the enforcement point may not ask about is refused', async () => {
  const second = await gatewayWith({ peps, config: { realm: 'second' } });
  expect(await ask(second.addresses[0] as string, { tokens: [PEP_TOKEN] })).toBe('allowed');
  expect(second.evaluations.at(-1)?.realm).toBe('second');
  const third = await gatewayWith({ peps, config: { realm: 'third' } });
  expect(await ask(third.addresses[0] as string, { tokens: [PEP_TOKEN] })).toBe('pep.not_permitted');
});

test('certificates are replaced without a restart', async () => {
  const gateway = await gatewayWith({ peps, tls, config: { tls: { cert: 'c', key: 'k', clientCa: 'ca' } } });
  const address = `localhost:${gateway.port}`;
  const next = certificate({ ...life, by: otherAuthority, dns: ['localhost'], serialHex: '09' });
  gateway.reloadTls({ cert: next.pem, key: next.keyPem, clientCa: otherAuthority.pem });
  const client = certificate({ ...life, by: otherAuthority, uris: ['spiffe://test/gateway'], serialHex: '0a' });
  expect(await ask(address, { channel: withCertificate(client, otherAuthority) })).toBe('allowed');
  expect(await ask(address, { channel: withCertificate(gatewayCertificate, otherAuthority) })).toBe('error 14');
});

test('TLS in the configuration without certificates, or the reverse, does not start', async () => {
  await expect(startGateway(() => { throw new Error('unreachable'); }, { tls })).rejects.toThrow('certificates');
  await expect(startGateway(() => { throw new Error('unreachable'); }, { config: { tls: { cert: 'c', key: 'k' } } })).rejects.toThrow('certificates');
});

describeWith(['envoy'], 'mutual TLS on both sides of a real Envoy', () => {
  const inline = (text: string) => ({ inline_string: text });
  const context = (own: Certificate, ca: Certificate) => ({
    tls_certificates: [{ certificate_chain: inline(own.pem), private_key: inline(own.keyPem) }],
    validation_context: { trusted_ca: inline(ca.pem) },
  });

  test('demand(37): the subject is the identity that Envoy verified; A5: a forged x-forwarded-client-cert is nobody', async () => {
    const service = await startService();
    open.push(service);
    const gateway = await gatewayWith({ peps, tls, config: { tls: { cert: 'c', key: 'k', clientCa: 'ca' } } });
    const config = shippedConfiguration({ curfew: gateway.port as number, service: service.port });
    config.static_resources.clusters[0].transport_socket = {
      name: 'tls',
      typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', sni: 'curfew.test', common_tls_context: context(gatewayCertificate, authority) },
    };
    config.static_resources.listeners[0].filter_chains[0].transport_socket = {
      name: 'tls',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', require_client_certificate: true, common_tls_context: context(server, authority),
      },
    };
    const envoy = await startEnvoy(config);
    open.push({ close: () => envoy.stop() });
    const workload = issue({ uris: ['spiffe://test/ci/deployer'], serialHex: '05' });
    const get = (client: Certificate): Promise<number> =>
      new Promise((resolve, reject) => {
        httpsRequest({
          host: '127.0.0.1', port: envoy.port(), path: '/a', servername: 'localhost', ca: authority.pem, cert: client.pem, key: client.keyPem, agent: false,
          headers: { host: 'shop.local', 'x-forwarded-client-cert': 'By=x;Hash=00;URI=spiffe://test/admin', authorization: 'Bearer stolen' },
        }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        }).once('error', reject).end();
      });
    expect(await get(workload)).toBe(200);
    const evaluation = gateway.evaluations.at(-1);
    expect(evaluation).toMatchObject({ pep: { id: 'mesh' }, presented: { kind: 'peer', peer: { principal: 'spiffe://test/ci/deployer' } } });
    const { presented } = evaluation!;
    const pem = presented.kind === 'peer' ? (presented.peer.certificatePem ?? '') : '';
    expect(createHash('sha256').update(Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')).digest('hex')).toBe(workload.sha256);
    expect(evaluation?.input).toMatchObject({ source_principal: 'spiffe://test/ci/deployer' });
    expect(service.hits[0]?.headers).not.toHaveProperty('x-forwarded-client-cert');
    expect(JSON.stringify(evaluation?.input)).not.toContain('spiffe://test/admin');
  });
});
