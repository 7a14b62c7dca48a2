/** A real Envoy that asks over its HTTP ext_authz service instead of gRPC: same guarantees, fewer headers. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import { describeWith } from '../../parts.ts';
import { connectionManager, extAuthz, shippedConfiguration, startEnvoy, type EnvoyConfiguration, type RunningEnvoy } from '../../support/envoy.ts';
import { allowing, denying, shapingOf, startGateway, type TestGateway } from '../../support/http-gateway.ts';
import { askOnce, openRaw, requestText, type RawResponse } from '../../support/raw-socket.ts';
import { startService, type Service } from '../../support/service.ts';
import { expectOneReading, PLANTED_FOUND, readHostile } from './hostile-targets.ts';

const LINES = ['Host: shop.local', 'Authorization: Bearer good'];
/** What must reach Curfew for it to see streams, overrides and proofs. */
const HEADERS = ['accept', 'content-type', 'upgrade', 'dpop', 'traceparent', 'x-forwarded-proto', 'x-forwarded-for', 'x-http-method-override', 'x-http-method', 'x-method-override', 'x-original-url', 'x-rewrite-url'];

const overHttp = (curfew: number, service: number) => {
  const config = shippedConfiguration({ curfew, service });
  const filter = extAuthz(config);
  delete filter.grpc_service;
  delete filter.transport_api_version;
  delete filter.include_peer_certificate;
  delete filter.encode_raw_headers;
  filter.allowed_headers = { patterns: HEADERS.map((exact) => ({ exact })) };
  filter.http_service = {
    server_uri: { uri: 'http://curfew', cluster: 'curfew', timeout: '20s' },
    path_prefix: '/ext-authz',
    authorization_response: {
      allowed_upstream_headers: { patterns: [{ prefix: 'x-curfew-' }, { prefix: 'x-team' }] },
      allowed_client_headers: { patterns: [{ prefix: 'x-curfew-' }, { exact: 'www-authenticate' }, { exact: 'content-type' }] },
    },
  };
  const cluster = config.static_resources.clusters.find(({ name }: { name: string }) => name === 'curfew');
  delete cluster.typed_extension_protocol_options;
  return config;
};

