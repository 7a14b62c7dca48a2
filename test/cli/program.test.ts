/** The command line: against a real listener for what it asks, in process for what it prints. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Command } from 'commander';
import { listenAdmin } from '../../src/admin/listen.ts';
import type { HttpServer } from '../../src/gateways/http/server.ts';
import type { CliDeps } from '../../src/cli/context.ts';
import { statusText } from '../../src/cli/commands/status.ts';
import { buildProgram, runCli } from '../../src/cli/program.ts';
import { durationMs } from '../../src/cli/terms.ts';
import { createAdminWorld, type AdminWorld } from '../admin/world.ts';
import { T0, WORKLOAD } from '../lifecycle/world.ts';

let world: AdminWorld;
let server: HttpServer;
let printed = '';
let complained = '';
let ready = true;
let allow = true;
const started: unknown[] = [];
const files = new Map<string, string>([['.curfew/admin-token', 'all\n'], ['issuer-token', 'issuer']]);

const local = (name: string) => ({
  run: async (options: unknown) => {
    started.push([name, options]);
    return name === 'config check' ? 1 : 0;
  },
});

const deps = (over: Partial<CliDeps> = {}): CliDeps => ({
  version: '0.1.0',
  stdout: (text) => (printed += text),
  stderr: (text) => (complained += text),
  env: { CURFEW_SERVER: `http://127.0.0.1:${server.port}` },
  readFile: (path) => {
    const text = files.get(path);
    if (text === undefined) throw new Error('ENOENT');
    return text;
  },
  readStdin: async () => files.get('-') ?? '',
  fetch,
  local: { serve: local('serve'), dev: local('dev'), 'config check': local('config check'), 'dev-token': local('dev-token') },
  ...over,
});

const cli = async (line: readonly string[], over: Partial<CliDeps> = {}): Promise<number> => {
  printed = '';
  complained = '';
  return runCli(line, deps(over));
};
const json = async (line: readonly string[]): Promise<any> => {
  expect(await cli([...line, '--json']), complained).toBe(0);
  return JSON.parse(printed);
};

beforeAll(async () => {
  world = await createAdminWorld({
    ready: () => ({ ok: ready }), explain: async (_realm, request) => ({ decision: allow ? 'allow' : 'deny', grants: [], asked: request as never }), findDecision: async (id) => ({ id, realm: 'default', now: { earliest: 1_800_000_000_000, latest: 1_800_000_000_001 }, result: { allow: true, validUntil: 1_800_000_060_000 }, durationUs: 1_800_000_000_000 }),
  });
  server = await listenAdmin({ host: '127.0.0.1', port: 0, drainMs: 100, fetch: (request) => world.app.fetch(request) });
});
afterAll(async () => {
  await server.close();
  await world.close();
});
beforeEach(() => {
  ready = true;
  allow = true;
});

const ISSUE = ['grant', 'issue', '-w', WORKLOAD, '-s', 'GET,POST http:shop.local/orders/**', '-t', '10m', '-o', 'team:shop', '-j', 'deploy', '-r', 'CHG-1'];

test('grants: issue mirrors the API, --json prints its own objects, list and show follow', async () => {
  const grant = await json(ISSUE);
  expect(grant).toMatchObject({ workload: WORKLOAD, state: 'active', expiresAt: new Date(T0 + 600_000).toISOString(), scopes: [{ actions: ['GET', 'POST'], resource: { type: 'http', id: 'shop.local/orders/**' } }] });
  expect((await world.ask('GET', `/v1/grants/${grant.id}`)).body).toMatchObject(grant);
  expect((await json(['grant', 'list', '-w', WORKLOAD, '--state', 'active'])).items).toEqual([grant]);
  expect((await json(['grant', 'show', grant.id])).history).toHaveLength(1);
  expect(await cli(['grant', 'list'])).toBe(0);
  expect(printed.split('\n')[0]).toMatch(/^ID +STATE +MODEL +ENDS +WORKLOAD +SCOPES$/);
  expect(printed).toContain('GET,POST http:shop.local/orders/**');
});

test('a grant with conditions, binding, uses and window, and one from a file', async () => {
  const thumb = 'A'.repeat(43);
  const full = [
    'grant', 'issue', '-w', WORKLOAD, '-s', 'GET http:a.local/x', '-s', '* http:b.local/**', '-o', 'team:shop', '-j', 'x', '-r', 'y', '--uses', '3',
    '--not-before', '2027-01-15T08:00:00+00:00', '--expires-at', '2027-01-15T09:00:00Z', '--condition', 'audience=shop', '--condition', 'source=10.0.0.0/8', '--binding', `jkt=${thumb}`,
  ];
  expect(await json(full)).toMatchObject({ uses: 3, conditions: { audience: ['shop'], source: ['10.0.0.0/8'] }, binding: { jkt: thumb }, notBefore: '2027-01-15T08:00:00.000Z' });
  files.set('-', JSON.stringify({ workload: WORKLOAD, model: 'break-glass', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'a/b' } }], ttlMs: 1000, owner: 'user:a', justification: 'j', reference: 'INC-1' }));
  expect(await json(['grant', 'issue', '-f', '-'])).toMatchObject({ model: 'break-glass' });
});

test('tasks: open, beat, pause, resume, close, show, list', async () => {
  const { id } = await json(['task', 'open', '-k', 'ci-run', '-o', 'team:shop', '-r', 'run-7', '--heartbeat', '30s']);
  expect(await json(['task', 'beat', id])).toMatchObject({ heartbeatMs: 30_000 });
  expect(await json(['task', 'pause', id])).toMatchObject({ state: 'paused' });
  expect(await json(['task', 'resume', id])).toMatchObject({ state: 'open' });
  expect(await json(['task', 'close', id])).toMatchObject({ state: 'closed' });
  expect((await json(['task', 'list'])).items.map((task: any) => task.id)).toContain(id);
  expect(await cli(['task', 'resume', id])).toBe(1);
  expect(complained).toMatch(/^state: the task is closed/);
});

test('demand(6): revoke, suspend and lift; a leaked token is named by its hash and never sent', async () => {
  const workload = 'spiffe://dev.local/agent';
  expect(await json(['revoke', 'workload', workload, '-r', 'leak'])).toMatchObject({ selector: { kind: 'workload', value: workload } });
  files.set('leaked', 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl\n');
  const seen: string[] = [];
  const spy: typeof fetch = async (url, init) => {
    seen.push(String(init?.body));
    return fetch(url, init);
  };
  expect(await cli(['revoke', 'credential', '--jwt', 'leaked', '-r', 'leak'], { fetch: spy })).toBe(0);
  expect(seen.join()).toMatch(/"sha256":"[0-9a-f]{64}"/);
  expect(seen.join()).not.toContain('c2lnbmF0dXJl');
  expect(await json(['revoke', 'credential', '{"issuer":"https://i.example","jti":"7"}', '-r', 'leak', '--no-wait'])).toMatchObject({ selector: { value: 'jti:["https://i.example","7"]' } });
  const { id } = await json(['suspend', 'workload', workload, '-r', 'odd']);
  expect(await json(['lift', id, '-r', 'explained'])).toMatchObject({ state: 'lifted', liftReason: 'explained' });
});

test('explain exits with 3 for a deny; decision and status answer; status exits with 2 when not ready', async () => {
  expect(await cli(['explain', 'GET', 'http:shop.local/x', '-w', WORKLOAD])).toBe(0);
  expect(await json(['explain', 'GET', 'http:shop.local/x', '-w', WORKLOAD, '--at', '2027-01-15T08:00:00Z'])).toMatchObject({ asked: { action: 'GET', resource: { type: 'http', id: 'shop.local/x' } } });
  allow = false;
  expect(await cli(['explain', 'GET', 'http:shop.local/x', '-w', WORKLOAD])).toBe(3);
  expect(await json(['decision', '00000000-0000-4000-8000-000000000000'])).toMatchObject({ realm: 'default' });
  // As it stands in the log for programs; for people instants can be read.
  expect(await json(['decision', '00000000-0000-4000-8000-000000000000'])).toMatchObject({ now: { earliest: 1_800_000_000_000 } });
  expect(await cli(['decision', '00000000-0000-4000-8000-000000000000'])).toBe(0);
  expect(printed).toContain('now:\n  earliest: 2027-01-15T08:00:00.000Z\n  latest: 2027-01-15T08:00:00.001Z\nresult:\n  allow: true\n  validUntil: 2027-01-15T08:01:00.000Z\ndurationUs: 1800000000000\n');
  expect(await json(['status'])).toEqual({ realm: 'default' });
  expect(await json(['status', '--realm', 'other'])).toEqual({ realm: 'other' });
  ready = false;
  expect(await cli(['status'])).toBe(2);
});

test('status without a credential, or with a bad one, says whether it is ready and why there is no more', async () => {
  ready = true;
  expect(await cli(['status', '--token-file', 'none'])).toBe(0);
  expect(printed).toBe('ready: true\nstatus: ok\n');
  expect(complained).toContain('more can not be told: no operator credential');
  files.set('bad-token', 'wrong');
  expect(await cli(['status', '--token-file', 'bad-token'])).toBe(0);
  expect(complained).toContain('unauthenticated');
});

test('status says on one screen what is wrong', () => {
  const text = statusText({
    ready: false, faults: ['the clock is not trusted', 'the store can not be written (\u001b[2J)'], now: '2026-11-22T03:00:00.000Z', version: '0.1.0', startedAt: '2026-11-20T01:59:00.000Z',
    workers: { wanted: 2, ready: 1, restarts: { watchdog: 3, crash: 1 }, quarantined: 2 },
    bundle: { revision: 'r1', digest: 'sha256:ab', since: '2026-11-22T02:58:30.000Z' },
    clock: { trusted: false, behindMs: 3_605_000 },
    store: { readable: true, writable: false, detail: 'the disk is full', position: 'e.17', endings: 4 },
    decisions: { allow: 120, deny: 8, unrecorded: 5, lately: { ms: 60_000, allow: 50, deny: 10, reasons: [{ reason: 'clock.untrusted', count: 9 }, { reason: 'grant.expired', count: 1 }] } },
    issuers: [{ issuer: 'https://a.example', keys: 1 }, { issuer: 'https://b.example' }],
    suspensions: { standing: 1_000, atLeast: true }, rollback: 'undetectable',
  });
  expect(text).toBe(`ready: false
  the clock is not trusted
  the store can not be written (\\u001b[2J)
curfew 0.1.0, up 2 d 1 h
workers: 1 of 2 decide; ended by the watchdog 3, died 1; 2 in quarantine
bundle: r1, for 1 min 30 s
  sha256:ab
clock: NOT TRUSTED, 1 h behind time already used
store: readable, NOT WRITABLE (the disk is full)
  position e.17, 4 endings; no anchor would tell if it were put back
decisions: 120 allowed, 8 denied, 5 RECORDS LOST
  in the last 1 min: 1.0 a second, 10 denied (clock.untrusted 9, grant.expired 1)
suspensions: 1000 or more standing
issuers: https://a.example 1 key, https://b.example HAS NO KEYS
`);
  // Of a server that knows less.
  expect(statusText({ ready: true })).toContain('ready: true\n');
});

test('operators are set and listed', async () => {
  expect(await json(['operator', 'set', 'user:alice', 'responder', 'issuer'])).toMatchObject({ id: 'user:alice', roles: ['issuer', 'responder'] });
  expect((await json(['operator', 'list'])).items).toHaveLength(1);
});

describe('exit codes', () => {
  test('1: wrong usage, refused commands, no credential', async () => {
    for (const line of [[], ['grnt'], ['grant', 'issue', '-t', '1 hour'], ['grant', 'issue', '-s', 'GET'], ['revoke', 'workload', 'x'], ['grant', 'issue', '--what'], ['explain', 'GET', 'nothing']]) {
      expect(await cli(line), line.join(' ')).toBe(1);
    }
    expect(await cli(['grant', 'issue', '--ttl', '5m'])).toBe(1);
    expect(complained).toContain('/workload is missing');
    expect(await cli(['revoke', 'grant', 'x', '-r', 'y', '--token-file', 'issuer-token'])).toBe(1);
    expect(complained).toMatch(/^forbidden: revoke takes the role responder/);
    expect(await cli(['grant', 'list', '--token-file', 'none'])).toBe(1);
    expect(complained).toContain('no operator credential');
    expect(await cli(['grant', 'show', 'nothing'])).toBe(1);
  });

  test('2: a server that can not be reached; the message says how to repeat safely', async () => {
    expect(await cli([...ISSUE, '--server', 'http://127.0.0.1:1'])).toBe(2);
    expect(complained).toMatch(/can not be reached[^]*--idempotency-key [0-9a-f-]{36}/);
  });

  test('2: what is not known to be enforced is shown, and is no success for a script; unless nobody wanted to wait', async () => {
    const standing = { nodes: [{ node: 'gw-1/4711', holder: 'h', state: 'pending' }, { node: 'gw-1/4712', holder: 'i', state: 'acknowledged' }] };
    const over = { fetch: (async () => Response.json({ id: 'r1', ...standing }, { status: 202 })) as typeof fetch };
    for (const line of [['revoke', 'workload', WORKLOAD, '-r', 'x'], ['suspend', 'workload', WORKLOAD, '-r', 'x'], ['task', 'close', 't1'], ['person', 'set', 'user:gone', '--left']]) {
      expect(await cli(line, over), line.join(' ')).toBe(2);
      expect(printed).toContain('gw-1/4711');
      expect(complained).toContain('not known to be enforced yet: gw-1/4711 stands still');
    }
    expect(await cli(['revoke', 'workload', WORKLOAD, '-r', 'x', '--no-wait'], over)).toBe(0);
  });

  test('a repeated command with the same key has one effect', async () => {
    const first = await json([...ISSUE, '--idempotency-key', 'again-1']);
    expect(await json([...ISSUE, '--idempotency-key', 'again-1'])).toEqual(first);
  });
});

test('local commands get their options and give their exit code', async () => {
  expect(await cli(['dev-token', '--workload', WORKLOAD, '--audience', 'shop', '--ttl', '300'])).toBe(0);
  expect(await cli(['config', 'check'])).toBe(1);
  expect(started).toMatchObject([['dev-token', { workload: WORKLOAD, audience: 'shop', ttlMs: 300_000 }], ['config check', {}]]);
});

test('durations: units and whole milliseconds, nothing else', () => {
  expect(['60s', '5m', '1h', '1h30m', '250ms', '1000', '2d'].map(durationMs)).toEqual([60_000, 300_000, 3_600_000, 5_400_000, 250, 1_000, 172_800_000]);
  for (const bad of ['', '0', '0s', '-1', '1.5h', '1e3', ' 5m', '5 m', '5M', 'h', '5m3', '9999999999999999d', 'NaN']) expect(() => durationMs(bad), bad).toThrow();
});

test('help of every command fits 80 columns and 24 lines', () => {
  const pages: string[] = [];
  const visit = (command: Command): void => {
    const help = command.helpInformation();
    const lines = help.trimEnd().split('\n');
    pages.push(help);
    expect(lines.length, help).toBeLessThanOrEqual(24);
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
    for (const child of command.commands) visit(child);
  };
  visit(buildProgram({ deps: deps(), exitCode: 0 }));
  expect(pages.length).toBeGreaterThan(20);
});

test('G4: what a server sends can not repaint the terminal', async () => {
  const evil = '\u001b[2J\u202egnitaerc\nFAKE LINE';
  const answer = async () => new Response(JSON.stringify({ items: [{ id: evil, kind: evil }] }), { status: 200 });
  for (const line of [['task', 'list'], ['task', 'show', 'x'], ['task', 'list', '--json']]) {
    expect(await cli(line, { fetch: answer })).toBe(0);
    for (const character of ['\u001b', '\u202e']) expect(printed).not.toContain(character);
    expect(printed.split('\n')).not.toContain('FAKE LINE');
  }
  await cli(['task', 'list'], { fetch: async () => new Response(JSON.stringify({ detail: evil }), { status: 400 }) });
  expect(complained.trimEnd()).toMatch(/^[ -~]*$/);
});

test('the contract name of the program stays', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { bin: Record<string, string> };
  expect(manifest.bin['curfew']).toBe('dist/main.js');
});
