/** forward-auth: what is asked is what the gateway described, once and without contradiction; the answer is the decision and nothing more. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import type { DurationMs, Instant } from '../../../src/domain/instant.ts';
import { hostilePaths } from '../../support/paths.ts';
import { NOW, allowing, denying, forwarded, shapingOf, startGateway, type TestGateway } from '../../support/http-gateway.ts';
import { askOnce, openRaw, requestText, type RawResponse } from '../../support/raw-socket.ts';

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

const ask = async (lines: readonly string[], method = 'GET', target = '/forward-auth'): Promise<RawResponse> => {
  const response = await askOnce(gateway.port, requestText(target, lines, method));
  if (response === undefined) throw new Error('no answer');
  return response;
};
const evaluation = (): Evaluation => {
  expect(gateway.evaluations).toHaveLength(1);
  return gateway.evaluations[0] as Evaluation;
};
const header = (response: RawResponse, name: string): string | undefined => response.headers.get(name)?.[0];
const reasonOf = async (lines: readonly string[]): Promise<string | undefined> => {
  gateway.evaluations.length = 0;
  const response = await ask(lines);
  expect(response.status === 401 || response.status === 403).toBe(true);
  expect(gateway.evaluations).toHaveLength(1);
  return header(response, 'x-curfew-reason');
};

describe('the question', () => {
  test('method, host, path and credential come from the gateway, the realm and the protocol from us', async () => {
    const response = await ask(forwarded('/orders/42?x=1&x=2', ['X-Forwarded-For: 1.2.3.4, 10.9.8.7', 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']));
    expect(response.status).toBe(200);
    expect(evaluation()).toMatchObject({
      realm: 'default', protocol: 'forward-auth', pep: { id: undefined }, presented: { kind: 'bearer', token: 'good' },
      question: { action: 'GET', resource: { type: 'http', id: 'shop.local/orders/42' }, source: '10.9.8.7' },
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    expect(evaluation().id).toBe(header(response, 'x-curfew-decision-id'));
  });

  test('the policy input is the document of opa-envoy-plugin, without our own headers', async () => {
    await ask(forwarded('/orders/a%20b?x=1&x=2&y=a+b&bad=%ff', ['X-Custom: a', 'X-Custom: b', 'X-Curfew-Anything: forged', '__proto__: p']));
    const { input } = evaluation();
    expect(input).toMatchObject({
      attributes: { request: { http: { method: 'GET', path: '/orders/a%20b?x=1&x=2&y=a+b&bad=%ff', host: 'shop.local', scheme: 'https', headers: { 'x-custom': 'a,b', authorization: 'Bearer good' } } } },
      parsed_path: ['orders', 'a b'], parsed_query: { x: ['1', '2'], y: ['a b'] }, parsed_body: null, truncated_body: false,
      version: { ext_authz: 'v3', encoding: 'protojson' },
    });
    expect(JSON.stringify(input)).not.toContain('curfew');
    expect(({} as Record<string, unknown>)['p']).toBeUndefined();
  });

  test('any method of the question, and any method that the gateway asks with', async () => {
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'PROPFIND', 'OPTIONS']) expect((await ask(forwarded('/a'), method)).status).toBe(200);
    gateway.evaluations.length = 0;
    await ask(forwarded('/a', [], 'pUrGe'));
    expect(evaluation().question?.action).toBe('pUrGe');
  });

  test('B1: every hostile path is refused, or asked about as itself', async () => {
    const connection = await openRaw(gateway.port);
    let asked = 0;
    for (const target of hostilePaths()) {
      gateway.evaluations.length = 0;
      // eslint-disable-next-line no-control-regex
      if (/[\0-\x08\x0a-\x1f\x7f]/.test(target)) {
        // What a header can't carry is refused by the parser.
        expect((await askOnce(gateway.port, requestText('/forward-auth', forwarded(target))))?.status, target).toBe(400);
        expect(gateway.evaluations).toEqual([]);
        continue;
      }
      const response = await connection.ask(requestText('/forward-auth', forwarded(target)));
      if (response === undefined) throw new Error(`no answer to ${JSON.stringify(target)}`);
      const { question } = gateway.evaluations[0] as Evaluation;
      expect(response.status === 200, target).toBe(question !== undefined);
      // Blanks at the end of a header's value are not part of it.
      const path = target.replace(/[\t ]+$/, '').split('?', 1)[0] as string;
      if (question !== undefined) expect(question.resource.id).toBe(`shop.local${decodeURIComponent(path)}`);
      asked += 1;
    }
    connection.close();
    expect(asked).toBeGreaterThan(500);
  });

  test('B1, B2: a header of the family that is missing, empty or there twice denies', async () => {
    const lines = forwarded('/a');
    for (const name of ['Method', 'Proto', 'Host', 'Uri']) {
      const others = lines.filter((line) => !line.startsWith(`X-Forwarded-${name}`));
      expect(await reasonOf(others)).toBe('request.malformed');
      const own = lines.find((line) => line.startsWith(`X-Forwarded-${name}`)) as string;
      expect(await reasonOf([...lines, own])).toBe('request.ambiguous');
      expect(await reasonOf([...others, `X-Forwarded-${name}:`])).toMatch(/^request\.(malformed|ambiguous)$/);
    }
    expect(await reasonOf([...lines, 'X-Forwarded-For: 1.1.1.1', 'X-Forwarded-For: 2.2.2.2'])).toBe('request.ambiguous');
  });

  test("B1: any trace of the other family denies, whoever wrote it", async () => {
    for (const line of ['X-Original-URI: /public', 'X-Original-Method: GET', 'x-original-url: /public', 'X-Original-Anything: x']) {
      expect(await reasonOf([...forwarded('/admin'), line])).toBe('request.ambiguous');
    }
  });

  test('B1: hosts, schemes and methods that read in two ways deny', async () => {
    for (const host of ['user@shop.local', 'shop.local,evil', '127.1', 'shop.local:', 'a b']) {
      expect(await reasonOf(forwarded('/a', [], 'GET', host)), host).toBe('request.ambiguous');
    }
    expect(await reasonOf(forwarded('/a', [], 'GE T'))).toBe('request.malformed');
    expect(await reasonOf(forwarded('/a').map((line) => line.replace('https', 'https,http')))).toBe('request.malformed');
  });

  test('B1: method overrides, path overrides, CONNECT, upgrades and streams deny without a route that says otherwise', async () => {
    for (const line of ['X-HTTP-Method-Override: DELETE', 'X-HTTP-Method: DELETE', 'X-Method-Override: GET', 'X-Rewrite-URL: /admin']) {
      expect(await reasonOf(forwarded('/a', [line], 'POST')), line).toBe('request.ambiguous');
    }
    for (const line of ['Upgrade: websocket', 'Upgrade: h2c', 'Accept: text/html, Text/Event-Stream;q=0.9', 'Content-Type: application/grpc+proto', 'Content-Type: application/grpc-web']) {
      expect(await reasonOf(forwarded('/a', [line])), line).toBe('request.stream');
    }
    expect(await reasonOf(forwarded('/a', [], 'CONNECT'))).toBe('request.stream');
    expect(await reasonOf(forwarded('/a').map((line) => line.replace('Proto: https', 'Proto: wss')))).toBe('request.stream');
  });

  test('B2: more than one Authorization, another scheme or an empty token is a malformed credential; none is none', async () => {
    const without = forwarded('/a').slice(1);
    expect(await reasonOf(without)).toBe('credential.missing');
    for (const lines of [
      ['Authorization: Bearer good', 'Authorization: Bearer good'], ['Authorization: Bearer good', 'authorization: Bearer bad'], ['Authorization: Basic YTpi'],
      ['Authorization: Bearer'], ['Authorization: Bearer a b'], ['Authorization: Bearer a, Bearer b'], ['Authorization: good'], ['Authorization:'],
    ]) expect(await reasonOf([...without, ...lines]), lines.join()).toBe('credential.malformed');
    gateway.evaluations.length = 0;
    await ask([...without, 'authorization: bearer good']);
    expect(evaluation().presented).toEqual({ kind: 'bearer', token: 'good' });
  });

  test('DPoP proofs are handed on, all of them, with the method and URL of the original request', async () => {
    const without = forwarded('/a%20b?q=1', [], 'POST', 'Shop.Local:443').slice(1);
    await ask([...without, 'Authorization: DPoP tok', 'DPoP: one', 'DPoP: two']);
    expect(evaluation().presented).toEqual({ kind: 'bearer', token: 'tok', proof: { dpop: { proofs: ['one', 'two'], method: 'POST', url: 'https://shop.local/a%20b' } } });
    gateway.evaluations.length = 0;
    await ask([...without, 'Authorization: DPoP tok']);
    expect(evaluation().presented).toMatchObject({ proof: { dpop: { proofs: [] } } });
  });

  test('A5: x-forwarded-client-cert from an enforcement point that is not configured for it is believed by nobody', async () => {
    await ask([...forwarded('/a'), 'X-Forwarded-Client-Cert: URI=spiffe://prod/admin']);
    expect(evaluation().otherPeer).toBeUndefined();
    expect(evaluation().presented).toEqual({ kind: 'bearer', token: 'good' });
  });

  test('B8: more header lines than the limit deny, and none of them is believed', async () => {
    const many = Array.from({ length: 200 }, (_, index) => `X-Filler-${index}: 1`);
    expect(await reasonOf([...many, ...forwarded('/a')])).toBe('request.too_large');
    expect(evaluation().presented).toEqual({ kind: 'none' });
    // Node itself drops lines silently beyond a number of its own: a second Authorization must not hide behind it.
    const filler = Array.from({ length: 2_500 }, () => 'a:');
    expect(await reasonOf([...forwarded('/a'), ...filler, 'Authorization: Bearer other'])).toBe('request.too_large');
  });
});

describe('the answer', () => {
  test('an allow is 200 with its deadline, and is not cached', async () => {
    decide = (given) => allowing(given, { grant: 'g1', maxStreamMs: 1_500 as DurationMs });
    const response = await ask(forwarded('/a'));
    expect(response.status).toBe(200);
    expect(response.body).toBe('');
    expect(header(response, 'x-curfew-valid-until')).toBe('2030-01-01T00:00:05.000Z');
    expect(header(response, 'x-curfew-valid-ms')).toBe('5000');
    expect(header(response, 'x-curfew-max-stream-ms')).toBe('1500');
    expect(header(response, 'x-curfew-grant')).toBe('g1');
    expect(header(response, 'cache-control')).toBe('no-store');
  });

  test('only cacheUntil feeds Cache-Control, rounded down', async () => {
    for (const [ms, expected] of [[0, 'no-store'], [999, 'no-store'], [1_000, 'private, max-age=1'], [4_999, 'private, max-age=4']] as const) {
      decide = (given) => allowing(given, { cacheUntil: (NOW + ms) as Instant });
      expect(header(await ask(forwarded('/a')), 'cache-control')).toBe(expected);
    }
  });

  test('HEAD gets the same answer without a body', async () => {
    decide = (given) => denying(given, 'grant.none');
    const connection = await openRaw(gateway.port);
    for (let round = 0; round < 2; round += 1) {
      const response = await connection.ask(requestText('/forward-auth', forwarded('/a'), 'HEAD'), { head: true });
      expect(response?.status).toBe(403);
      expect(response?.headers.get('x-curfew-reason')).toEqual(['grant.none']);
    }
    connection.close();
  });

  test('a denial is 401 with a challenge for a bad credential, else 403; the body says which decision it was', async () => {
    decide = (given) => denying(given, 'grant.expired', { grant: 'g1' });
    const denied = await ask(forwarded('/a'));
    expect(denied.status).toBe(403);
    expect(JSON.parse(denied.body)).toEqual({ title: 'the grant has ended', status: 403, decision_id: evaluation().id, reason: 'grant.expired' });
    expect(header(denied, 'x-curfew-grant')).toBe('g1');
    expect(header(denied, 'cache-control')).toBe('no-store');
    expect(header(denied, 'x-curfew-valid-until')).toBeUndefined();
    const missing = await ask(forwarded('/a').slice(1));
    expect(missing.status).toBe(401);
    expect(header(missing, 'www-authenticate')).toBe('Bearer realm="curfew"');
    decide = (given) => denying(given, 'credential.expired');
    expect(header(await ask(forwarded('/a')), 'www-authenticate')).toBe('Bearer realm="curfew", error="invalid_token"');
  });

  test('B9: no denial leaves as success, whatever status the decision carries', async () => {
    for (const httpStatus of [200, 204, 302, 100, 500, 0, Number.NaN, 399, 1e9]) {
      decide = (given) => denying(given, 'policy.denied', { shaping: shapingOf({ httpStatus }) });
      expect((await ask(forwarded('/a'))).status).toBe(403);
    }
    decide = (given) => denying(given, 'policy.denied', { shaping: shapingOf({ httpStatus: 429, body: 'slow down', headers: [['retry-after', '5']] }) });
    const shaped = await ask(forwarded('/a'));
    expect([shaped.status, shaped.body, header(shaped, 'retry-after')]).toEqual([429, 'slow down', '5']);
    // Not even a decision that is nothing of the kind.
    for (const nonsense of [{}, { allow: 'true' }, { allow: 1 }, null]) {
      decide = () => nonsense as unknown as Decision;
      expect((await ask(forwarded('/a'))).status).toBe(403);
    }
    decide = () => {
      throw new Error('secret detail');
    };
    const failed = await ask(forwarded('/a'));
    expect([failed.status, failed.body]).toEqual([403, '']);
  });

  test("B9: a policy can't steer caches on a denial, and the protocol names what it can't carry on an allow", async () => {
    decide = (given) => denying(given, 'policy.denied', { shaping: shapingOf({ headers: [['cache-control', 'max-age=60'], ['X-Accel-Expires', '60'], ['X-Why', 'no']] }) });
    const response = await ask(forwarded('/a'));
    expect(response.headers.get('cache-control')).toEqual(['no-store']);
    expect(header(response, 'x-accel-expires')).toBeUndefined();
    expect(header(response, 'x-why')).toBe('no');
    const { unable } = evaluation();
    expect(unable).toMatchObject({ removeHeaders: true, query: true });
    for (const name of ['cache-control', 'x-accel-redirect', 'x-accel-expires']) expect(unable?.headers).toContain(name);
  });

  test("an allow's headers for the upstream and for the client are on the answer", async () => {
    decide = (given) => allowing(given, { shaping: shapingOf({ headers: [['x-user', 'ci'], ['x-user', 'two']], responseHeaders: [['x-note', 'n']] }) });
    const response = await ask(forwarded('/a'));
    expect(response.headers.get('x-user')).toEqual(['ci', 'two']);
    expect(header(response, 'x-note')).toBe('n');
  });

  test('it is written in the same tick in which the decision was made', async () => {
    let later = false;
    let wrote: boolean | undefined;
    decide = (given) => {
      setImmediate(() => {
        later = true;
      });
      return allowing(given);
    };
    const socket = await openRaw(gateway.port);
    const { ServerResponse } = await import('node:http');
    const end = ServerResponse.prototype.end;
    ServerResponse.prototype.end = function (this: InstanceType<typeof ServerResponse>, ...args: unknown[]) {
      wrote = !later;
      return (end as (...all: unknown[]) => typeof this).apply(this, args);
    } as typeof end;
    try {
      await socket.ask(requestText('/forward-auth', forwarded('/a')));
    } finally {
      ServerResponse.prototype.end = end;
      socket.close();
    }
    expect(wrote).toBe(true);
  });

  test('demand(2): access that ends between two requests of one connection is gone at the second', async () => {
    const connection = await openRaw(gateway.port);
    expect((await connection.ask(requestText('/forward-auth', forwarded('/a'))))?.status).toBe(200);
    decide = (given) => denying(given, 'grant.expired');
    expect((await connection.ask(requestText('/forward-auth', forwarded('/a'))))?.status).toBe(403);
    connection.close();
  });
});

describe('outside development', () => {
  test('G1: the wire says only unauthenticated, denied, ended or unavailable', async () => {
    const production = await startGateway({ fineReasons: false, decide: (given) => decide(given) });
    try {
      for (const [reason, wire, status] of [
        ['credential.signature', 'unauthenticated', 401], ['grant.none', 'denied', 403], ['grant.expired', 'ended', 403], ['facts.stale', 'unavailable', 403],
      ] as const) {
        decide = (given) => denying(given, reason, { grant: 'secret-grant' });
        const response = await askOnce(production.port, requestText('/forward-auth', forwarded('/a')));
        expect(response?.status).toBe(status);
        expect(response?.headers.get('x-curfew-reason')).toEqual([wire]);
        expect(JSON.parse(response?.body ?? '')).toMatchObject({ reason: wire, title: 'access denied' });
        expect(JSON.stringify([...(response?.headers ?? [])]) + response?.body).not.toMatch(/secret-grant|signature|expired|none|stale/);
      }
      decide = (given) => allowing(given, { grant: 'secret-grant' });
      const allowed = await askOnce(production.port, requestText('/forward-auth', forwarded('/a')));
      expect(allowed?.headers.has('x-curfew-grant')).toBe(false);
      expect(allowed?.headers.has('x-curfew-valid-until')).toBe(true);
    } finally {
      await production.close();
    }
  });
});
