/** The client library: a no unless Curfew said yes and it still holds; middleware for fetch, hono, Express and Connect; and all of it against the real program. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Hono } from 'hono';
import { afterEach, describe, expect, test } from 'vitest';
import { createCurfewClient, curfewConnect, curfewHono, guardFetch, httpResourceId, type CurfewClient, type Question } from '../../src/client/index.ts';
import { startCurfew } from '../runtime/curfew.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

const serve = async (listener: RequestListener): Promise<string> => {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ending.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const QUESTION: Question = { subject: 'spiffe://a/b', action: 'read', resource: { type: 'kb', id: '1' } };
const YES = { decision: true, context: { decision_id: 'd1', valid_until: '2030-01-01T00:00:05.000Z', valid_ms: 5_000 } };

/** A clock that the test moves, and answers that it makes; `now` moves on while the answer is under way. */
const staged = (answer: unknown, takesMs = 0, status = 200) => {
  const state = { now: 1_000_000, trusted: true };
  const client = createCurfewClient({
    url: 'http://curfew/', token: async () => 't', clock: { now: () => ({ latest: state.now, trusted: state.trusted }) },
    fetch: async () => {
      state.now += takesMs;
      if (answer instanceof Error) throw answer;
      return new Response(typeof answer === 'string' ? answer : JSON.stringify(answer), { status });
    },
  });
  return { client, state };
};

describe('answers', () => {
  test('demand(59): a yes holds until its end, counted from before the question left', async () => {
    const { client, state } = staged(YES, 1_000);
    const answer = await client.evaluate(QUESTION);
    if (!answer.allowed) throw new Error(answer.reason);
    expect(answer).toMatchObject({ decisionId: 'd1', validUntil: new Date('2030-01-01T00:00:05.000Z'), obligations: [] });
    expect(answer.holds()).toBe(true);
    state.now = 1_000_000 + 4_999;
    expect(answer.holds()).toBe(true);
    state.now += 1;
    expect(answer.holds()).toBe(false);
    state.now -= 4_000;
    state.trusted = false;
    expect(answer.holds()).toBe(false);
  });

  test('an answer that comes past its end is none', async () => {
    expect(await staged(YES, 5_000).client.evaluate(QUESTION)).toEqual({ allowed: false, reason: 'ended', decisionId: 'd1' });
    expect((await staged({ ...YES, context: { ...YES.context, valid_ms: 0 } }).client.evaluate(QUESTION)).allowed).toBe(false);
  });

  test('whatever is no yes is a no, and nothing rejects', async () => {
    for (const answer of [
      { decision: 'true' }, { decision: 1 }, { decision: true }, { ...YES, decision: false }, [YES], null, '', '{', 'true', new Error('refused'), { decision: true, context: 'x' },
      ...Object.keys(YES.context).map((name) => ({ decision: true, context: { ...YES.context, [name]: undefined } })),
      ...[Number.NaN, '5000', 1e308, null].map((valid) => ({ decision: true, context: { ...YES.context, valid_ms: valid } })), { decision: true, context: { ...YES.context, valid_until: 'soon' } }, { decision: true, context: { ...YES.context, obligations: {} } },
    ]) expect((await staged(answer).client.evaluate(QUESTION)).allowed, JSON.stringify(answer)).toBe(false);
    for (const status of [201, 204, 302, 400, 401, 500]) expect((await staged(status === 204 ? '' : YES, 0, status === 204 ? 200 : status).client.evaluate(QUESTION)).allowed, String(status)).toBe(false);
    expect(await staged({ decision: false, context: { reason: 'grant.none', decision_id: 'd', access_request: { endpoint: 'e' } } }).client.evaluate(QUESTION)).toEqual({ allowed: false, reason: 'grant.none', decisionId: 'd', accessRequest: { endpoint: 'e' } });
  });

  test('no answer in time and redirects are a no', async () => {
    const slow = await serve(() => undefined);
    expect(await createCurfewClient({ url: slow, timeoutMs: 50 }).evaluate(QUESTION)).toEqual({ allowed: false, reason: 'unavailable' });
    const yes = await serve((_request, response) => response.end(JSON.stringify(YES)));
    const elsewhere = await serve((_request, response) => response.writeHead(307, { location: `${yes}/access/v1/evaluation` }).end());
    expect((await createCurfewClient({ url: elsewhere, timeoutMs: 20_000 }).evaluate(QUESTION)).allowed).toBe(false);
    expect((await createCurfewClient({ url: yes, timeoutMs: 20_000 }).evaluate(QUESTION)).allowed).toBe(true);
  });

  test('access is requested where it was said, with the words of the answer when it is not', async () => {
    const seen: string[] = [];
    const url = await serve((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      if (seen.length === 1) response.writeHead(201).end('{"id":"r1","state":"pending"}');
      else response.writeHead(403).end('{"detail":"not you"}');
    });
    const client = createCurfewClient({ url: 'http://curfew', requests: { url, token: 'person' } });
    expect(await client.requestAccess({ entitlement: 'x' })).toEqual({ id: 'r1', state: 'pending' });
    expect(seen).toEqual(['POST /v1/requests Bearer person']);
    await expect(client.requestAccess({ entitlement: 'x' })).rejects.toThrow('(403): not you');
    await expect(createCurfewClient({ url }).requestAccess({})).rejects.toThrow('`requests`');
  });
});

