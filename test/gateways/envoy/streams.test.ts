import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../../parts.ts';
import { connectionManager, shippedConfiguration, startEnvoy, type RunningEnvoy } from '../../support/envoy.ts';
import { openConnection, rawGet, rawRequest, type RawConnection } from '../../support/raw-http.ts';
import { BEAT_MS, startService, type Service } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { allowed, startGateway, unlessRefused, type RunningGateway } from './harness.ts';

const EVENTS = ['accept: text/event-stream'];
const UPGRADE = ['connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13', 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=='];

describeWith(['envoy'], 'C5: streams', () => {
  let service: Service;
  let gateway: RunningGateway;
  let envoy: RunningEnvoy;
  let validMs = 60_000;

  beforeAll(async () => {
    service = await startService();
    gateway = await startGateway(unlessRefused((evaluation) => allowed(evaluation, {}, validMs)), {
      routes: [
        { id: 'events', match: { path: '/stream/events' }, maxStreamMs: 30_000 },
        { id: 'short', match: { path: '/stream/short' }, maxStreamMs: 300 },
        { id: 'socket', match: { path: '/socket' }, maxStreamMs: 30_000, upgrade: ['websocket'] },
      ],
    });
    const config = shippedConfiguration({ curfew: gateway.port as number, service: service.port });
    connectionManager(config).route_config.virtual_hosts[0].routes[0].route.upgrade_configs = [{ upgrade_type: 'websocket' }];
    connectionManager(config).common_http_protocol_options.max_stream_duration = '1s';
    envoy = await startEnvoy(config);
  });
  afterAll(async () => {
    await envoy?.stop();
    await gateway?.close();
    await service?.close();
  });

  /**
   * Opens the stream and waits for Envoy to end it. `endedMs`: when it had ended, at the latest; `deliveredMs`: how long it delivered, at the least, by the number of its
   * events, of which there are none for the time in which a busy machine lets nobody run.
   */
  const lifetime = async (target: string, lines = EVENTS, through = envoy): Promise<{ readonly endedMs: number; readonly deliveredMs: number }> => {
    const connection: RawConnection = await openConnection(through.port());
    const started = performance.now();
    connection.socket.write(rawGet(target, lines));
    await until('the first event', () => connection.pending().includes('data: beat'));
    expect(connection.pending()).toMatch(/^HTTP\/1.1 200/);
    await until('the end of the stream', () => connection.socket.readableEnded || connection.socket.destroyed);
    const endedMs = performance.now() - started;
    connection.close();
    return { endedMs, deliveredMs: (connection.pending().split('data: beat').length - 1) * BEAT_MS };
  };

  test('without maxStreamMs on their route, streams and upgrades are refused', async () => {
    const before = service.hits.length;
    for (const lines of [EVENTS, UPGRADE]) {
      const answered = await rawRequest(envoy.port(), rawGet('/stream/other', lines));
      expect([lines, answered.status, answered.headers.get('x-curfew-reason')]).toEqual([lines, 403, 'request.stream']);
    }
    // For a gRPC client Envoy writes the 403 as gRPC's own status, PERMISSION_DENIED.
    const grpc = await rawRequest(envoy.port(), rawGet('/stream/other', ['content-type: application/grpc']));
    expect([grpc.headers.get('grpc-status'), grpc.headers.get('x-curfew-reason')]).toEqual(['7', 'request.stream']);
    expect(service.hits.length).toBe(before);
  });

  test('a stream ends with the access that it was opened under', async () => {
    validMs = 250;
    const lived = await lifetime('/stream/events');
    expect(lived.endedMs).toBeGreaterThan(200);
    expect(lived.deliveredMs).toBeLessThan(900);
    expect(service.hits.at(-1)?.headers).toMatchObject({ 'x-curfew-valid-ms': '250', 'x-curfew-max-stream-ms': '30000' });
  });

  test('a stream ends after maxStreamMs where access lasts longer', async () => {
    validMs = 60_000;
    const lived = await lifetime('/stream/short');
    expect(lived.endedMs).toBeGreaterThan(250);
    expect(lived.deliveredMs).toBeLessThan(900);
  });

  test('a client that Envoy counts as internal can not ask for a longer response than its route allows', async () => {
    const config = shippedConfiguration({ curfew: gateway.port as number, service: service.port });
    connectionManager(config).internal_address_config = { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] };
    connectionManager(config).route_config.virtual_hosts[0].routes[0].route.timeout = '0.3s';
    const trusting = await startEnvoy(config);
    try {
      for (const lines of [['x-envoy-upstream-rq-timeout-ms: 60000'], ['x-envoy-upstream-rq-timeout-ms: 0'], ['x-envoy-expected-rq-timeout-ms: 60000']]) {
        expect((await lifetime('/stream/plain', lines, trusting)).deliveredMs).toBeLessThan(900);
      }
    } finally {
      await trusting.stop();
    }
  });

  test("an upgraded connection ends no later than Envoy's max_stream_duration", async () => {
    const connection = await openConnection(envoy.port());
    const started = performance.now();
    const answered = await connection.send(rawGet('/socket', UPGRADE));
    expect(answered.status).toBe(101);
    await until('the end of the connection', () => connection.socket.readableEnded || connection.socket.destroyed);
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  test('CONNECT and upgrades to other protocols never pass', async () => {
    const before = service.hits.length;
    for (const request of ['CONNECT shop.local:443 HTTP/1.1\r\nhost: shop.local:443\r\n\r\n', rawGet('/socket', ['connection: upgrade', 'upgrade: other'])]) {
      const { status } = await rawRequest(envoy.port(), request).catch(() => ({ status: 0 }));
      expect([request, status === 0 || status >= 400]).toEqual([request, true]);
    }
    expect(service.hits.length).toBe(before);
    // Envoy takes an upgrade to h2c for an ordinary request; the service is not asked to upgrade either.
    await rawRequest(envoy.port(), rawGet('/plain', ['connection: upgrade, http2-settings', 'upgrade: h2c', 'http2-settings: AAMAAABkAAQCAAAAAAIAAAAA']));
    expect(service.hits.at(-1)?.headers).not.toHaveProperty('upgrade');
  });
});
