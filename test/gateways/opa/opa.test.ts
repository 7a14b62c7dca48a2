/** OPA's REST API: what OPA's clients send and expect, on governed paths and under standing entries; and that a denial is never a yes to them. */
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import type { JsonValue } from '../../../src/domain/json.ts';
import { opaConfig } from '../../../src/gateways/opa/config.ts';
import { createOpa } from '../../../src/gateways/opa/gateway.ts';
import { dataReference, documentPath } from '../../../src/gateways/opa/path.ts';
import { servesNode } from '../../../src/gateways/opa/node.ts';
import { allowing, denying, startGateway, type TestGateway } from '../../support/http-gateway.ts';
import { openConnection } from '../../support/raw-http.ts';

const TOKEN = 'opa-token-0123456789';
const APP = 'spiffe://prod.example/app';
const pep = { id: 'app', token: { sha256: createHash('sha256').update(TOKEN).digest('hex') }, asserts: [APP], hosts: ['shop.local'] };

let decide: (evaluation: Evaluation) => Decision;
let gateway: TestGateway;
let ready = true;

/** What the rule says, allowed. */
const saying = (result: JsonValue | undefined, more = {}) => (evaluation: Evaluation): Decision => allowing(evaluation, { ...(result === undefined ? {} : { result }), ...more });

beforeAll(async () => {
  gateway = await startGateway({
    decide: (evaluation) => decide(evaluation), peps: [pep],
    apis: (parts) => [
      createOpa({
        ...parts,
        config: opaConfig.parse({
          bodyBytesMax: 4_096,
          paths: [
            { path: 'envoy/authz/**', question: 'envoy' }, { path: 'apisix/allow', question: 'apisix' }, { path: 'authzen/**', question: 'authzen' },
            { path: 'db/allow', question: { action: '/verb', resource: { type: 'db', id: '/table/name' }, subject: '/user' } },
            { path: 'fixed/allow', question: { action: 'use', resource: { type: 'tool', id: '/tool' }, subject: '/user' } },
          ],
        }),
        node: {
          version: '1.2.3', serves: servesNode, ready: () => (ready ? { ready } : { ready, detail: 'the clock is not trusted' }),
          bundle: () => ({ revision: 'r7', digest: 'd' }), metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'curfew_up 1\n' }),
        },
      }),
    ],
  });
});
afterAll(() => gateway.close());
beforeEach(() => {
  decide = saying(true);
  ready = true;
  gateway.evaluations.length = 0;
});

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly json: any;
  readonly text: string;
}

const send = async (path: string, options: { method?: string; body?: string | Uint8Array<ArrayBuffer>; headers?: Record<string, string> } = {}): Promise<Answered> => {
  const { method = 'POST', body, headers = {} } = options;
  const response = await fetch(`http://127.0.0.1:${gateway.port}${path}`, { method, headers: { authorization: `Bearer ${TOKEN}`, ...headers }, ...(body === undefined ? {} : { body }) });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : undefined };
};
const ask = (path: string, input: unknown, query = ''): Promise<Answered> => send(`/v1/data/${path}${query}`, { body: JSON.stringify({ input }) });
const last = (): Evaluation => gateway.evaluations.at(-1) as Evaluation;
const KNOWN = { credential: 'good' };