test('B1: a path has one reading or none', () => {
  expect(httpResourceId('Shop.Local', '/a%20b/%C3%BC?x=%2f')).toBe('shop.local/a b/ü');
  for (const target of ['/a%2fb', '/a%5cb', '/a%252e', '/%ff', 'http://x/a', '']) expect(httpResourceId('shop.local', target), target).toBeUndefined();
});

describe('middleware, against the real program', () => {
  const WORKLOAD = 'spiffe://dev.local/client/app';

  test('fetch, hono and Connect let through what is granted, and stop when it is revoked', { timeout: 120_000 }, async () => {
    const curfew = await startCurfew();
    ending.push(curfew.stop);
    const client: CurfewClient = createCurfewClient({ url: `http://127.0.0.1:${curfew.ports.http}`, timeoutMs: 10_000 });
    const app = new Hono();
    app.use(curfewHono(client));
    app.get('/orders/:id', (context) => context.text('served'));
    const guarded = guardFetch(client, () => new Response('served'));
    const connect = curfewConnect(client);
    const listening = await serve((request, response) => connect(request, response, () => response.end('served')));
    const { host } = new URL(listening);

    const token = await curfew.mint(WORKLOAD);
    const request = (path = '/orders/42', bearer: string | undefined = token): Request => new Request(`http://${host}${path}`, bearer === '' ? {} : { headers: { authorization: `Bearer ${bearer}` } });
    const ways: readonly ((path?: string, bearer?: string) => Promise<Response>)[] = [async (...of) => app.fetch(request(...of)), async (...of) => guarded(request(...of)), (...of) => fetch(request(...of))];
    const statuses = (path?: string, bearer?: string): Promise<readonly number[]> => Promise.all(ways.map(async (ask) => (await ask(path, bearer)).status));

    expect(await statuses()).toEqual([403, 403, 403]);
    const { id } = await curfew.grant(WORKLOAD, { scopes: [{ actions: ['GET'], resource: { type: 'http', id: `${host}/orders/**` } }] });
    expect(await statuses()).toEqual([200, 200, 200]);
    expect(await statuses('/customers/7')).toEqual([403, 403, 403]);
    expect(await statuses('/orders/42', '')).toEqual([401, 401, 401]);
    expect(await statuses('/orders/42', `${token}x`)).toEqual([401, 401, 401]);
    await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: id }, reason: 'test' });
    expect(await statuses()).toEqual([403, 403, 403]);
    await curfew.stop();
    expect(await statuses()).toEqual([403, 403, 403]);
  });
});