describeWith(['envoy'], "behind Envoy's HTTP ext_authz", () => {
  let service: Service;
  let gateway: TestGateway;
  let envoy: RunningEnvoy;
  let decide: (evaluation: Evaluation) => Decision = allowing;

  beforeAll(async () => {
    service = await startService();
    gateway = await startGateway({ decide: (evaluation) => decide(evaluation) });
    envoy = await startEnvoy(overHttp(gateway.port, service.port));
  });
  afterAll(async () => {
    await envoy?.stop();
    await gateway?.close();
    await service?.close();
  });
  beforeEach(() => {
    decide = allowing;
    gateway.evaluations.length = 0;
    service.hits.length = 0;
  });
  const ask = async (target: string, lines: readonly string[] = LINES, method = 'GET'): Promise<RawResponse | undefined> =>
    askOnce(envoy.port(), requestText(target, lines, method));

  test('demand(1): an allowed request reaches the service, shaped; a denied one does not', async () => {
    decide = (evaluation) => allowing(evaluation, { shaping: shapingOf({ headers: [['x-team', 'shop']], removeHeaders: ['x-secret'] }) });
    expect((await ask('/orders/42?x=1', [...LINES, 'X-Secret: s', 'X-Kept: k'], 'PUT'))?.status).toBe(200);
    expect(gateway.evaluations[0]).toMatchObject({
      protocol: 'ext-authz-http', presented: { kind: 'bearer', token: 'good' }, question: { action: 'PUT', resource: { type: 'http', id: 'shop.local/orders/42' }},
    });
    expect(gateway.evaluations[0]?.question?.source).toBeUndefined();
    expect(service.hits[0]).toMatchObject({ method: 'PUT', target: '/orders/42?x=1', headers: { 'x-team': 'shop', 'x-kept': 'k', 'x-curfew-decision-id': gateway.evaluations[0]?.id } });
    expect(service.hits[0]?.headers['x-secret']).toBeUndefined();
    decide = (evaluation) => denying(evaluation, 'grant.none');
    const denied = await ask('/orders/42');
    expect([denied?.status, denied?.headers.get('x-curfew-reason')]).toEqual([403, ['grant.none']]);
    const missing = await ask('/orders/42', ['Host: shop.local']);
    expect([missing?.status, missing?.headers.get('www-authenticate')]).toEqual([401, ['Bearer realm="curfew"']]);
    expect(service.hits).toHaveLength(1);
  });

  test('demand(2): access that ends between two requests on one keep-alive connection is refused on the second', async () => {
    const connection = await openRaw(envoy.port());
    expect((await connection.ask(requestText('/a', LINES)))?.status).toBe(200);
    decide = (evaluation) => denying(evaluation, 'grant.expired');
    expect((await connection.ask(requestText('/a', LINES)))?.status).toBe(403);
    expect(service.hits).toHaveLength(1);
    connection.close();
  });

  test('B1: what the service sees is what was judged, or it was denied: over 500 hostile targets', async () => {
    await expectOneReading(gateway, service, ask);
  });

  const through = async (change: (config: EnvoyConfiguration) => void, check: (askThat: (target: string) => Promise<unknown>) => Promise<void>): Promise<void> => {
    const config = overHttp(gateway.port, service.port);
    change(config);
    const other = await startEnvoy(config);
    try {
      await check((target) => askOnce(other.port(), requestText(target, LINES)));
    } finally {
      await other.stop();
    }
  };

  test.each<[string, (config: EnvoyConfiguration) => void]>([
    ['tidies nothing up', (config) => Object.assign(connectionManager(config), { normalize_path: false, merge_slashes: false, path_with_escaped_slashes_action: 'KEEP_UNCHANGED' })],
    ['unescapes slashes', (config) => Object.assign(connectionManager(config), { path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' })],
  ])('B1: nor through an Envoy that %s, since it does so before it asks', async (_name, change) => {
    await through(change, async (askThat) => expect((await readHostile(gateway, service, askThat)).wrong).toEqual([]));
  });

  const route = (config: EnvoyConfiguration): any => connectionManager(config).route_config.virtual_hosts[0].routes[0].route;
  test.each<[string, (config: EnvoyConfiguration) => void]>([
    ['rewrites the prefix once it has asked', (config) => { route(config).prefix_rewrite = '/rewritten/'; }],
    ['rewrites by an expression once it has asked', (config) => { route(config).regex_rewrite = { pattern: { regex: '^/public/(.*)$' }, substitution: '/\\1' }; }],
    ['asks below another path', (config) => { extAuthz(config).http_service.path_prefix = '/ext-authz/public'; }],
  ])('B1, positive control: an Envoy that %s is found by it', async (_name, change) => {
    await through(change, async (askThat) => expect((await readHostile(gateway, service, askThat, PLANTED_FOUND)).wrong).toHaveLength(PLANTED_FOUND));
  });

  test('B1, C5: streams, upgrades, overrides and other names for the request do not get through', async () => {
    for (const lines of [
      ['Accept: text/event-stream'], ['Content-Type: application/grpc'], ['Upgrade: websocket', 'Connection: Upgrade'], ['X-HTTP-Method-Override: DELETE'], ['X-Rewrite-URL: /admin'],
    ]) {
      const response = await ask('/a', [...LINES, ...lines]);
      // Envoy answers gRPC clients in gRPC: 200 with status 7, permission denied.
      const permissionDenied = response?.headers.get('grpc-status')?.[0] === '7';
      expect(permissionDenied ? 403 : (response?.status ?? 403), lines.join()).toBe(403);
    }
    expect(service.hits).toEqual([]);
  });

  test('B2: more than one credential is a malformed one', async () => {
    expect((await ask('/a', [...LINES, 'Authorization: Bearer other']))?.status).toBe(401);
    expect(service.hits).toEqual([]);
  });

  test('B6: without Curfew nothing reaches the service', async () => {
    await gateway.close();
    expect((await ask('/a'))?.status).toBe(403);
    expect(service.hits).toEqual([]);
  });
});