describe('results', () => {
  test('a path is the rule and, where nothing else is configured, the resource too', async () => {
    const answer = await ask('shop/authz/allow', { ...KNOWN, x: 1 });
    expect(answer).toMatchObject({ status: 200, json: { result: true, decision_id: last().id } });
    expect(Object.keys(answer.json)).toEqual(['result', 'decision_id']);
    expect(last()).toMatchObject({
      protocol: 'opa', rule: 'shop/authz/allow', presented: { kind: 'bearer', token: 'good' }, input: { x: 1 },
      question: { action: 'query', resource: { type: 'opa', id: 'shop/authz/allow' } }, pep: { id: 'app' },
    });
    expect(JSON.stringify(last().input)).not.toContain('good');
    expect(answer.headers.get('x-curfew-governed')).toBe('grant');
    decide = saying([1, { a: 'b' }], { standing: 'legacy' });
    const plain = await ask('shop/roles', KNOWN);
    expect(plain.json.result).toEqual([1, { a: 'b' }]);
    expect(plain.headers.get('x-curfew-governed')).toBe('standing; entry=legacy');
  });

  test('one document has one path, however it is written', async () => {
    for (const path of ['a/b', '/a/b', 'a//b/', 'a/%62']) {
      await ask(path, KNOWN);
      expect([last().rule, last().question?.resource.id], path).toEqual(['a/b', 'a/b']);
    }
    for (const path of ['a/%2f', 'a/b*', 'a/%00', 'a/%ff']) {
      expect((await ask(path, KNOWN)).json.result, path).toBeUndefined();
      expect(last().refused, path).toBe('request.malformed');
    }
  });

  test('no path leads up, and a query that is more than a reference is none', () => {
    for (const path of ['a/../b', 'a/%2e%2e/b', '.', `a/${'x'.repeat(300)}`, 'a/'.repeat(40)]) expect(documentPath(path), path).toBeUndefined();
    for (const query of ['data[".."]', 'data.a["b/c"]', 'data.a["*"]']) expect(dataReference(query), query).toBeUndefined();
  });

  test('undefined is 200 without a result, in v0 404', async () => {
    decide = (evaluation) => denying(evaluation, 'policy.undefined');
    expect((await ask('a/b', KNOWN)).json).toEqual({ decision_id: expect.any(String) });
    expect(await send('/v0/data/a/b', { body: '{}' })).toMatchObject({ status: 404, json: { code: 'undefined_document' } });
  });

  test('a denial is no yes: true becomes false, allow and allowed false, everything else is left out', async () => {
    const results: readonly [JsonValue, JsonValue | undefined][] = [
      [true, false], [{ allow: true, headers: { 'x-user': 'root' } }, { allow: false }], [{ allowed: true, allow: true }, { allowed: false, allow: false }],
      [{ permit: true }, undefined], [[true], undefined], ['true', undefined], [1, undefined], [null, undefined],
    ];
    for (const [result, left] of results) {
      decide = (evaluation) => denying(evaluation, 'grant.none', { result });
      const answer = await ask('a/b', KNOWN);
      expect(answer.json.result, JSON.stringify(result)).toEqual(left);
      expect(answer.headers.get('x-curfew-governed')).toBeNull();
      expect(answer.headers.get('x-curfew-reason')).toBe('grant.none');
    }
    // What the policy itself said of its no may leave.
    for (const reason of ['policy.denied', 'grant.none'] as const) {
      decide = (evaluation) => denying(evaluation, reason, { result: { allow: false, allowed: true, reasons: ['x'], http_status: 200 } });
      expect((await ask('a/b', KNOWN)).json.result).toEqual({ allow: false, allowed: false, reasons: ['x'], http_status: 200 });
    }
  });

  test('v0 is the bare result, and POST / the default decision', async () => {
    decide = saying({ allow: true });
    expect(await send('/v0/data/a/b', { body: JSON.stringify(KNOWN) })).toMatchObject({ status: 200, json: { allow: true } });
    expect(await send('/', { body: JSON.stringify(KNOWN) })).toMatchObject({ status: 200, json: { allow: true } });
    expect(last().rule).toBe('system/main');
    expect((await send('/', { method: 'GET' })).status).toBe(405);
  });

  test('GET takes the input as a parameter; without input there is a warning', async () => {
    await send(`/v1/data/a/b?input=${encodeURIComponent('{"credential":"good","y":2}')}`, { method: 'GET' });
    expect(last().input).toEqual({ y: 2 });
    expect((await send('/v1/data/a/b', { body: '{}' })).json.warning).toEqual({ code: 'api_usage_warning', message: "'input' key missing from the request" });
    expect((await send('/v1/data/a/b', { method: 'GET' })).json.warning).toBeUndefined();
  });

  test('metrics, provenance, pretty, explain and gzip', async () => {
    const { json, text } = await ask('a/b', KNOWN, '?metrics&provenance=true&pretty&explain=notes&instrument=true&strict-builtin-errors');
    expect(Object.keys(json.metrics)).toEqual(['timer_rego_input_parse_ns', 'timer_rego_query_eval_ns', 'timer_server_handler_ns']);
    expect(Object.values(json.metrics).every((value) => typeof value === 'number' && value >= 0)).toBe(true);
    expect(json.provenance).toMatchObject({ version: '1.2.3', bundles: { curfew: { revision: 'test' } } });
    expect(json.explanation).toEqual([]);
    expect(json.warning.code).toBe('api_usage_warning');
    expect(text).toContain('\n  "result": true');
    expect((await ask('a/b', KNOWN, '?metrics=false&provenance=false&explain=off')).json).toEqual({ result: true, decision_id: expect.any(String) });

    await send('/v1/data/a/b', { body: gzipSync(JSON.stringify({ input: { ...KNOWN, z: 3 } })), headers: { 'content-encoding': 'gzip' } });
    expect(last().input).toEqual({ z: 3 });
    decide = saying('x'.repeat(3_000));
    const connection = await openConnection(gateway.port);
    const body = '{"input":{"credential":"good"}}';
    connection.socket.write(`POST /v1/data/a/b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\naccept-encoding: gzip\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    await new Promise((resolve) => connection.socket.once('close', resolve));
    const [head = '', packed = ''] = connection.pending().split(/\r\n\r\n(.*)/s);
    expect(head).toContain('content-encoding: gzip');
    expect(JSON.parse(gunzipSync(Buffer.from(packed, 'latin1')).toString()).result).toBe('x'.repeat(3_000));
  });

  test('queries are references to documents', async () => {
    decide = saying({ a: 1 });
    expect((await send('/v1/query?q=data.a.b&input={"credential":"good"}', { method: 'GET' })).json).toEqual({ result: [{}] });
    expect(last().rule).toBe('a/b');
    expect((await send('/v1/query', { body: JSON.stringify({ query: 'x := data.a["b c"].d', input: KNOWN }) })).json).toEqual({ result: [{ x: { a: 1 } }] });
    expect(last().rule).toBe('a/b c/d');
    // What holds is told without its value; false does not hold, nor does what was denied.
    for (const [said, holds] of [[saying(false), false], [saying(null), true], [(evaluation: Evaluation) => denying(evaluation, 'grant.none', { result: { allow: true } }), false]] as const) {
      decide = said;
      expect((await send('/v1/query?q=data.a.b&input={"credential":"good"}', { method: 'GET' })).json).toEqual(holds ? { result: [{}] } : {});
    }
    decide = (evaluation) => denying(evaluation, 'policy.undefined');
    expect((await send('/v1/query?q=data.a', { method: 'GET' })).json).toEqual({});
    for (const query of ['1 == 1', 'data[x]', 'data.a; true', 'http.send({})', 'data.a with input as {}']) expect((await send(`/v1/query?q=${encodeURIComponent(query)}`, { method: 'GET' })).status, query).toBe(400);
    expect((await send('/v1/query', { method: 'GET' })).status).toBe(400);
  });
});

describe('all documents, and YAML', () => {
  test('the root is asked for by a name of its own, in every spelling, and answered like any other document', async () => {
    decide = saying({ shop: { roles: ['a'] } }, { standing: 'everything' });
    for (const path of ['/v1/data', '/v1/data/', '/v1/data//', '/v0/data', '/v1/query?q=data']) {
      const query = path.includes('query');
      await (query ? send(`${path}&input={"credential":"good"}`, { method: 'GET' }) : send(path, { body: JSON.stringify(path.includes('v0') ? KNOWN : { input: KNOWN }) }));
      expect(last(), path).toMatchObject({ rule: '', question: { action: 'query', resource: { type: 'opa-root', id: 'data' } } });
    }
    expect((await send('/v1/data?input={"credential":"good"}', { method: 'GET' })).json).toMatchObject({ result: { shop: { roles: ['a'] } } });
    expect((await send('/v1/query?q=x:=data&input={"credential":"good"}', { method: 'GET' })).json).toEqual({ result: [{ x: { shop: { roles: ['a'] } } }] });
    decide = (evaluation) => denying(evaluation, 'grant.none', { result: { shop: { allow: true } } });
    expect((await send('/v1/data', { method: 'GET' })).json).toEqual({ decision_id: expect.any(String) });
    // An input does not name it.
    await ask('authzen/allow', { subject: { type: 'x', id: APP }, action: { name: 'query' }, resource: { type: 'opa-root', id: 'data' } });
    expect(last().refused).toBe('request.ambiguous');
  });

  test('a YAML body is read as JSON where YAML 1.1 and 1.2 agree, and refused in every other case', async () => {
    const yaml = (body: string): Promise<Answered> => send('/v1/data/a/b', { body, headers: { 'content-type': 'application/x-yaml' } });
    for (const [body, input] of [
      ['input:\n  credential: good\n  list: [1, 2.5, null, "x"]\n  on_call: true\n', { list: [1, 2.5, null, 'x'], on_call: true }],
      ['{"input": {"credential": "good", "y": 2}}', { y: 2 }], ['input:\n  text: |\n    two\n    lines\n', { text: 'two\nlines\n' }],
    ] as const) {
      expect((await yaml(body)).status, body).toBe(200);
      expect(last().input).toEqual(input);
    }
    const refusedBodies = [
      'input: {a: yes}', 'input: {a: off}', 'input: {no: 1}', 'input: {a: 017}', 'input: {a: 0o17}', 'input: {a: 1:30}', 'input: {a: 1_000}', 'input: {a: .inf}', 'input: {a: .nan}', 'input: {a: 2001-01-01}',
      'input: {a: 12345678901234567890}', 'input: {a: 1, a: 2}', 'input: {}\ninput: {a: 1}', 'input: {}\n---\ninput: {a: 1}', 'a: &a {b: c}\ninput: *a', 'input: {<<: {a: 1}}', 'input: {1: a}', 'input: {a: !!binary aGk=}',
      'input: {a: !x 1}', '%YAML 1.1\n---\ninput: {a: yes}', 'input: {__proto__: {x: 1}}', 'input: {a: "\\ud800"}', 'input: [', `input: ${'['.repeat(4_000)}`, `input: {a: ${'x'.repeat(9_000)}}`, 'input: {curfew: {}}', 'input: []',
    ];
    for (const body of refusedBodies) {
      const answer = await yaml(body);
      expect([answer.status, last().refused], body.slice(0, 40)).toEqual(body.length > 4_096 ? [413, 'request.too_large'] : [400, 'request.malformed']);
    }
    expect((await send('/v1/data/a/b', { body: gzipSync('input: {credential: good, z: 3}'), headers: { 'content-type': 'application/yaml', 'content-encoding': 'gzip' } })).status).toBe(200);
    expect(last().input).toEqual({ z: 3 });
  });
});

describe('what an input asks', () => {
  const http = (more = {}) => ({ attributes: { request: { http: { method: 'GET', path: '/orders/42?x=1', host: 'shop.local', scheme: 'https', headers: { authorization: 'Bearer good' }, ...more } } } });

  test('of opa-envoy-plugin: the request, with the credential of its headers', async () => {
    await ask('envoy/authz/allow', http());
    expect(last()).toMatchObject({ rule: 'envoy/authz/allow', question: { action: 'GET', resource: { type: 'http', id: 'shop.local/orders/42' } }, presented: { kind: 'bearer', token: 'good' } });
    for (const [more, reason] of [
      [{ path: '/a/../b' }, 'request.ambiguous'], [{ host: 'other.local' }, 'pep.not_permitted'], [{ method: undefined }, 'request.malformed'], [{ headers: 'x' }, 'request.malformed'],
      [{ headers: { authorization: 'Bearer a', Authorization: 'Bearer b' } }, 'request.malformed'], [{ headers: { 'x-http-method-override': 'DELETE' } }, 'request.ambiguous'],
    ] as const) {
      await ask('envoy/authz/allow', http(more));
      expect(last().refused, JSON.stringify(more)).toBe(reason);
    }
    await ask('envoy/authz/allow', http({ headers: { authorization: ['Bearer a', 'Bearer b'] } }));
    expect(last().presented).toEqual({ kind: 'malformed' });
  });

  test("of APISIX's plugin: the path comes decoded", async () => {
    const input = (path: string, headers = {}) => ({ type: 'http', request: { scheme: 'http', path, headers: { host: 'shop.local:80', authorization: 'Bearer good', ...headers }, query: {}, port: 9080, method: 'GET', host: 'shop.local' }, var: { remote_addr: '10.0.0.9' } });
    await ask('apisix/allow', input('/a b/ü'));
    expect(last()).toMatchObject({ question: { action: 'GET', resource: { type: 'http', id: 'shop.local/a b/ü' }, source: '10.0.0.9' }, presented: { token: 'good' } });
    for (const path of ['/a%2fb', '/a?b', '/../a', '//a', '/a;b']) {
      await ask('apisix/allow', input(path));
      expect(last().refused, path).toBe('request.ambiguous');
    }
    await ask('apisix/allow', input('/a', { host: ['shop.local', 'other.local'] }));
    expect(last().refused).toBe('request.ambiguous');
  });

  test("of AuthZEN's entities and of pointers: named within what may be asserted", async () => {
    await ask('authzen/allow', { subject: { type: 'x', id: APP }, action: { name: 'read' }, resource: { type: 'kb', id: '1' } });
    expect(last()).toMatchObject({ question: { action: 'read', resource: { type: 'kb', id: '1' } }, presented: { kind: 'asserted', workload: APP } });
    await ask('db/allow', { verb: 'select', table: { name: 'orders' }, user: APP });
    expect(last()).toMatchObject({ question: { action: 'select', resource: { type: 'db', id: 'orders' } }, presented: { kind: 'asserted', workload: APP } });
    await ask('fixed/allow', { tool: 'search', user: 'spiffe://prod.example/other' });
    expect(last()).toMatchObject({ question: { action: 'use', resource: { type: 'tool', id: 'search' } }, refused: 'pep.not_permitted' });
    await ask('db/allow', { verb: 'select', user: APP });
    expect(last().refused).toBe('request.malformed');
    // A document is asked for by its own path, never by naming another one's.
    await ask('authzen/allow', { subject: { type: 'x', id: APP }, action: { name: 'query' }, resource: { type: 'opa', id: 'shop/roles' } });
    expect(last().refused).toBe('request.ambiguous');
  });
});

describe('errors', () => {
  test('what can not be read is 400 or 413 as OPA says it, and recorded', async () => {
    for (const [options, status] of [
      [{ body: '{' }, 400], [{ body: '{"input":{},"input":{"a":1}}' }, 400], [{ body: '{"input":{"n":1e400}}' }, 400], [{ body: '{"input":{"n":9007199254740993}}' }, 400], [{ body: '{"input":{"__proto__":{"polluted":1}}}' }, 400],
      [{ body: `{"input":${'[['.repeat(40)}${']]'.repeat(40)}}` }, 400], [{ body: '[]' }, 400], [{ body: '{"input":[]}' }, 400], [{ body: '{"input":"x"}' }, 400],
      [{ body: '{"input":{"curfew":{"grants":[]}}}' }, 400], [{ body: 'input: {a: yes}', headers: { 'content-type': 'application/yaml' } }, 400], [{ body: '{}', headers: { 'content-encoding': 'br' } }, 400],
      [{ body: 'not gzip', headers: { 'content-encoding': 'gzip' } }, 400], [{ body: `{"input":{"a":"${'x'.repeat(5_000)}"}}` }, 413],
      [{ body: gzipSync(`{"input":{"a":"${'x'.repeat(100_000)}"}}`), headers: { 'content-encoding': 'gzip' } }, 413],
    ] as const) {
      gateway.evaluations.length = 0;
      const answer = await send('/v1/data/a/b', options);
      expect(answer, JSON.stringify(options).slice(0, 80)).toMatchObject({ status, json: { code: 'invalid_parameter', message: expect.any(String) } });
      expect(gateway.evaluations.map(({ refused }) => refused)).toEqual([status === 413 ? 'request.too_large' : 'request.malformed']);
    }
    expect((await send('/v1/data/a/b?input={', { method: 'GET' })).status).toBe(400);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('401 for an enforcement point that did not prove itself; writing and compiling are not served', async () => {
    expect(await send('/v1/data/a/b', { body: '{}', headers: { authorization: 'Bearer wrong-token-0123456789' } })).toMatchObject({ status: 401, json: { code: 'unauthorized' } });
    for (const method of ['PUT', 'PATCH', 'DELETE']) expect((await send('/v1/data/a/b', { method, body: '{}' })).status).toBe(405);
    for (const [method, path] of [['POST', '/v1/compile'], ['PUT', '/v1/policies/x'], ['GET', '/v1/policies'], ['DELETE', '/v1/policies/x'], ['POST', '/v1/batch/data/a']] as const) {
      expect(await send(path, { method }), path).toMatchObject({ status: 501, json: { code: 'invalid_operation' } });
    }
  });
});

test('health is for everybody; status, configuration and metrics are not for who failed to prove itself', async () => {
  const stranger = { method: 'GET', headers: { authorization: '' } };
  expect(await send('/health', stranger)).toMatchObject({ status: 200, json: {} });
  expect((await send('/health?bundles&plugins', stranger)).status).toBe(200);
  ready = false;
  expect(await send('/health', stranger)).toMatchObject({ status: 500, json: { error: 'the clock is not trusted' } });
  expect((await send('/v1/status', { method: 'GET' })).json.result.bundles.curfew.active_revision).toBe('r7');
  expect((await send('/v1/config', { method: 'GET' })).json.result.labels.version).toBe('1.2.3');
  expect((await send('/metrics', { method: 'GET' })).text).toBe('curfew_up 1\n');
  for (const path of ['/v1/status', '/v1/config', '/metrics']) expect((await send(path, stranger)).status).toBe(401);
  expect((await send('/health', { body: '{}' })).status).toBe(405);
});
