/**
 * One policy folder behind a real OPA server and behind Curfew, and the same requests to both: statuses and answers are the same, but for what names a
 * single answer (ids, times, versions). Paths here are standing entries, so that the guard adds nothing.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findOpa } from '../../scripts/opa.mjs';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { describeWith } from '../parts.ts';
import { freePorts } from '../support/free-ports.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const POLICY = `package shop

import rego.v1

default allow := false

allow if input.method == "GET"

roles := ["reader", "writer"]

nothing if input.never

echo := input

deep := {"a": {"b c": [1, {"d": null}]}, "e": 1.5, "f": "<&>\\u00e9"}

twice(x) := x * 2

told if {
	twice(2) == 4
}

many := count([y | some x in numbers.range(1, 5000); y := x * 2])
`;
const MAIN = `package system

main := {"allow": false, "who": "main"}
`;
const CONFIG = `
policy: { bundle: { directory: policy }, entrypoint: shop/allow, signing: { required: false } }
standing:
  - id: all
    match: { scopes: [{ actions: [query], resource: { type: opa, id: "**" } }, { actions: [query], resource: { type: opa-root, id: data } }] }
    identity: optional
    owner: team:shop
    reason: compared with OPA
    end: 2099-01-01T00:00:00Z
`;

interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly type?: string;
  readonly gzip?: boolean;
}
const json = (path: string, body: unknown): Asked => ({ method: 'POST', path, body: JSON.stringify(body), type: 'application/json' });
const get = (path: string): Asked => ({ path });
const GET = { input: { method: 'GET' } };

const SAME: readonly Asked[] = [
  json('/v1/data/shop/allow', GET), json('/v1/data/shop/allow', { input: { method: 'PUT' } }), json('/v1/data/shop/nothing', GET), json('/v1/data/no/such', GET), json('/v1/data/shop/deep', GET),
  json('/v1/data/shop/deep/a/b%20c/1/d', GET), json('/v1/data/shop/allow', {}), json('/v1/data/shop', GET), json('/v1/data/shop/echo', { input: { a: [1, 2.5, 'é', null, { x: true }] } }),
  json('/v1/data/list/1', GET), json('/v1/data/list', GET), get('/v1/data/shop/allow'), get('/v1/data/shop/allow?input={"method":"GET"}'), get('/v1/data/shop/roles'), get('/v1/data/shop/roles/0'),
  get('/v1/data/shop/deep?pretty'), get('/v1/data/shop/deep?pretty=true'), get('/v1/data/shop/deep?pretty=false'), get('/v1/data/shop/roles?provenance'), get('/v1/data/shop/roles?metrics'), get('/v1/data/shop/roles?metrics=false'),
  json('/v0/data/shop/allow', { method: 'GET' }), json('/v0/data/shop/deep', {}), json('/v0/data/shop/nothing', {}), json('/v0/data/shop/echo', { a: 1 }), json('/', { a: 1 }),
  { method: 'POST', path: '/v1/data/shop/echo', body: 'input:\n  a: 1\n  b: [x, "y"]\n', type: 'application/x-yaml' }, { method: 'POST', path: '/v1/data/shop/echo', body: gzipSync('{"input":{"z":3}}'), type: 'application/json', gzip: true },
  { method: 'POST', path: '/v1/data/shop/allow', body: '{', type: 'application/json' }, { method: 'POST', path: '/v1/data/shop/roles', type: 'application/json', body: '' }, get('/v1/data/shop/allow?input={'),
  get('/v1/query?q=data.shop.roles'), get('/v1/query?q=x%20:=%20data.shop.roles'), get('/v1/query?q=data.shop.nothing'), json('/v1/query', { query: 'data.shop.allow', input: { method: 'GET' } }), get('/v1/query?q=x=data.shop.deep'),
  get('/health'), get('/health?bundles'),
];

describeWith(['go'], 'beside OPA', () => {
  let opa: ChildProcess;
  let curfew: Curfew;
  let port = 0;
  let remove: () => void;
  let folder = '';
  beforeAll(async () => {
    buildToolchain();
    const directory = temporaryDirectory();
    ({ remove } = directory);
    folder = directory.path;
    const policy = join(directory.path, 'policy');
    mkdirSync(policy);
    writeFileSync(join(policy, 'shop.rego'), POLICY);
    writeFileSync(join(policy, 'main.rego'), MAIN);
    writeFileSync(join(policy, 'data.json'), '{"list": ["a", "b"]}');
    writeFileSync(join(directory.path, 'curfew.yaml'), CONFIG);
    [port = 0] = await freePorts(1);
    opa = spawn(findOpa(), ['run', '--server', '--addr', `127.0.0.1:${port}`, '--skip-version-check', '--log-level', 'error', '--set', 'decision_logs.console=false', '.'], { cwd: policy, stdio: 'ignore' });
    curfew = await startCurfew({ directory: directory.path, args: ['--config', 'curfew.yaml'] });
    await until('OPA', async () => (await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined))?.ok === true);
  }, 300_000);
  afterAll(async () => {
    opa?.kill('SIGKILL');
    await curfew?.stop();
    remove();
  });

  const send = async (at: number, { method = 'GET', path, body, type, gzip = false }: Asked) => {
    const headers = { ...(type === undefined ? {} : { 'content-type': type }), ...(gzip ? { 'content-encoding': 'gzip' } : {}) };
    const response = await fetch(`http://127.0.0.1:${at}${path}`, { method, headers, ...(body === undefined || method === 'GET' ? {} : { body }) });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    // What Curfew adds to an input is no difference between them.
    const value: unknown = isJson ? JSON.parse(text, (name, member: unknown) => (name === 'curfew' ? undefined : member)) : text;
    return { status: response.status, ...(response.ok ? { lines: text.trimEnd().split('\n').length > 1 } : {}), value: value as any };
  };
  /** What both must have, by its names; values that name a single answer are only there or not. */
  const comparable = (value: any): unknown => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const { decision_id: _id, metrics, provenance, code, message: _message, errors: _errors, error, ...rest } = value;
    return {
      ...rest, ...(code === undefined ? {} : { code }), ...(error === undefined ? {} : { error: typeof error }),
      ...(metrics === undefined ? {} : { metrics: 'some' }), ...(provenance === undefined ? {} : { provenance: Object.keys(provenance).filter((name) => name !== 'bundles').toSorted() }),
    };
  };

  test.each(SAME.map((asked) => [`${asked.method ?? 'GET'} ${asked.path} ${typeof asked.body === 'string' ? asked.body : ''}`, asked] as const))('%s', async (_name, asked) => {
    const [theirs, ours] = [await send(port, asked), await send(curfew.ports.http, asked)];
    expect({ ...ours, value: comparable(ours.value) }).toEqual({ ...theirs, value: comparable(theirs.value) });
  });

  const TRACED = { input: { method: 'GET' } };
  const traced = async (at: number, path: string, operator?: string) => {
    const response = await fetch(`http://127.0.0.1:${at}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...(operator === undefined ? {} : { 'x-curfew-operator-token': operator }) }, body: JSON.stringify(TRACED) });
    return (await response.json()) as any;
  };
  /** The locals of an event come in any order. */
  const told = (events: readonly any[]): unknown => events.map((event) => (typeof event === 'string' ? event : { ...event, locals: event.locals.toSorted((a: any, b: any) => (a.key.value < b.key.value ? -1 : 1)) }));
  const operator = (): string => readFileSync(join(folder, '.curfew', 'admin-token'), 'utf8').trim();

  test.each(['notes', 'full', 'debug', 'fails'].flatMap((mode) => [`/v1/data/shop/told?explain=${mode}`, `/v1/data/shop/allow?explain=${mode}&pretty=true`]))("an operator's trace is OPA's: %s", async (path) => {
    const [theirs, ours] = [await traced(port, path), await traced(curfew.ports.http, path, operator())];
    expect(ours.warning).toBeUndefined();
    expect(told(ours.explanation)).toEqual(told(theirs.explanation));
    expect(ours.result).toEqual(theirs.result);
  });

  test('without an operator there is no trace, and the answer is the same', async () => {
    const path = '/v1/data/shop/allow?explain=full';
    for (const token of [undefined, 'wrong', `${operator()}x`, `${operator()},${operator()}`]) {
      const { explanation, result, warning } = await traced(curfew.ports.http, path, token);
      expect({ explanation, result, code: warning.code }).toEqual({ explanation: [], result: true, code: 'api_usage_warning' });
    }
  });

  test('an evaluation with more events than a trace may hold has none, and is answered', async () => {
    const { explanation, result, warning } = await traced(curfew.ports.http, '/v1/data/shop/many?explain=debug', operator());
    expect({ explanation, result, code: warning.code }).toEqual({ explanation: [], result: 5_000, code: 'api_usage_warning' });
  });

  test('the root has what OPA has, and what only Curfew has beside it', async () => {
    const [theirs, ours] = [await send(port, get('/v1/data?input={"method":"GET"}')), await send(curfew.ports.http, get('/v1/data?input={"method":"GET"}'))];
    expect(ours.value.result).toEqual(theirs.value.result);
  });
});
