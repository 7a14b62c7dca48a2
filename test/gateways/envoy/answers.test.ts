import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import { REASONS, wireReason } from '../../../src/domain/reasons.ts';
import { describeWith } from '../../parts.ts';
import { connectionManager, extAuthz, shippedConfiguration, startEnvoy, type RunningEnvoy } from '../../support/envoy.ts';
import { rawGet, rawRequest } from '../../support/raw-http.ts';
import { startService, type Service } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { allowed, denied, startGateway, type RunningGateway } from './harness.ts';

describeWith(['envoy'], 'what an answer does in Envoy', () => {
  let service: Service;
  let gateway: RunningGateway;
  let production: RunningGateway;
  let envoy: RunningEnvoy;
  let toProduction: RunningEnvoy;
  let answer: (evaluation: Evaluation) => Decision;

  beforeAll(async () => {
    service = await startService();
    const decide = (evaluation: Evaluation): Decision => answer(evaluation);
    gateway = await startGateway(decide);
    production = await startGateway(decide, { fineReasons: false });
    const logging = shippedConfiguration({ curfew: gateway.port as number, service: service.port });
    connectionManager(logging).access_log = [{
      name: 'stdout',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
        log_format: { text_format_source: { inline_string: 'METADATA %DYNAMIC_METADATA(envoy.filters.http.ext_authz)%\n' } },
      },
    }];
    envoy = await startEnvoy(logging);
    toProduction = await startEnvoy(shippedConfiguration({ curfew: production.port as number, service: service.port }));
  });
  beforeEach(() => {
    service.hits.length = 0;
  });
  afterAll(async () => {
    await envoy?.stop();
    await toProduction?.stop();
    await gateway?.close();
    await production?.close();
    await service?.close();
  });

  test('an allow changes the request as the policy asked, and carries the end of access', async () => {
    answer = (evaluation) => allowed(evaluation, {
      headers: [['X-Team', 'shop'], ['x-multi', 'one'], ['X-Multi', 'two']], removeHeaders: ['Authorization', 'x-drop'],
      responseHeaders: [['x-to-client', 'hello'], ['x-service', 'and policy'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']], setQuery: [['tenant', 'a b']], removeQuery: ['debug'], metadata: { risk: { tier: 2, tags: ['x', null, true] } },
    }, 12_345);
    const answered = await rawRequest(envoy.port(), rawGet('/a?debug=1&keep=2', ['authorization: Bearer secret', 'x-drop: 1', 'x-team: forged', 'x-multi: forged']));
    expect(answered.status).toBe(200);
    expect(answered.headers.get('x-to-client')).toBe('hello');
    expect(answered.lines).toEqual(expect.arrayContaining(['x-service: yes', 'x-service: and policy', 'set-cookie: a=1', 'set-cookie: b=2']));
    const id = gateway.evaluations.at(-1)?.id;
    expect(answered.headers.get('x-curfew-decision-id')).toBe(id);
    const [hit] = service.hits;
    expect(hit?.headers).toMatchObject({
      'x-team': 'shop', 'x-multi': 'one,two', 'x-curfew-decision-id': id, 'x-curfew-valid-until': '2026-11-21T10:00:12.345Z', 'x-curfew-valid-ms': '12345', 'x-curfew-grant': 'grant-1',
    });
    expect(hit?.headers).not.toHaveProperty('authorization');
    expect(hit?.headers).not.toHaveProperty('x-drop');
    expect(hit?.headers).not.toHaveProperty('x-envoy-upstream-rq-timeout-ms');
    expect(new URL(hit?.target ?? '', 'http://x').searchParams.toString()).toBe('keep=2&tenant=a+b');
    const line = await until('the access log', () => envoy.log().split('\n').find((text) => text.startsWith('METADATA ') && text.includes(id as string)));
    expect(JSON.parse(line.slice(9))).toMatchObject({
      decision_id: id, workload: 'spiffe://test/ci', valid_until_ms: Date.parse('2026-11-21T10:00:12.345Z'), grant: 'grant-1', risk: { tier: 2, tags: ['x', null, true] },
    });
  });

  test('every reason leaves as 401 or 403 with the decision id, and in production says no more than its class', async () => {
    for (const reason of REASONS) {
      answer = (evaluation) => denied(evaluation, reason);
      const status = wireReason(reason) === 'unauthenticated' ? 401 : 403;
      const fine = await rawRequest(envoy.port(), rawGet('/a'));
      const coarse = await rawRequest(toProduction.port(), rawGet('/a'));
      expect([reason, fine.status, fine.headers.get('x-curfew-reason')]).toEqual([reason, status, reason]);
      expect([reason, coarse.status, coarse.headers.get('x-curfew-reason')]).toEqual([reason, status, wireReason(reason)]);
      expect(coarse.headers.get('x-curfew-decision-id')).toBe(production.evaluations.at(-1)?.id);
      expect(coarse.headers.has('www-authenticate')).toBe(status === 401);
      expect(coarse.headers.get('cache-control')).toBe('no-store');
      expect(JSON.parse(coarse.body)).toEqual({ title: 'access denied', status: coarse.status, reason: wireReason(reason), decision_id: production.evaluations.at(-1)?.id });
    }
    expect(service.hits).toEqual([]);
  });

  test('B9: no shaping of a denial makes it anything but a 4xx that stays with the client', async () => {
    for (const httpStatus of [200, 204, 101, 100, 302, 500, 503, 0, -1, 399, 600, Number.NaN]) {
      answer = (evaluation) => denied(evaluation, 'policy.denied', { httpStatus, headers: [['x-curfew-valid-until', '2099-01-01T00:00:00.000Z']] });
      expect([httpStatus, (await rawRequest(envoy.port(), rawGet('/a'))).status]).toEqual([httpStatus, 403]);
    }
    answer = (evaluation) => denied(evaluation, 'policy.denied', { httpStatus: 429, body: 'slow down', headers: [['retry-after', '7'], ['content-type', 'text/x-own'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']] });
    const shaped = await rawRequest(envoy.port(), rawGet('/a'));
    expect([shaped.status, shaped.body, shaped.headers.get('retry-after'), shaped.headers.get('content-type')]).toEqual([429, 'slow down', '7', 'text/x-own']);
    expect(shaped.lines).toEqual(expect.arrayContaining(['set-cookie: a=1', 'set-cookie: b=2']));
    expect(shaped.lines.filter((line) => line.startsWith('content-type:'))).toHaveLength(1);
    expect(service.hits).toEqual([]);
  });

  test('B6: whatever breaks inside is a no, also behind an Envoy that lets errors pass', async () => {
    const config = shippedConfiguration({ curfew: gateway.port as number, service: service.port });
    extAuthz(config).failure_mode_allow = true;
    extAuthz(config).with_request_body = { max_request_bytes: 6_000_000, pack_as_bytes: true };
    config.static_resources.listeners[0].per_connection_buffer_limit_bytes = 8_000_000;
    const lenient = await startEnvoy(config);
    try {
      answer = () => {
        throw new Error('boom');
      };
      expect((await rawRequest(lenient.port(), rawGet('/a'))).status).toBe(403);
      // An answer that can't be written: metadata nested deeper than protobuf libraries read.
      let metadata: any = {};
      for (let depth = 0; depth < 200; depth += 1) metadata = { deeper: metadata };
      answer = (evaluation) => allowed(evaluation, { metadata });
      expect((await rawRequest(lenient.port(), rawGet('/a'))).status).toBe(403);
      // A question longer than the transport reads.
      answer = (evaluation) => (evaluation.refused === undefined ? allowed(evaluation) : denied(evaluation, evaluation.refused));
      const body = 'x'.repeat(5_000_000);
      const long = await rawRequest(lenient.port(), `POST /a HTTP/1.1\r\nhost: shop.local\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      expect([long.status, long.headers.get('x-curfew-reason')]).toEqual([403, 'request.too_large']);
      expect(service.hits).toEqual([]);
      expect((await rawRequest(lenient.port(), rawGet('/a'))).status).toBe(200);
    } finally {
      await lenient.stop();
    }
  });
});
