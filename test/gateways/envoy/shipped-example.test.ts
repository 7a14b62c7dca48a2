import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { describeWith, repositoryRoot, requirePart } from '../../parts.ts';
import { extAuthz, shippedConfiguration, startEnvoy } from '../../support/envoy.ts';
import { freePorts } from '../../support/free-ports.ts';
import { rawGet, rawRequest } from '../../support/raw-http.ts';
import { startService } from '../../support/service.ts';
import { certificate as makeCertificate } from '../../identity/x509.ts';
import { startEcho } from '../../grpc/serve.ts';

const FILE = join(repositoryRoot, 'deploy/envoy/envoy.yaml');

const certificate = makeCertificate({ notBefore: Date.now() - 86_400_000, notAfter: Date.now() + 86_400_000, ca: true });

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close();
});

/** A port of loopback that accepts connections and then does what the test says. */
const startSilent = async (onConnection: (socket: Socket) => void): Promise<number> => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({ close: () => server.close() });
  return (server.address() as AddressInfo).port;
};

test('the example says itself what it rests on', () => {
  const config = parse(readFileSync(FILE, 'utf8'));
  const manager = config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
  const authz = manager.http_filters[0].typed_config;
  expect(authz).toMatchObject({
    transport_api_version: 'V3', failure_mode_allow: false, status_on_error: { code: 'Forbidden' }, clear_route_cache: false, encode_raw_headers: true, grpc_service: { timeout: '0.2s' },
  });
  // Envoy calls this filter first, and nothing that could serve a request before it.
  expect(manager.http_filters.map(({ name }: { name: string }) => name)).toEqual(['envoy.filters.http.ext_authz', 'envoy.filters.http.router']);
  expect(manager).toMatchObject({
    use_remote_address: true, forward_client_cert_details: 'SANITIZE', normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: 'REJECT_REQUEST',
    common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST', max_stream_duration: '3600s' },
  });
  expect(config.admin.address.socket_address.address).toBe('127.0.0.1');
});

describeWith(['envoy'], 'the Envoy configuration that is shipped', () => {
  test('is valid as it stands', () => {
    const { status, stderr, stdout } = spawnSync(requirePart('envoy'), ['--mode', 'validate', '-c', FILE], { encoding: 'utf8' });
    expect([status, status === 0 ? '' : `${stdout}${stderr}`]).toEqual([0, '']);
  }, 60_000);

  test('and so are the pieces of its README, put where that says', () => {
    const pieces = [...readFileSync(join(repositoryRoot, 'deploy/envoy/README.md'), 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => parse(text as string));
    expect(pieces).toHaveLength(3);
    const [token, tls, unix] = pieces;
    const config = parse(readFileSync(FILE, 'utf8'));
    Object.assign(extAuthz(config).grpc_service, token);
    const [curfew] = config.static_resources.clusters;
    // The files that it names are the user's.
    const [pair] = tls.transport_socket.typed_config.common_tls_context.tls_certificates;
    Object.assign(pair, { certificate_chain: { inline_string: certificate.pem }, private_key: { inline_string: certificate.keyPem } });
    tls.transport_socket.typed_config.common_tls_context.validation_context.trusted_ca = { inline_string: certificate.pem };
    Object.assign(curfew, tls);
    Object.assign(curfew.load_assignment.endpoints[0].lb_endpoints[0].endpoint, unix);
    const { status, stderr } = spawnSync(requirePart('envoy'), ['--mode', 'validate', '--config-yaml', JSON.stringify(config)], { encoding: 'utf8' });
    expect([status, status === 0 ? '' : stderr]).toEqual([0, '']);
  }, 60_000);

  test('nothing in it is deprecated for the Envoy that is tested', () => {
    const { stderr, stdout } = spawnSync(requirePart('envoy'), ['--mode', 'validate', '-c', FILE, '--log-level', 'warning'], { encoding: 'utf8' });
    expect(`${stdout}${stderr}`).not.toMatch(/deprecated/i);
  }, 60_000);

  const absent: readonly (readonly [name: string, curfew: () => Promise<number>])[] = [
    ['nobody listens where Curfew should', async () => (await freePorts(1))[0] ?? 0],
    ['whoever listens never answers', () => startSilent(() => undefined)],
    ['whoever listens hangs up', () => startSilent((socket) => socket.destroy())],
    ['whoever listens talks nonsense', () => startSilent((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'))],
    ['whoever listens knows no authorization service', async () => {
      const { server } = await startEcho();
      open.push(server);
      return server.port;
    }],
  ];
  test.each(absent)('fails closed when %s', async (_name, curfew) => {
    const service = await startService();
    open.push(service);
    const config = shippedConfiguration({ curfew: await curfew(), service: service.port, patience: 'shipped' });
    const envoy = await startEnvoy(config);
    open.push({ close: () => envoy.stop() });
    const started = performance.now();
    const { status } = await rawRequest(envoy.port(), rawGet('/orders/1'));
    expect(status).toBe(403);
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(service.hits).toEqual([]);
  });
});
