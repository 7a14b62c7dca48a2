/** AuthZEN 1.0: what each request means, how each error leaves, and that nothing unread or unproved ever gets a yes. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import type { Instant } from '../../../src/domain/instant.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import type { Scope } from '../../../src/domain/scope.ts';
import { authzenConfig } from '../../../src/gateways/authzen/config.ts';
import { createAuthzen } from '../../../src/gateways/authzen/gateway.ts';
import { NOW, allowing, denying, faultOf, shapingOf, startGateway, type TestGateway } from '../../support/http-gateway.ts';

const TOKEN = 'authzen-token-0123456789';
const AGENT = 'spiffe://prod.example/agent/helper';
const pep = {
  id: 'mcp', token: { sha256: createHash('sha256').update(TOKEN).digest('hex') }, asserts: ['spiffe://prod.example/agent/**'],
  obligations: ['notification'], hosts: ['shop.local'],
};

let decide: (evaluation: Evaluation) => Decision = allowing;
let data: JsonObject = {};
let scopes: readonly Scope[] = [];
let gateway: TestGateway;
let open: TestGateway;

const options = (config: Parameters<typeof authzenConfig.parse>[0] = {}) => ({
  decide: (evaluation: Evaluation) => decide(evaluation),
  apis: (parts: Parameters<NonNullable<Parameters<typeof startGateway>[0]>['apis'] & {}>[0]) => [
    createAuthzen({
      ...parts, config: authzenConfig.parse(config),
      explain: async (evaluation) => {
        const fault = faultOf(evaluation);
        const decision = fault === undefined ? decide(evaluation) : denying(evaluation, fault);
        const workload = evaluation.presented.kind === 'asserted' ? evaluation.presented.workload : undefined;
        return { decision, record: { workload } as never };
      },
      search: { data: () => data, scopesOf: async () => scopes },
      accessRequests: { path: '/access-requests', offer: (_evaluation, decision) => (!decision.allow && decision.reason === 'grant.none' ? { endpoint: 'here' } : undefined) },
    }),
  ],
});

beforeAll(async () => {
  gateway = await startGateway({ ...options({ bodyBytesMax: 4_096, evaluationsMax: 3, pageMax: 2, candidatesMax: 10 }), peps: [pep] });
  open = await startGateway({ ...options(), fineReasons: false });
});
afterAll(() => Promise.all([gateway.close(), open.close()]));
beforeEach(() => {
  decide = allowing;
  data = {};
  scopes = [];
  gateway.evaluations.length = 0;
  open.evaluations.length = 0;
});

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: any;
}

const send = async (path: string, body: string | undefined, headers: Record<string, string> = {}, method = 'POST', at = gateway): Promise<Answered> => {
  const response = await fetch(`http://127.0.0.1:${at.port}${path}`, {
    method, headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers }, ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
};
const evaluate = (body: unknown, headers = {}): Promise<Answered> => send('/access/v1/evaluation', JSON.stringify(body), headers);
const question = (more: Record<string, unknown> = {}) => ({
  subject: { type: 'workload', id: AGENT }, action: { name: 'read' }, resource: { type: 'kb', id: 'articles/1' }, ...more,
});
const last = (at = gateway): Evaluation => at.evaluations.at(-1) as Evaluation;

describe('evaluation', () => {
  test('entities become the question and the input; the answer says until when it holds', async () => {
    const answer = await evaluate(question({ context: { ip: '10.0.0.1' }, extra: 1, curfew: { grants: [] } }), { 'x-request-id': 'abc-1', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-request-id')).toBe('abc-1');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(last()).toMatchObject({
      protocol: 'authzen', realm: 'default', pep: { id: 'mcp' }, presented: { kind: 'asserted', workload: AGENT },
      question: { action: 'read', resource: { type: 'kb', id: 'articles/1' }, context: { ip: '10.0.0.1' } },
      input: { ...question(), context: { ip: '10.0.0.1' } }, traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    expect(JSON.stringify(last().input)).not.toContain('curfew');
    expect(answer.json).toEqual({ decision: true, context: { decision_id: last().id, valid_until: '2030-01-01T00:00:05.000Z', valid_ms: 5_000, cache_ms: 0 } });
  });

  test('a denial is 200, says why as far as it may, and where access can be asked for', async () => {
    decide = (evaluation) => denying(evaluation, 'grant.none');
    expect(await evaluate(question())).toMatchObject({ status: 200, json: { decision: false, context: { reason: 'grant.none', access_request: { endpoint: 'here' } } } });
    decide = (evaluation) => denying(evaluation, 'grant.revoked');
    const { json } = await evaluate(question());
    expect(json.context).toEqual({ decision_id: last().id, reason: 'grant.revoked' });
  });

  test('B9 obligations go with the answer, each with an id; on a denial only those that can be carried out', async () => {
    const obligations = [{ type: 'notification', properties: { to: 'x' } }, { id: 'mine', type: 'step-up' }];
    decide = (evaluation) => allowing(evaluation, { shaping: shapingOf({ obligations: [obligations[0] as JsonObject] }) });
    expect((await evaluate(question())).json.context.obligations).toEqual([{ id: `${last().id}/0`, type: 'notification', properties: { to: 'x' } }]);
    decide = (evaluation) => denying(evaluation, 'policy.denied', { shaping: shapingOf({ obligations, httpStatus: 401 }) });
    const answer = await evaluate(question());
    expect(answer.status).toBe(200);
    expect(answer.json.context.obligations).toEqual([{ id: `${last().id}/0`, type: 'notification', properties: { to: 'x' } }]);
    expect(last().unable).toEqual({ removeHeaders: true, query: true, headers: 'any' });
  });

  test('a credential at its place takes the place of the subject, and never reaches the policy', async () => {
    await evaluate(question({ subject: { type: 'workload', id: 'anybody', properties: { credential: 'good.token', team: 'a' } } }));
    expect(last().presented).toEqual({ kind: 'bearer', token: 'good.token' });
    // Nobody vouches for a name beside it: no policy gets to hear it.
    expect(last().input['subject']).toEqual({ type: 'workload', properties: { team: 'a' } });
    const body = JSON.stringify(question({ subject: { type: 'workload', id: AGENT, properties: { credential: 'good.token' } } }));
    await send('/access/v1/evaluation', body, { authorization: '' }, 'POST', open);
    expect(JSON.stringify(last(open)?.input ?? {})).not.toContain(AGENT);
    for (const credential of [7, null, {}, '', 'two words', 'Bearer x']) {
      const answer = await evaluate(question({ subject: { type: 'workload', id: AGENT, properties: { credential } } }));
      expect(answer.json, String(credential)).toMatchObject({ decision: false, context: { reason: 'credential.malformed' } });
    }
  });

  test('an enforcement point asserts what its configuration says and nothing else', async () => {
    for (const id of ['spiffe://prod.example/agent', 'spiffe://prod.example/agents/x', 'spiffe://other.example/agent/helper', 'oidc:x/y', 'alice']) {
      expect((await evaluate(question({ subject: { type: 'user', id } }))).json, id).toMatchObject({ decision: false, context: { reason: 'pep.not_permitted' } });
    }
  });

  test('a resource of type http is what a backend would see, on a host that may be asked about (B1)', async () => {
    const reasonOf = async (id: string): Promise<string | undefined> => (await evaluate(question({ action: { name: 'GET' }, resource: { type: 'http', id } }))).json.context.reason;
    for (const id of ['shop.local/orders/42', 'shop.local/', 'shop.local/a b/ü:@', 'shop.local/a/']) expect(await reasonOf(id), id).toBeUndefined();
    for (const id of ['shop.local', 'shop.local/a//b', 'shop.local/../x', 'shop.local/a/.', 'shop.local/a%2fb', 'shop.local/a;x', 'shop.local/a\\b', 'shop.local/a?b', 'shop.local/a#b', 'Shop.Local/a', 'shop.local:80/a', '/a']) {
      expect(await reasonOf(id), id).toMatch(/^request\.ambiguous$|^pep\.not_permitted$/);
    }
    expect(await reasonOf('other.local/a')).toBe('pep.not_permitted');
    expect((await evaluate(question({ resource: { type: 'kb', id: 'a/../b' } }))).json.context.reason).toBe('request.ambiguous');
    expect((await evaluate(question({ resource: { type: 'kb', id: 'a\u0000b' } }))).json.context.reason).toBe('request.malformed');
    expect((await evaluate(question({ resource: { type: 'kb', id: 'x'.repeat(3_000) } }))).json.context.reason).toBe('request.too_large');
  });
});

describe('errors', () => {
  const refusedWith = async (status: number, answer: Promise<Answered>, reason = 'request.malformed'): Promise<void> => {
    gateway.evaluations.length = 0;
    const { status: got, text, headers } = await answer;
    expect(got, text).toBe(status);
    expect(gateway.evaluations.map(({ refused }) => refused)).toEqual([reason]);
    expect(headers.get('x-curfew-decision-id')).toBe(last().id);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  };
  const path = '/access/v1/evaluation';

  test('another content type, no body, no JSON, wrong types and what is missing are 400, each recorded', async () => {
    const good = JSON.stringify(question());
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', '']) await refusedWith(400, send(path, good, { 'content-type': type }));
    for (const body of ['', '  ', '{', 'null', '[]', '"x"', '7', `${good}x`]) await refusedWith(400, send(path, body));
    expect((await send(path, good, { 'content-type': 'application/json; charset=utf-8' })).json.decision).toBe(true);
    for (const more of [
      { subject: undefined }, { action: undefined }, { resource: undefined }, { subject: AGENT }, { subject: null }, { subject: [] }, { subject: { type: 'workload' } },
      { subject: { type: 'workload', id: 7 } }, { subject: { type: '', id: AGENT } }, { action: {} }, { action: { name: ['read'] } }, { resource: { type: 'kb', id: {} } },
      { resource: { id: 'x' } }, { context: 'x' }, { context: [] }, { subject: { type: 'workload', id: AGENT, properties: 'x' } },
    ]) await refusedWith(400, evaluate(question(more)));
  });

  test('B7 two members of one name, __proto__, 1e400, surrogates, depth: 400', async () => {
    const good = JSON.stringify(question()).slice(1);
    const deep = `{"context":${'{"a":'.repeat(100)}1${'}'.repeat(100)},${good}`;
    for (const body of [
      `{"subject":{"type":"workload","id":"spiffe://prod.example/agent/other"},${good}`, `{"__proto__":{"polluted":true},${good}`,
      `{"context":{"__proto__":{"polluted":true}},${good}`, `{"context":{"n":1e400},${good}`, `{"context":{"n":9007199254740993},${good}`, `{"context":{"n":[ 123456789012345678901234567891]},${good}`, `{"context":{"s":"\\ud800"},${good}`, deep,
    ]) await refusedWith(400, send(path, body));
    await refusedWith(400, send(path, Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1')));
    expect((await send(path, `{"constructor":{"prototype":{"polluted":true}},${good}`)).json.decision).toBe(true);
  });

  test('B8 a body beyond its limit is 413, whether it says so or not', async () => {
    await refusedWith(413, send(path, `"${'x'.repeat(5_000)}"`), 'request.too_large');
    const stream = new ReadableStream({ pull: (controller) => controller.enqueue(new TextEncoder().encode(' '.repeat(1_000))) });
    const endless: RequestInit & { readonly duplex: 'half' } = { method: 'POST', headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }, body: stream, duplex: 'half' };
    const response = await fetch(`http://127.0.0.1:${gateway.port}${path}`, endless).catch(() => undefined);
    expect(response === undefined || response.status === 413).toBe(true);
  });

  test('401 is for the enforcement point alone', async () => {
    for (const authorization of ['', 'Bearer wrong-token-0123456789', `Basic ${TOKEN}`, TOKEN]) {
      const answer = send(path, JSON.stringify(question()), { authorization });
      await refusedWith(401, answer, 'pep.unauthenticated');
      expect((await answer).headers.get('www-authenticate')).toBe('Bearer realm="curfew"');
    }
    await refusedWith(401, send(path, '{', { authorization: '' }), 'pep.unauthenticated');
    await refusedWith(401, send(path, JSON.stringify(question()), { 'x-curfew-pep-token': 'wrong-token-0123456789' }), 'pep.unauthenticated');
    decide = (evaluation) => denying(evaluation, 'credential.signature');
    expect((await evaluate(question())).status).toBe(200);
  });

  test('nobody may ask with a credential, and neither asserts nor searches', async () => {
    const nobody = (body: unknown, at = path): Promise<Answered> => fetch(`http://127.0.0.1:${open.port}${at}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
      .then(async (response) => ({ status: response.status, headers: response.headers, text: '', json: response.status === 200 ? await response.json() : undefined }));
    expect(await nobody(question({ subject: { type: 'workload', id: 'x', properties: { credential: 'good' } } }))).toMatchObject({ status: 200, json: { decision: true } });
    expect((await nobody(question())).status).toBe(401);
    for (const what of ['subject', 'resource', 'action']) expect((await nobody(question({ subject: { type: 'workload', id: 'x', properties: { credential: 'good' } } }), `/access/v1/search/${what}`)).status).toBe(401);
    decide = (evaluation) => denying(evaluation, 'grant.expired');
    expect((await nobody(question({ subject: { type: 'workload', id: 'x', properties: { credential: 'good' } } }))).json.context.reason).toBe('ended');
  });

  test('other methods are 405, other paths 404', async () => {
    for (const method of ['GET', 'PUT', 'DELETE']) expect((await send(path, undefined, {}, method)).status).toBe(405);
    for (const other of ['/access/v1/evaluation/', '/access/v1', '/access/v1//evaluation', '/access/v1/search/all', '/access/v1/%65valuation']) expect((await send(other, '{}')).status, other).toBe(404);
  });
});

describe('evaluations', () => {
  const evaluations = (body: unknown): Promise<Answered> => send('/access/v1/evaluations', JSON.stringify(body));
  const items = [1, 2, 3].map((n) => ({ resource: { type: 'kb', id: `articles/${n}` } }));
  const { subject, action } = question();

  test('members are defaults, replaced whole; each item is its own decision; no decision stands beside them', async () => {
    const answer = await evaluations({ subject, action, context: { a: 1, b: 2 }, evaluations: [items[0], { ...items[1], context: { c: 3 } }, { ...items[2], action: { name: 'write' } }] });
    expect(answer.json).toEqual({ evaluations: [1, 2, 3].map(() => ({ decision: true, context: expect.any(Object) })) });
    expect(gateway.evaluations.map(({ question: asked }) => [asked?.action, asked?.resource.id, asked?.context])).toEqual([
      ['read', 'articles/1', { a: 1, b: 2 }], ['read', 'articles/2', { c: 3 }], ['write', 'articles/3', { a: 1, b: 2 }],
    ]);
    expect(new Set(gateway.evaluations.map(({ id }) => id)).size).toBe(3);
    expect(new Set(gateway.evaluations.map(({ arrivedMs }) => arrivedMs)).size).toBe(1);
  });

  test('the semantics end the array at the deciding item', async () => {
    decide = (evaluation) => (evaluation.question?.resource.id === 'articles/2' ? denying(evaluation, 'grant.none') : allowing(evaluation));
    const decisions = async (semantic?: string): Promise<boolean[]> =>
      (await evaluations({ subject, action, evaluations: items, ...(semantic === undefined ? {} : { options: { evaluations_semantic: semantic } }) })).json.evaluations.map(({ decision }: { decision: boolean }) => decision);
    expect(await decisions()).toEqual([true, false, true]);
    expect(await decisions('execute_all')).toEqual([true, false, true]);
    expect(await decisions('deny_on_first_deny')).toEqual([true, false]);
    expect(await decisions('permit_on_first_permit')).toEqual([true]);
    decide = (evaluation) => denying(evaluation, 'grant.none');
    expect(await decisions('permit_on_first_permit')).toEqual([false, false, false]);
  });

  test('without items it is one evaluation', async () => {
    for (const more of [{}, { evaluations: [] }]) expect((await evaluations({ ...question(), ...more })).json).toMatchObject({ decision: true });
    expect((await evaluations({ evaluations: [] })).status).toBe(400);
  });

  test('I12 a bad item is a no with its error, and changes no other', async () => {
    const { json } = await evaluations({ subject, action, evaluations: [{ resource: { type: 'kb' } }, 7, items[0]] });
    expect(json.evaluations).toMatchObject([
      { decision: false, context: { error: { status: 400, message: 'resource.id must be a string, not empty' } } },
      { decision: false, context: { error: { status: 400, message: 'an evaluation must be an object' } } }, { decision: true },
    ]);
    expect(gateway.evaluations.map(({ refused }) => refused)).toEqual(['request.malformed', 'request.malformed', undefined]);
  });

  test('a bad payload is 400: too many, no array, unknown semantics, defaults of a wrong type', async () => {
    for (const more of [{ evaluations: [...items, items[0]] }, { evaluations: {} }, { evaluations: 'x' }, { options: 'x' }, { options: { evaluations_semantic: 'any' } }, { options: { evaluations_semantic: null } }, { subject: 'x' }]) {
      expect((await evaluations({ subject, action, evaluations: items, ...more })).status, JSON.stringify(more)).toBe(400);
    }
  });

  test('an item that is allowed is written before the next one is decided', async () => {
    const seen: string[] = [];
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => { release = resolve; });
    decide = ((evaluation: Evaluation) => (evaluation.question?.resource.id === 'articles/2' ? held.then(() => allowing(evaluation)) : allowing(evaluation))) as never;
    const response = await fetch(`http://127.0.0.1:${gateway.port}/access/v1/evaluations`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }, body: JSON.stringify({ subject, action, evaluations: items }) });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    seen.push(new TextDecoder().decode((await reader.read()).value));
    expect(seen[0]).toMatch(/^\{"evaluations":\[\{"decision":true/);
    release();
    for (let part = await reader.read(); !part.done; part = await reader.read()) seen.push(new TextDecoder().decode(part.value));
    expect(JSON.parse(seen.join('')).evaluations).toHaveLength(3);
  });
});

describe('search', () => {
  const search = (what: string, body: unknown): Promise<Answered> => send(`/access/v1/search/${what}`, JSON.stringify(body));
  const kb = (id: string, actions = ['read']): Scope => ({ actions, resource: { type: 'kb', id } });

  test('resources are what the bundle lists and what grants name literally, each decided; patterns never come', async () => {
    data = { curfew: { search: { resource: { kb: ['articles/2', 'articles/9', 7] } } } };
    scopes = [kb('articles/1'), kb('articles/**'), kb('articles/*'), { actions: ['read'], resource: { type: 'other', id: 'x' } }];
    decide = (evaluation) => (evaluation.question?.resource.id === 'articles/9' ? denying(evaluation, 'grant.none') : allowing(evaluation));
    const { json } = await search('resource', question({ resource: { type: 'kb', id: 'ignored' } }));
    expect(json).toEqual({ results: [{ type: 'kb', id: 'articles/1' }, { type: 'kb', id: 'articles/2' }], page: { next_token: expect.any(String), count: 2 } });
    // Explained, not decided: no use is counted and nothing recorded.
    expect(gateway.evaluations).toEqual([]);
  });

  test('actions and subjects', async () => {
    data = { curfew: { search: { action: ['write'], subject: { workload: [AGENT, 'spiffe://prod.example/agent/b', 'spiffe://prod.example/db/x'] } } } };
    scopes = [kb('articles/**', ['read', '*'])];
    const { subject, resource } = question();
    expect((await search('action', { subject, resource })).json.results).toEqual([{ name: 'read' }, { name: 'write' }]);
    // Only those that this enforcement point may name.
    expect((await search('subject', question({ subject: { type: 'workload' } }))).json.results).toEqual([{ type: 'workload', id: 'spiffe://prod.example/agent/b' }, { type: 'workload', id: AGENT }]);
    for (const unknown of ['nothing', '__proto__', 'constructor']) expect((await search('subject', question({ subject: { type: unknown } }))).json, unknown).toEqual({ results: [], page: { next_token: '', count: 0 } });
  });

  test('pages: every result once, and a token belongs to its search', async () => {
    scopes = ['e', 'a', 'd', 'b', 'c'].map((id) => kb(id));
    const found: string[] = [];
    let token = '';
    do {
      const { json } = await search('resource', question({ resource: { type: 'kb' }, page: { token, limit: 2 } }));
      found.push(...json.results.map(({ id }: { id: string }) => id));
      token = json.page.next_token;
    } while (token !== '');
    expect(found).toEqual(['a', 'b', 'c', 'd', 'e']);
    const first = (await search('resource', question({ resource: { type: 'kb' }, page: { limit: 1 } }))).json;
    expect(first.results).toHaveLength(1);
    for (const changed of [{ action: { name: 'write' } }, { context: { x: 1 } }]) {
      expect((await search('resource', question({ resource: { type: 'kb' }, ...changed, page: { token: first.page.next_token } }))).status).toBe(400);
    }
    for (const page of [{ token: 'x' }, { token: 7 }, { limit: 0 }, { limit: 1.5 }, { limit: '2' }, 'x', { token: Buffer.from('["x","a"]').toString('base64url') }]) {
      expect((await search('resource', question({ resource: { type: 'kb' }, page }))).status, JSON.stringify(page)).toBe(400);
    }
    // More than a page may have: the page stays bounded.
    expect((await search('resource', question({ resource: { type: 'kb' }, page: { limit: 1_000 } }))).json.results).toHaveLength(2);
  });

  test('a subject that may not be named finds nothing', async () => {
    scopes = [kb('a')];
    expect((await search('resource', question({ subject: { type: 'workload', id: 'spiffe://other.example/x' } }))).json.results).toEqual([]);
    expect((await search('resource', question({ resource: {} }))).status).toBe(400);
  });
});

test('metadata name every endpoint and the capability that is served', async () => {
  const base = `http://127.0.0.1:${gateway.port}`;
  const { json, status } = await send('/.well-known/authzen-configuration', undefined, { authorization: '' }, 'GET');
  expect(status).toBe(200);
  expect(json).toEqual({
    policy_decision_point: base, access_evaluation_endpoint: `${base}/access/v1/evaluation`, access_evaluations_endpoint: `${base}/access/v1/evaluations`,
    search_subject_endpoint: `${base}/access/v1/search/subject`, search_resource_endpoint: `${base}/access/v1/search/resource`, search_action_endpoint: `${base}/access/v1/search/action`,
    capabilities: ['urn:openid:authzen:capability:access-request'], access_request_endpoint: `${base}/access-requests`,
  });
  expect((await send('/.well-known/authzen-configuration', '{}')).status).toBe(405);
});

test('an answer that ends before it is written is not one: the clock of the answer is that of the decision', async () => {
  decide = (evaluation) => allowing(evaluation, { validUntil: (NOW + 1) as Instant, cacheUntil: (NOW + 1) as Instant });
  expect((await evaluate(question())).json.context).toMatchObject({ valid_ms: 1, cache_ms: 1 });
});
