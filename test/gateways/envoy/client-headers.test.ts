import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import { describeWith } from '../../parts.ts';
import { connectionManager, extAuthz, shippedConfiguration, startEnvoy, type RunningEnvoy } from '../../support/envoy.ts';
import { rawGet, rawRequest } from '../../support/raw-http.ts';
import { startService, type Service } from '../../support/service.ts';
import { allowed, denied, startGateway, unlessRefused, type RunningGateway } from './harness.ts';

const needsToken = unlessRefused((evaluation) => {
  const { presented } = evaluation;
  if (presented.kind === 'none') return denied(evaluation, 'credential.missing');
  return presented.kind === 'bearer' ? allowed(evaluation) : denied(evaluation, 'credential.malformed');
});

const variants = [
  ['header lines as they were sent (shipped)', true],
  ['headers that Envoy merged', false],
] as const;

for (const [name, raw] of variants) {
  describeWith(['envoy'], `B2: headers that repeat or lie, with ${name}`, () => {
    let service: Service;
    let gateway: RunningGateway;
    let envoy: RunningEnvoy;
    let answer: (evaluation: Evaluation) => Decision;

    beforeAll(async () => {
      service = await startService();
      gateway = await startGateway((evaluation) => answer(evaluation));
      const config = shippedConfiguration({ curfew: gateway.port as number, service: service.port });
      if (!raw) delete extAuthz(config).encode_raw_headers;
      connectionManager(config).common_http_protocol_options.headers_with_underscores_action = 'ALLOW';
      envoy = await startEnvoy(config);
    });
    beforeEach(() => {
      answer = needsToken;
      service.hits.length = 0;
    });
    afterAll(async () => {
      await envoy?.stop();
      await gateway?.close();
      await service?.close();
    });

    test('one token is read, and only from a header that is there once', async () => {
      expect((await rawRequest(envoy.port(), rawGet('/a', ['Authorization: Bearer abc.d-e_f~+/x==']))).status).toBe(200);
      expect(gateway.evaluations.at(-1)?.presented).toEqual({ kind: 'bearer', token: 'abc.d-e_f~+/x==' });
      service.hits.length = 0;
      const hostile: (readonly [status: number, ...lines: string[]])[] = [
        [401, 'authorization: Bearer good', 'authorization: Bearer evil'],
        [401, 'authorization: Bearer good', 'Authorization: Basic eDp5'],
        [401, 'authorization: Bearer good,Bearer evil'],
        [401, 'authorization: Bearer good evil'],
        [401, 'authorization: Bearer \xe9'],
        [401, 'authorization: Bearer'],
        [401, 'authorization:'],
        [401, 'authorization: Basic eDp5'],
        [401],
      ];
      for (const [status, ...lines] of hostile) {
        const answered = await rawRequest(envoy.port(), rawGet('/a', lines));
        expect([lines, answered.status, answered.headers.get('www-authenticate')?.startsWith('Bearer ')]).toEqual([lines, status, true]);
      }
      expect(service.hits).toEqual([]);
    });

    test('content types and method overrides that could be read in two ways are refused', async () => {
      answer = unlessRefused((evaluation) => allowed(evaluation));
      const hostile = [
        ['content-type: application/json', 'content-type: text/plain'], ['content-type: application/json, text/plain'],
        ['x-http-method-override: DELETE'], ['X-HTTP-Method: DELETE'], ['x-method-override: DELETE', 'x-method-override: PUT'],
        ['x-original-url: /admin'], ['x-rewrite-url: /admin'],
      ];
      for (const lines of hostile) {
        const answered = await rawRequest(envoy.port(), rawGet('/a', lines));
        expect([lines, answered.status, answered.headers.get('x-curfew-reason')]).toEqual([lines, 403, 'request.ambiguous']);
      }
      expect(service.hits).toEqual([]);
    });

    test('x-curfew-* from the client neither counts nor reaches the service', async () => {
      answer = (evaluation) => allowed(evaluation);
      const lines = ['x-curfew-decision-id: forged', 'X-Curfew-Valid-Until: 2099-01-01T00:00:00.000Z', 'x-curfew-grant: forged', 'x-curfew-anything: forged', 'x-curfew-pep-token: forged'];
      expect((await rawRequest(envoy.port(), rawGet('/a', lines))).status).toBe(200);
      const [hit] = service.hits;
      const own = Object.entries(hit?.headers ?? {}).filter(([header]) => header.startsWith('x-curfew-'));
      expect(Object.fromEntries(own)).toEqual({
        'x-curfew-decision-id': gateway.evaluations.at(-1)?.id, 'x-curfew-valid-until': '2026-11-21T10:01:00.000Z', 'x-curfew-valid-ms': '60000', 'x-curfew-grant': 'grant-1',
      });
      expect(JSON.stringify(gateway.evaluations.at(-1)?.input)).not.toContain('forged');
    });

    test('policies see one headers object, however Envoy sends it', async () => {
      answer = (evaluation) => allowed(evaluation);
      await rawRequest(envoy.port(), rawGet('/a?b=c', ['accept: x/y', 'X-Twice: one', 'x-twice: two', '__proto__: polluted', 'constructor: c']));
      const { http } = (gateway.evaluations.at(-1)!.input as any).attributes.request;
      expect(http).not.toHaveProperty('headerMap');
      expect(http.headers).toMatchObject({ ':method': 'GET', ':path': '/a?b=c', ':authority': 'shop.local', accept: 'x/y', 'x-twice': 'one,two', constructor: 'c' });
      expect(({} as any).polluted).toBeUndefined();
    });
  });
}

describeWith(['envoy'], 'B2: behind an Envoy that does not strip x-curfew-* itself', () => {
  test('Curfew has every such header of the client removed', async () => {
    const service = await startService();
    const gateway = await startGateway((evaluation) => allowed(evaluation), { fineReasons: false });
    const config = shippedConfiguration({ curfew: gateway.port as number, service: service.port });
    delete config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config.early_header_mutation_extensions;
    const envoy = await startEnvoy(config);
    try {
      const lines = ['x-curfew-decision-id: forged', 'x-curfew-decision-id: forged2', 'x-curfew-grant: forged', 'X-Curfew-Anything: forged', 'x-curfew-reason: forged'];
      expect((await rawRequest(envoy.port(), rawGet('/a', lines))).status).toBe(200);
      expect(service.hits[0]?.rawHeaders.join('\n')).not.toContain('forged');
      expect(service.hits[0]?.headers['x-curfew-decision-id']).toBe(gateway.evaluations[0]?.id);
    } finally {
      await envoy.stop();
      await gateway.close();
      await service.close();
    }
  });
});

describeWith(['envoy'], 'a client that Envoy counts as internal', () => {
  test('can not have one allowed request delivered more than once', async () => {
    const service = await startService();
    const gateway = await startGateway((evaluation) => allowed(evaluation));
    const config = shippedConfiguration({ curfew: gateway.port as number, service: service.port });
    connectionManager(config).internal_address_config = { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] };
    const envoy = await startEnvoy(config);
    try {
      const lines = ['x-envoy-retry-on: 5xx', 'x-envoy-max-retries: 5', 'x-envoy-hedge-on-per-try-timeout: true', 'x-envoy-upstream-rq-per-try-timeout-ms: 1'];
      expect((await rawRequest(envoy.port(), rawGet('/fails', lines))).status).toBe(500);
      expect(service.hits).toHaveLength(1);
      expect(gateway.evaluations).toHaveLength(1);
    } finally {
      await envoy.stop();
      await gateway.close();
      await service.close();
    }
  });
});
