/** Behind the shipped nginx configuration, as it stands but for its addresses. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import { describeWith } from '../../parts.ts';
import { allowing, denying, shapingOf, startGateway, type TestGateway } from '../../support/http-gateway.ts';
import { shippedNginx, startNginx, type RunningNginx } from '../../support/nginx.ts';
import { hostilePaths } from '../../support/paths.ts';
import { askOnce, openRaw, requestText, type RawResponse } from '../../support/raw-socket.ts';
import { startService, type Service } from '../../support/service.ts';

const LINES = ['Host: shop.local', 'Authorization: Bearer good'];

describeWith(['nginx'], 'behind the shipped nginx configuration', () => {
  let service: Service;
  let gateway: TestGateway;
  let nginx: RunningNginx;
  let decide: (evaluation: Evaluation) => Decision = allowing;

  beforeAll(async () => {
    service = await startService();
    gateway = await startGateway({ decide: (evaluation) => decide(evaluation) });
    nginx = await startNginx(shippedNginx({ curfew: gateway.port, service: service.port }));
  });
  afterAll(async () => {
    await nginx?.stop();
    await gateway?.close();
    await service?.close();
  });
  beforeEach(() => {
    decide = allowing;
    gateway.evaluations.length = 0;
    service.hits.length = 0;
  });

  const ask = async (target: string, lines: readonly string[] = LINES, method = 'GET'): Promise<RawResponse | undefined> =>
    askOnce(nginx.port, requestText(target, lines, method));

  test('demand(1): an allowed request reaches the service as it was sent, with its decision; a denied one does not', async () => {
    expect((await ask('/orders/42?x=%2f', [...LINES, 'X-Custom: kept'], 'PUT'))?.body).toBe('served');
    expect(gateway.evaluations[0]).toMatchObject({
      protocol: 'forward-auth', presented: { kind: 'bearer', token: 'good' }, question: { action: 'PUT', resource: { type: 'http', id: 'shop.local/orders/42' }, source: '127.0.0.1' },
    });
    expect(service.hits).toHaveLength(1);
    expect(service.hits[0]).toMatchObject({ method: 'PUT', target: '/orders/42?x=%2f', headers: { host: 'shop.local', 'x-custom': 'kept', 'x-curfew-decision-id': gateway.evaluations[0]?.id } });

    decide = (evaluation) => denying(evaluation, 'grant.none');
    const denied = await ask('/orders/42');
    expect(denied?.status).toBe(403);
    expect(denied?.headers.get('x-curfew-reason')).toEqual(['grant.none']);
    expect(denied?.headers.get('x-curfew-decision-id')).toEqual([gateway.evaluations[1]?.id]);
    const missing = await ask('/orders/42', ['Host: shop.local']);
    expect(missing?.status).toBe(401);
    expect(missing?.headers.get('www-authenticate')?.[0]).toMatch(/^Bearer /);
    expect(service.hits).toHaveLength(1);
  });

  test('demand(2): access that ends between two requests on one keep-alive connection is refused on the second', async () => {
    const connection = await openRaw(nginx.port);
    expect((await connection.ask(requestText('/a', LINES)))?.status).toBe(200);
    decide = (evaluation) => denying(evaluation, 'grant.expired');
    expect((await connection.ask(requestText('/a', LINES)))?.status).toBe(403);
    expect(service.hits).toHaveLength(1);
    connection.close();
  });

  /** Sends every hostile target; `wrong` are those that the service saw otherwise than they were judged. */
  const sendHostile = async (through: RunningNginx): Promise<{ readonly refused: number; readonly served: number; readonly wrong: readonly string[] }> => {
    let [refused, served] = [0, 0];
    const wrong: string[] = [];
    for (const target of hostilePaths()) {
      gateway.evaluations.length = 0;
      service.hits.length = 0;
      // Everything is allowed that can be asked about: only the judgement stands between a target and the service.
      const response = await askOnce(through.port, requestText(target, LINES));
      if (service.hits.length === 0) {
        refused += 1;
        if (response !== undefined && response.status < 400) wrong.push(target);
        continue;
      }
      served += 1;
      const [judged, ...others] = gateway.evaluations.map(({ question }) => question?.resource.id);
      const [seen = ''] = (service.hits[0]?.target ?? '').split('?', 1);
      // As a strict reader of the target sees it, and as one that normalises.
      const readings = [seen, new URL(seen, 'http://h').pathname].map((path) => {
        try {
          return `${service.hits[0]?.headers.host}${decodeURIComponent(path)}`;
        } catch {
          return undefined;
        }
      });
      if (service.hits.length > 1 || others.length > 0 || readings.some((reading) => reading !== judged)) wrong.push(target);
    }
    return { refused, served, wrong };
  };

  test('B1: what the service sees is what was judged, or it was denied: over 500 hostile targets', async () => {
    const { refused, served, wrong } = await sendHostile(nginx);
    expect(wrong).toEqual([]);
    expect(refused).toBeGreaterThan(500);
    expect(served).toBeGreaterThan(5);
  });

  test.each([
    ['asks about the path as nginx has normalised it', 'X-Forwarded-Uri $request_uri', 'X-Forwarded-Uri $uri'],
    ['takes the path from the client', 'proxy_set_header X-Forwarded-Uri $request_uri;', 'proxy_set_header X-Forwarded-Uri /public;'],
  ])('positive control: a configuration that %s is caught', async (_name, from, to) => {
    const planted = shippedNginx({ curfew: gateway.port, service: service.port }).replace(from, to);
    const faulty = await startNginx(planted);
    try {
      expect((await sendHostile(faulty)).wrong.length).toBeGreaterThan(20);
    } finally {
      await faulty.stop();
    }
  });

  test("B1: a client's own words for the original request, host, method or peer count nowhere", async () => {
    const spoofs = [
      'X-Original-URI: /public', 'X-Original-Method: GET', 'X-Forwarded-Uri: /public', 'X-Forwarded-Method: GET', 'X-Forwarded-Host: other.local', 'X-Forwarded-Proto: https', 'X-Forwarded-For: 10.0.0.1',
      'X-Forwarded-Client-Cert: URI=spiffe://prod/admin', 'X-Curfew-Pep-Token: guess', 'X-Curfew-Decision-Id: forged', 'X-Curfew-Grant: forged', 'X-Curfew-Valid-Until: 2099-01-01T00:00:00.000Z',
      'Forwarded: host=other.local', 'X_Forwarded_Uri: /public', 'X-Real-IP: 10.0.0.1', 'X-Forwarded-Prefix: /x', 'Connection: X-Forwarded-Uri',
    ];
    for (const spoof of spoofs) {
      gateway.evaluations.length = 0;
      service.hits.length = 0;
      const response = await ask('/admin', [...LINES, spoof], 'POST');
      expect(response?.status, spoof).toBe(200);
      expect(gateway.evaluations[0], spoof).toMatchObject({ question: { action: 'POST', resource: { id: 'shop.local/admin' }, source: '127.0.0.1' }, pep: { id: undefined } });
      expect(gateway.evaluations[0]?.otherPeer, spoof).toBeUndefined();
      const headers = service.hits[0]?.headers ?? {};
      expect(headers['x-curfew-decision-id'], spoof).toBe(gateway.evaluations[0]?.id);
      expect(JSON.stringify(headers), spoof).not.toMatch(/forged|2099|guess|\/public|other\.local|10\.0\.0\.1|spiffe/);
      expect(headers['x-forwarded-for'], spoof).toBe('127.0.0.1');
    }
    for (const trace of ['X-Original-Anything: x', 'X-Original-URL: /public', 'X-Rewrite-URL: /public', 'X-HTTP-Method-Override: DELETE']) {
      service.hits.length = 0;
      expect((await ask('/admin', [...LINES, trace]))?.status, trace).toBe(403);
      expect(service.hits, trace).toEqual([]);
    }
  });

  test("B1: another vhost's Host, in every spelling, reaches neither Curfew nor the service", async () => {
    for (const host of ['other.local', 'shop.local.evil', '127.0.0.1', 'shop.local@other.local', 'xshop.local', '']) {
      const response = await ask('/a', [`Host: ${host}`, 'Authorization: Bearer good']);
      expect(response?.status === 421 || response?.status === 400, host).toBe(true);
    }
    expect((await ask('http://other.local/a'))?.status).toBe(421);
    const twice = await ask('/a', ['Host: shop.local', 'Host: other.local', 'Authorization: Bearer good']);
    expect(twice?.status).toBe(400);
    expect(gateway.evaluations).toEqual([]);
    expect(service.hits).toEqual([]);
    // The same host in other words is the same host.
    for (const host of ['SHOP.local', 'shop.local.', `shop.local:${nginx.port}`]) expect((await ask('/a', [`Host: ${host}`, 'Authorization: Bearer good']))?.status, host).toBe(200);
    expect(gateway.evaluations.every(({ question }) => question?.resource.id === 'shop.local/a')).toBe(true);
    expect(service.hits.every(({ headers }) => headers.host === 'shop.local')).toBe(true);
  });

  test('B1, C5: CONNECT, upgrades and event streams do not get through', async () => {
    for (const [method, target, more] of [
      ['CONNECT', 'shop.local:443', []], ['CONNECT', '/a', []], ['GET', '/ws', ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']],
      ['GET', '/', ['Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABkAAQAAP__']], ['GET', '/stream', ['Accept: text/event-stream']], ['POST', '/grpc', ['Content-Type: application/grpc']],
    ] as const) {
      const response = await ask(target, [...LINES, ...more], method);
      expect(response?.status ?? 400, `${method} ${more.join()}`).toBeGreaterThanOrEqual(400);
    }
    expect(service.hits).toEqual([]);
  });

  test('B2: more than one credential is a malformed one', async () => {
    for (const lines of [['Authorization: Bearer good', 'Authorization: Bearer good'], ['Authorization: Bearer good', 'Authorization: Bearer other'], ['Authorization: Bearer good, Bearer other']]) {
      expect((await ask('/a', ['Host: shop.local', ...lines]))?.status, lines.join()).toBeGreaterThanOrEqual(400);
    }
    expect(service.hits).toEqual([]);
    expect(gateway.evaluations.every(({ presented }) => presented.kind === 'malformed')).toBe(true);
  });

  test('B3: a request whose end can be read in two ways smuggles nothing past the judgement', async () => {
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: shop.local\r\n\r\n';
    const head = `POST /a HTTP/1.1\r\n${LINES.join('\r\n')}\r\n`;
    for (const bytes of [
      `${head}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG${smuggled}`,
      `${head}Transfer-Encoding: chunked\r\nContent-Length: ${smuggled.length}\r\n\r\n0\r\n\r\n${smuggled}`,
      `${head}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
      `${head}Content-Length: +${smuggled.length}\r\n\r\n${smuggled}`,
      `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${smuggled}`,
      `${head}Content-Length: 5\r\n\r\nhello${smuggled}`,
    ]) {
      const connection = await openRaw(nginx.port);
      await connection.ask(bytes);
      // A second answer, if there is one, is for a request of its own: judged by itself, and without credential denied.
      const second = await Promise.race([connection.ask(''), connection.closed]);
      if (second !== undefined) expect(second.status).toBeGreaterThanOrEqual(400);
      connection.close();
    }
    expect(service.hits.filter(({ target }) => target !== '/a')).toEqual([]);
  });

  test('B5: the asking itself is not for clients, and no location goes without it', async () => {
    decide = (evaluation) => denying(evaluation, 'grant.none');
    for (const target of ['/.curfew', '/%2ecurfew', '//.curfew', '/x/../.curfew', '/.curfew/', '/.curfew?x', '/.Curfew', '/nginx_status', '/50x.html']) {
      expect((await ask(target))?.status, target).toBeGreaterThanOrEqual(400);
    }
    expect(service.hits).toEqual([]);
  });

  test('B9: whatever else Curfew answers, the service is not reached', async () => {
    for (const httpStatus of [200, 204, 302, 400, 404, 429, 499]) {
      decide = (evaluation) => denying(evaluation, 'policy.denied', { shaping: shapingOf({ httpStatus }) });
      expect((await ask('/a'))?.status, String(httpStatus)).toBeGreaterThanOrEqual(400);
    }
    expect(service.hits).toEqual([]);
  });

  test("B1: the reverse: a gateway with its own token and X-Original-* headers, and clients that send X-Forwarded-*", async () => {
    const token = 'nginx-token-0123456789';
    const own = await startGateway({
      peps: [{ id: 'nginx', token: { sha256: createHash('sha256').update(token).digest('hex') }, headers: 'x-original', hosts: ['shop.local'] }],
      decide: (evaluation) => decide(evaluation),
    });
    // In the asking location, which comes first, the two families change places.
    const text = [
      ['X-Original-Method ""', 'X-Forwarded-Method ""'], ['X-Original-URI ""', 'X-Forwarded-Uri ""'],
      ['X-Forwarded-Method $request_method', 'X-Original-Method $request_method'], ['X-Forwarded-Uri $request_uri', 'X-Original-URI $request_uri'],
      ['X-Forwarded-Proto $scheme', 'X-Forwarded-Proto ""'], ['X-Forwarded-Host $host', 'X-Forwarded-Host ""'], ['X-Forwarded-For $remote_addr', 'X-Forwarded-For ""'],
      ['X-Curfew-Pep-Token ""', `X-Curfew-Pep-Token ${token}`],
    ].reduce((config, [from = '', to = '']) => config.replace(from, to), shippedNginx({ curfew: own.port, service: service.port }));
    const other = await startNginx(text);
    try {
      const send = async (lines: readonly string[]): Promise<number | undefined> => (await askOnce(other.port, requestText('/admin', [...LINES, ...lines], 'POST')))?.status;
      for (const spoof of ['X-Accept: x', 'X-Forwarded-Uri: /public', 'X-Forwarded-Method: GET', 'X-Forwarded-Host: other.local', 'X-Original-URI: /public', 'X-Curfew-Pep-Token: guess']) {
        own.evaluations.length = 0;
        expect(await send([spoof]), spoof).toBe(200);
        expect(own.evaluations[0], spoof).toMatchObject({ pep: { id: 'nginx' }, question: { action: 'POST', resource: { id: 'shop.local/admin' } } });
      }
      service.hits.length = 0;
      for (const trace of ['X-Forwarded-Prefix: /x', 'X-Forwarded-Server: x']) expect(await send([trace]), trace).toBe(403);
      decide = (evaluation) => denying(evaluation, 'policy.denied', { shaping: shapingOf({ httpStatus: 429 }) });
      expect(await send([])).toBe(403);
      expect(service.hits).toEqual([]);
    } finally {
      await other.stop();
      await own.close();
    }
  });
});
