import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeWith } from '../../parts.ts';
import { extAuthz, shippedConfiguration, startEnvoy, type RunningEnvoy } from '../../support/envoy.ts';
import { rawRequest } from '../../support/raw-http.ts';
import { startService, type Service } from '../../support/service.ts';
import { allowed, startGateway, unlessRefused, type RunningGateway } from './harness.ts';

const MAX = 100;

const post = (body: string, headers: readonly string[] = ['content-type: application/json']): string =>
  `POST /orders HTTP/1.1\r\n${['host: shop.local', `content-length: ${body.length}`, ...headers].join('\r\n')}\r\n\r\n${body}`;

const chunked = (body: string): string =>
  `POST /orders HTTP/1.1\r\nhost: shop.local\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

for (const asBytes of [true, false]) {
  describeWith(['envoy'], `B4: bodies that Envoy passes on ${asBytes ? 'as bytes' : 'as text'}, up to ${MAX} bytes`, () => {
    let service: Service;
    let gateway: RunningGateway;
    let lenient: RunningGateway;
    let envoy: RunningEnvoy;
    let toLenient: RunningEnvoy;

    beforeAll(async () => {
      service = await startService();
      const decide = unlessRefused((evaluation) => allowed(evaluation));
      gateway = await startGateway(decide);
      lenient = await startGateway(decide, { config: { bodies: { truncated: 'policy' } } });
      const start = (port: number | undefined): Promise<RunningEnvoy> => {
        const config = shippedConfiguration({ curfew: port as number, service: service.port });
        extAuthz(config).with_request_body = { max_request_bytes: MAX, allow_partial_message: true, pack_as_bytes: asBytes };
        return startEnvoy(config);
      };
      envoy = await start(gateway.port);
      toLenient = await start(lenient.port);
    });
    beforeEach(() => {
      service.hits.length = 0;
    });
    afterAll(async () => {
      await envoy?.stop();
      await toLenient?.stop();
      await gateway?.close();
      await lenient?.close();
      await service?.close();
    });

    const input = () => gateway.evaluations.at(-1)?.input as any;

    test('a body that fits is parsed, and reaches the service as it was judged', async () => {
      const body = '{"amount": 5, "to": "a"}';
      for (const request of [post(body), chunked(body)]) {
        expect((await rawRequest(envoy.port(), request)).status).toBe(200);
        expect([input().parsed_body, input().truncated_body]).toEqual([{ amount: 5, to: 'a' }, false]);
        expect(service.hits.at(-1)?.body).toBe(body);
      }
    });

    test('a body that was cut short denies, with and without a length, whatever its type', async () => {
      const long = JSON.stringify({ amount: 5, padding: 'x'.repeat(3 * MAX) });
      for (const request of [post(long), chunked(long), post('x'.repeat(3 * MAX), ['content-type: text/plain']), post('x'.repeat(3 * MAX), []), post(long, ['content-type: application/json', 'x-envoy-auth-partial-body: false'])]) {
        const answered = await rawRequest(envoy.port(), request);
        expect([answered.status, answered.headers.get('x-curfew-reason')]).toEqual([403, 'request.too_large']);
        expect([input().parsed_body, input().truncated_body]).toEqual([null, true]);
      }
      expect(service.hits).toEqual([]);
    });

    test('unless the configuration leaves cut bodies to the policy, which is told', async () => {
      const long = JSON.stringify({ amount: 5, padding: 'x'.repeat(3 * MAX) });
      expect((await rawRequest(toLenient.port(), post(long))).status).toBe(200);
      expect(lenient.evaluations.at(-1)?.input).toMatchObject({ parsed_body: null, truncated_body: true });
    });

    test('B7: a body with two readings denies', async () => {
      for (const body of ['{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"a":1e400}', '[{"b":{"c":1,"c":1}}]', '{"account":9007199254740993}', '[-9007199254740993]']) {
        const answered = await rawRequest(envoy.port(), post(body));
        expect([body, answered.status, answered.headers.get('x-curfew-reason')]).toEqual([body, 403, 'request.ambiguous']);
      }
      for (const body of ['{"a":', '{"a":1}x', "{'a':1}", '{"a":01}', 'NaN', '{"a":1,}']) {
        const answered = await rawRequest(envoy.port(), post(body));
        expect([body, answered.status, answered.headers.get('x-curfew-reason')]).toEqual([body, 403, 'request.malformed']);
      }
      expect((await rawRequest(envoy.port(), post('['.repeat(MAX - 1) + ']'))).status).toBe(403);
      expect((await rawRequest(envoy.port(), post('{"__proto__":{"x":1}}'))).status).toBe(403);
      expect((await rawRequest(envoy.port(), post('{"constructor":{"prototype":{"x":1}}}'))).status).toBe(200);
      expect(({} as any).x).toBeUndefined();
      expect(service.hits.length).toBe(1);
    });

    test('B3: a request with two lengths never gets as far as Curfew', async () => {
      const asked = gateway.evaluations.length;
      const hostile = [
        'POST /a HTTP/1.1\r\nhost: shop.local\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcd',
        'POST /a HTTP/1.1\r\nhost: shop.local\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
        'POST /a HTTP/1.1\r\nhost: shop.local\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n',
        'GET /a HTTP/1.1\r\nhost: shop.local\r\nhost: other.local\r\n\r\n',
      ];
      for (const request of hostile) {
        const { status } = await rawRequest(envoy.port(), request).catch(() => ({ status: 0 }));
        expect([request, status === 0 || (status >= 400 && status < 600)]).toEqual([request, true]);
      }
      expect(service.hits).toEqual([]);
      // The doubled host may be merged by Envoy and refused by Curfew; the others end at Envoy.
      expect(gateway.evaluations.length - asked).toBeLessThanOrEqual(1);
    });
  });
}
