/** Envoy's HTTP ext_authz service: the request line itself is the question (THREATS B1, B2). */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import { hostilePaths } from '../../support/paths.ts';
import { allowing, shapingOf, startGateway, type TestGateway } from '../../support/http-gateway.ts';
import { askOnce, requestText, type RawResponse } from '../../support/raw-socket.ts';

let gateway: TestGateway;
let decide: (evaluation: Evaluation) => Decision = allowing;
beforeAll(async () => {
  gateway = await startGateway({ decide: (evaluation) => decide(evaluation) });
});
afterAll(() => gateway.close());
beforeEach(() => {
  decide = allowing;
  gateway.evaluations.length = 0;
});

const LINES = ['Host: Shop.Local:80', 'Authorization: Bearer good'];
const ask = async (target: string, lines: readonly string[] = LINES, method = 'GET'): Promise<RawResponse | undefined> =>
  askOnce(gateway.port, requestText(target, lines, method));

test('method, path and host are those of the original request', async () => {
  expect((await ask('/ext-authz/orders/42?x=1', [...LINES, 'X-Forwarded-For: 9.9.9.9, 10.0.0.7'], 'PUT'))?.status).toBe(200);
  expect(gateway.evaluations[0]).toMatchObject({
    protocol: 'ext-authz-http',
    question: { action: 'PUT', resource: { type: 'http', id: 'shop.local/orders/42' }},
    input: { attributes: { request: { http: { method: 'PUT', path: '/orders/42?x=1', host: 'shop.local', scheme: 'http' } } }, parsed_path: ['orders', '42'], parsed_query: { x: ['1'] } },
  });
  await ask('/ext-authz/', [...LINES, 'X-Forwarded-Proto: https']);
  expect(gateway.evaluations[1]).toMatchObject({ question: { resource: { id: 'shop.local:80/' } } });
});

test('B1: every hostile path behind the prefix is refused, or asked about as itself', async () => {
  let decided = 0;
  for (const target of hostilePaths()) {
    if (!target.startsWith('/')) continue;
    gateway.evaluations.length = 0;
    const response = await ask(`/ext-authz${target}`);
    const [evaluation] = gateway.evaluations;
    if (response?.status === 400) {
      expect(evaluation, target).toBeUndefined();
      continue;
    }
    decided += 1;
    expect(response?.status === 200, target).toBe(evaluation?.question !== undefined);
    if (evaluation?.question !== undefined) expect(evaluation.question.resource.id).toBe(`shop.local${decodeURIComponent(target.split('?', 1)[0] as string)}`);
  }
  expect(decided).toBeGreaterThan(500);
});

test('B1: another way to name the original request denies', async () => {
  for (const line of ['X-Forwarded-Uri: /public', 'X-Forwarded-Method: GET', 'X-Original-URI: /public', 'X-Original-Method: GET']) {
    expect((await ask('/ext-authz/admin', [...LINES, line]))?.headers.get('x-curfew-reason'), line).toEqual(['request.ambiguous']);
  }
});

test('B2: Host and scheme, once each', async () => {
  for (const lines of [[...LINES, 'Host: other.local'], [...LINES, 'X-Forwarded-Proto: http', 'X-Forwarded-Proto: https']]) {
    const response = await ask('/ext-authz/a', lines);
    expect(response?.status === 403 || response?.status === 400).toBe(true);
  }
  expect(gateway.evaluations.every(({ refused }) => refused === 'request.ambiguous')).toBe(true);
});

test("a policy's removals go out in Envoy's own header, and only this protocol can carry them", async () => {
  decide = (evaluation) => allowing(evaluation, { shaping: shapingOf({ removeHeaders: ['x-secret', 'x-other'] }) });
  const response = await ask('/ext-authz/a');
  expect(response?.headers.get('x-envoy-auth-headers-to-remove')).toEqual([expect.stringMatching(/^x-envoy-upstream-rq-timeout-ms,.*x-envoy-max-retries.*,x-secret,x-other$/)]);
  expect(gateway.evaluations[0]?.unable).toMatchObject({ removeHeaders: false, query: true });
});
