/** The client of bundle servers: what it asks, what it takes, and what it keeps when it gets nothing good (THREATS D6, I14). */
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUNDLE_LIMITS } from '../../src/policy/bundle/limits.ts';
import { writeArchive } from '../../src/policy/bundle/write-archive.ts';
import { policyConfig } from '../../src/policy/config.ts';
import type { SourceEvent } from '../../src/policy/source/bundle-source.ts';
import { openSources, type BundleSources } from '../../src/policy/source/open-sources.ts';
import { nextRequestMs } from '../../src/policy/source/bundle-server/schedule.ts';
import { bundleServerConfig } from '../../src/policy/source/bundle-server/config.ts';
import { handClock } from '../identity/at.ts';
import { certificate } from '../identity/x509.ts';
import { startBundleServer, type BundleServer } from '../support/bundle-server.ts';
import { until } from '../support/until.ts';
import { filesOf, signed } from './signed/forge.ts';
import { signingPair } from './signed/keys.ts';

let folder: string;
let server: BundleServer;
let clock: ReturnType<typeof handClock>;
let events: SourceEvent[];
const opened: BundleSources[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-served-'));
  server = await startBundleServer({ longPoll: true });
  clock = handClock();
  events = [];
});
afterEach(async () => {
  for (const sources of opened.splice(0)) await sources.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const plain = (revision: string, text = revision) => filesOf({ '.manifest': JSON.stringify({ revision, roots: ['p', 'x'] }), 'p.rego': `package p\n\nx := "${text}"\n` });
const archive = (files: ReadonlyMap<string, Uint8Array>): Uint8Array => writeArchive([...files]);
const bundle = (revision: string, text?: string): Uint8Array => archive(plain(revision, text));

const open = (how: Record<string, unknown> = {}, more: Record<string, unknown> = {}): BundleSources => {
  const config = policyConfig.parse({ bundle: { url: server.url, server: { insecureLoopback: true, pollMinMs: 100, pollMaxMs: 100, timeoutMs: 20_000, ...how } }, keepIn: join(folder, 'kept'), ...more });
  const sources = openSources(config, { clock, onEvent: (event) => events.push(event) });
  opened.push(sources);
  return sources;
};
/** As the supervisor does: what is read becomes active. */
const activate = async (sources: BundleSources): Promise<string> => {
  const read = await sources.read();
  await sources.accepted(read);
  return read[0]?.manifest.revision ?? '';
};
const opens = async (how?: Record<string, unknown>, more?: Record<string, unknown>): Promise<BundleSources> => {
  const sources = open(how, more);
  await activate(sources);
  return sources;
};
/** Activates everything new, and tells what. */
const follow = (sources: BundleSources): string[] => {
  const seen: string[] = [];
  sources.watch(() => void activate(sources).then((revision) => seen.push(revision)));
  return seen;
};

describe('what is asked', () => {
  test('a first request without a condition, then with the entity tag of what is active; 304 confirms it', async () => {
    server.serve(bundle('r1'), '"one"');
    const sources = await opens();
    expect(server.asked[0]).toMatchObject({ method: 'GET', url: '/bundles/policy.tar.gz', headers: { prefer: 'modes=snapshot', 'accept-encoding': 'identity' } });
    expect(server.asked[0]?.headers).not.toHaveProperty('if-none-match');
    expect(server.asked[0]?.headers).not.toHaveProperty('authorization');
    clock.advance(5_000);
    await sources.refresh();
    expect(server.asked[1]?.headers['if-none-match']).toBe('"one"');
    expect(sources.confirmed()?.at).toBe(clock.at());
  });
  test('the tag of a bundle that did not become active is never said to be ours', async () => {
    server.serve(bundle('r1'), '"one"');
    const sources = await opens();
    server.serve(bundle('r2'), '"two"');
    await sources.refresh();
    await sources.refresh();
    expect(server.asked.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"one"', '"one"']);
    expect((await sources.read())[0]?.manifest.revision).toBe('r2');
  });
  test.each(['no quotes', '"a"b"', `"${'x'.repeat(600)}"`])('an entity tag that is none (%s) is not sent back', async (etag) => {
    server.answer((_, response) => response.writeHead(200, { etag }).end(bundle('r1')));
    const sources = await opens();
    await sources.refresh();
    expect(server.asked[1]?.headers).not.toHaveProperty('if-none-match');
  });
  test('the bearer token is read anew for every request, and sent nowhere else', async () => {
    const file = join(folder, 'token');
    writeFileSync(file, 'first\n');
    server.serve(bundle('r1'));
    const sources = await opens({ bearerTokenFile: file });
    writeFileSync(file, 'second\n');
    await sources.refresh();
    expect(server.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer first', 'Bearer second']);
    writeFileSync(file, 'two words\r\nX-Evil: 1');
    await expect(sources.refresh()).rejects.toThrow('holds no bearer token');
    rmSync(file);
    await expect(sources.refresh()).rejects.toThrow("can't be read (ENOENT)");
    expect(server.asked).toHaveLength(2);
    expect(JSON.stringify(events)).not.toContain('second');
  });
});

describe('https', () => {
  const [from, to] = [Date.now() - 60_000, Date.now() + 3_600_000];
  const ca = certificate({ subject: [{ CN: 'ca' }], notBefore: from, notAfter: to, ca: true });
  const own = certificate({ by: ca, notBefore: from, notAfter: to, dns: ['localhost'], serialHex: '02' });
  const client = certificate({ by: ca, notBefore: from, notAfter: to, subject: [{ CN: 'curfew' }], serialHex: '03' });
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  beforeEach(async () => {
    await server.close();
    server = await startBundleServer({ tls: { key: own.keyPem, cert: own.pem, ca: ca.pem, requestCert: true, rejectUnauthorized: true } });
    server.serve(bundle('r1'));
  });
  test('with a client certificate where the server wants one', async () => {
    await opens({ ca: file('ca.pem', ca.pem), clientCert: file('client.pem', client.pem), clientKey: file('client.key', client.keyPem), insecureLoopback: false });
    expect(server.asked).toHaveLength(1);
  });
  test('not without it, nor with a server whose authority is not ours, nor with files that are none', async () => {
    await expect(open({ ca: file('ca.pem', ca.pem) }).read()).rejects.toThrow("can't be fetched");
    await expect(open({ clientCert: file('client.pem', client.pem), clientKey: file('client.key', client.keyPem) }).read()).rejects.toThrow("can't be fetched");
    await expect(open({ ca: file('ca.pem', ca.pem), clientCert: file('no.pem', 'x'), clientKey: file('no.key', 'x') }).read()).rejects.toThrow('the credentials are not as TLS needs them');
    expect(server.asked).toEqual([]);
  });
  test('http is for loopback only, and only where it is written out', () => {
    const parse = (url: string, insecureLoopback: boolean) => policyConfig.safeParse({ bundle: { url, server: { insecureLoopback } } }).success;
    expect(parse('http://localhost/b.tar.gz', true)).toBe(true);
    for (const url of ['http://localhost/b', 'ftp://localhost/b', 'b.tar.gz', 'https://user:secret@bundles.example/b', 'https://bundles.example/b#x']) expect(parse(url, false), url).toBe(false);
    expect(parse('http://bundles.example/b', true)).toBe(false);
  });
});

type How = (response: ServerResponse) => void;
const drip: How = (response) => {
  const timer = setInterval(() => response.write('x'), 20);
  response.on('close', () => clearInterval(timer));
};
const endless: How = (response) => {
  const push = (): void => { while (!response.destroyed && response.write(Buffer.alloc(1_048_576))); };
  response.on('drain', push);
  push();
};

test.each<[string, How, RegExp]>([
  ['an error', (response) => response.writeHead(500).end(), /answered 500/],
  ['a page for people', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), /is not a whole gzip file/],
  ['a redirect', (response) => response.writeHead(302, { location: server.url }).end(), /redirects are refused/],
  ['a content encoding', (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bundle('r1')), /content encoding/],
  ['an archive that is cut', (response) => response.end(bundle('r1').subarray(0, 400)), /is not a whole gzip file/],
  ['a body shorter than was said', (response) => {
    response.writeHead(200, { 'content-length': 10_000 }).write('x');
    setImmediate(() => response.destroy());
  }, /broke off|ECONNRESET/],
  ['a length beyond the cap', (response) => response.writeHead(200, { 'content-length': BUNDLE_LIMITS.archiveBytesMax + 1 }).end(), /is larger than/],
  ['an endless body', endless, /is larger than|no whole answer/],
  ['a body that drips', drip, /gave no whole answer within/],
  ['nothing', () => undefined, /gave no whole answer within/],
  ['a file that has no place', (response) => response.end(archive(filesOf({ 'evil.sh': 'x' }))), /has no place/],
  ['a manifest that takes long to read', (response) => response.end(archive(filesOf({ '.manifest': JSON.stringify({ roots: [], x: 'x'.repeat(1_100_000) }) }))), /\.manifest is larger than/],
  ['a delta', (response) => response.end(archive(filesOf({ 'patch.json': '{"data":[]}' }))), /has no place/],
])('%s is no bundle; the active one stays', async (_, how, why) => {
  server.serve(bundle('r1'));
  const sources = await opens({ timeoutMs: 1_500 });
  server.answer((_request, response) => how(response));
  await expect(sources.refresh()).rejects.toThrow(why);
  expect((await sources.read())[0]?.manifest.revision).toBe('r1');
  // And for a start with nothing kept.
  const fresh = open({ timeoutMs: 1_500 }, { keepIn: join(folder, 'other') });
  await expect(fresh.read()).rejects.toThrow(why);
  expect(await fresh.readKept()).toBeUndefined();
});

test('304 is no answer to a request without a condition', async () => {
  server.answer((_, response) => response.writeHead(304).end());
  await expect(open().read()).rejects.toThrow('answered 304');
});

describe('when it is asked', () => {
  test('again and again; what is new is told once, also after refusals and outages, each reported once', async () => {
    server.serve(bundle('r1'));
    const sources = await opens();
    const seen = follow(sources);
    server.serve(bundle('r2'));
    await until('r2', () => seen.includes('r2'));
    await server.down();
    // A request that was under way is broken off first.
    await until('nobody to be there', () => sources.notices().some(({ detail }) => /can't be fetched \(ECONNREFUSED\)/.test(detail)));
    expect(sources.notices()).toEqual([{ kind: 'failed', source: 'bundle', detail: expect.any(String) as string }]);
    await server.up();
    server.serve(bundle('r3'));
    await until('r3', () => seen.includes('r3'));
    await until('no notice', () => sources.notices().length === 0);
    const { length } = server.asked;
    await until('more rounds', () => server.asked.length > length + 3);
    expect(seen).toEqual(['r2', 'r3']);
    expect(new Set(events.map(({ kind, detail }) => kind + detail)).size).toBe(events.length);
  });
  test('what does not become active is told once, and asked for at the pace of polls', async () => {
    server.serve(bundle('r1'));
    const sources = await opens({ longPollMs: 30_000 });
    let told = 0;
    sources.watch(() => { told += 1; });
    await until('a held request', () => server.held() === 1);
    server.serve(bundle('r2'));
    const { length } = server.asked;
    await until('more rounds', () => server.asked.length > length + 4);
    expect(told).toBe(1);
    expect(server.asked.at(-1)?.headers).toMatchObject({ prefer: 'modes=snapshot', 'if-none-match': server.asked[1]?.headers['if-none-match'] });
  });
  test('a request is held by servers that do so, released by something new, and put aside by a refresh', async () => {
    server.serve(bundle('r1'));
    const sources = await opens({ longPollMs: 30_000, pollMinMs: 60_000, pollMaxMs: 60_000 });
    const seen = follow(sources);
    await until('a held request', () => server.held() === 1);
    expect(server.asked.at(-1)?.headers['prefer']).toBe('modes=snapshot;wait=30');
    server.serve(bundle('r2'));
    await until('r2, and the next held request', () => seen.includes('r2') && server.held() === 1);
    clock.advance(1_000);
    const from = performance.now();
    await sources.refresh();
    expect(performance.now() - from).toBeLessThan(15_000);
    expect(server.asked.at(-1)?.headers['prefer']).toBe('modes=snapshot');
    expect(sources.confirmed()?.at).toBe(clock.at());
    await until('held again', () => server.held() === 1);
    expect(events).toEqual([]);
  });
  test('a server that does not hold requests is polled', async () => {
    await server.close();
    server = await startBundleServer({ longPoll: false });
    server.serve(bundle('r1'));
    const sources = await opens({ longPollMs: 30_000 });
    follow(sources);
    await until('some rounds', () => server.asked.length > 4);
    expect(new Set(server.asked.map(({ headers }) => headers['prefer']))).toEqual(new Set(['modes=snapshot']));
  });
  test('refreshes at one time are one after the other, and all of them know', async () => {
    server.serve(bundle('r1'));
    const sources = await opens({ longPollMs: 30_000 });
    follow(sources);
    await until('a held request', () => server.held() === 1);
    const before = server.asked.length;
    await Promise.all([sources.refresh(), sources.refresh(), sources.refresh()]);
    expect(server.asked.length - before).toBe(3);
  });
  test('nothing is asked after the end', async () => {
    server.serve(bundle('r1'));
    const sources = await opens({ longPollMs: 30_000 });
    follow(sources);
    await until('a held request', () => server.held() === 1);
    await sources.close();
    await until('it is let go', () => server.held() === 0);
    const { length } = server.asked;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(server.asked).toHaveLength(length);
  });
  test('retries begin at 100 ms, double up to 4 s, and are spread; a server that hurries is not asked in a loop', () => {
    const config = bundleServerConfig.parse({});
    const [low, high] = [() => 0, () => 1];
    expect([1, 2, 3, 7, 100].map((failures) => nextRequestMs({ kind: 'failed', failures }, config, high))).toEqual([100, 200, 400, 4_000, 4_000]);
    expect(nextRequestMs({ kind: 'failed', failures: 100 }, config, low)).toBe(2_000);
    expect([low, high].map((random) => nextRequestMs({ kind: 'answered' }, config, random))).toEqual([60_000, 120_000]);
    expect([0, 400, 30_000].map((tookMs) => nextRequestMs({ kind: 'held', tookMs }, config, high))).toEqual([1_000, 600, 0]);
  });
});

describe('D6, I14: refused, and the active one stays', () => {
  const signing = (by: ReturnType<typeof signingPair>) => ({ signing: { keys: { release: { algorithm: by.algorithm, file: by.publicFile } } } });
  test('what is not signed as it must be', async () => {
    const by = signingPair(folder, 'ES256');
    const other = signingPair(folder, 'ES256', 'other');
    server.serve(archive(await signed(plain('r1'), by)));
    const sources = await opens({}, signing(by));
    expect((await sources.read())[0]?.verified).toBe(true);
    const whole = await signed(plain('r2'), by);
    const forms: [RegExp, ReadonlyMap<string, Uint8Array>][] = [
      [/a signature is required/, plain('r2')],
      [/not by the key/, await signed(plain('r2'), other)],
      [/is not signed/, new Map([...whole, ['more.rego', Buffer.from('package p\n')]])],
      [/is signed and not there/, new Map([...whole].filter(([name]) => name !== 'p.rego'))],
      [/is not what was signed/, new Map([...whole, ['p.rego', Buffer.from('package p\n')]])],
      [/signed for the scope/, await signed(plain('r2'), by, { claims: { scope: 'else' } })],
    ];
    for (const [why, files] of forms) {
      server.serve(archive(files));
      await expect(sources.refresh()).rejects.toThrow(why);
      expect(sources.notices()).toEqual([{ kind: 'refused', source: 'bundle', detail: expect.stringMatching(why) }]);
      expect((await sources.read())[0]?.manifest.revision).toBe('r1');
    }
    server.serve(archive(whole));
    await sources.refresh();
    expect(await activate(sources)).toBe('r2');
    expect(sources.notices()).toEqual([]);
  });

  test.each([
    ['active before', bundle('a'), bundle('b'), bundle('a')],
    ['a revision that was active before, over other content', bundle('a'), bundle('b'), bundle('a', 'other')],
    ['a smaller number', bundle('9'), bundle('10'), bundle('8')],
    ['active before, without any revision', bundle('', 'x'), bundle('', 'y'), bundle('', 'x')],
  ])('an older one: %s', async (_, first, second, older) => {
    server.serve(first);
    const sources = await opens();
    server.serve(second);
    await sources.refresh();
    await activate(sources);
    server.serve(older);
    await expect(sources.refresh()).rejects.toMatchObject({ fault: 'revision.older' });
    expect((await sources.read())[0]?.files).toEqual((await open().readKept())?.[0]?.files);
    // Also after a restart, and where the kept archive is lost.
    await sources.close();
    await expect(open().read()).rejects.toMatchObject({ fault: 'revision.older' });
    for (const name of readdirSync(join(folder, 'kept'))) if (name.endsWith('.tar.gz')) rmSync(join(folder, 'kept', name));
    await expect(open().read()).rejects.toMatchObject({ fault: 'revision.older' });
    // Unless that is wanted.
    expect((await open({ allowOlder: true }).read())[0]?.archive).toEqual(Buffer.from(older));
  });
  test('an older one: signed before the active one', async () => {
    const by = signingPair(folder, 'ES256');
    const at = async (revision: string, iat?: number) => archive(await signed(plain(revision), by, iat === undefined ? {} : { claims: { iat } }));
    server.serve(await at('b', 2_000));
    const sources = await opens({}, signing(by));
    server.serve(await at('a', 1_999));
    await expect(sources.refresh()).rejects.toThrow('"a" was signed before the active one');
    server.serve(await at('c', 2_000));
    await sources.refresh();
    expect(await activate(sources)).toBe('c');
  });
  test('a server that goes back to the active one is taken at its word', async () => {
    server.serve(bundle('r1'));
    const sources = await opens();
    server.serve(bundle('r2'));
    await sources.refresh();
    server.serve(bundle('r1'));
    await sources.refresh();
    expect(await activate(sources)).toBe('r1');
    server.serve(bundle('r2'));
    await sources.refresh();
    expect(await activate(sources)).toBe('r2');
  });
});

test('an age that is nothing but the time between two answers is not accepted as too old', () => {
  const parse = (maxBundleAgeMs: number, server: Record<string, unknown>) => policyConfig.safeParse({ bundle: { url: 'https://bundles.example/b', server }, maxBundleAgeMs }).success;
  expect(parse(130_000, {})).toBe(false);
  expect(parse(130_001, {})).toBe(true);
  expect(parse(3_600_000, { longPollMs: 1_800_000 })).toBe(false);
  expect(parse(3_700_000, { longPollMs: 1_800_000 })).toBe(true);
  expect(policyConfig.safeParse({ bundle: { file: 'b.tar.gz' }, maxBundleAgeMs: 1_000 }).success).toBe(true);
  expect(policyConfig.safeParse({ bundle: { file: 'b.tar.gz', server: {} } }).success).toBe(false);
});

describe('the last good bundle', () => {
  const kept = () => readdirSync(join(folder, 'kept')).map((name) => join(folder, 'kept', name));
  test('is used when the server is away at the start, with the age it has', async () => {
    server.serve(bundle('r1'));
    await opens();
    clock.advance(60_000);
    await server.down();
    const sources = open();
    await expect(sources.read()).rejects.toThrow('ECONNREFUSED');
    const read = await sources.readKept();
    expect(read?.[0]?.manifest.revision).toBe('r1');
    await sources.accepted(read ?? []);
    expect(clock.at() - (sources.confirmed()?.at ?? 0)).toBe(60_000);
    expect(clock.monotonicMs() - (sources.confirmed()?.monotonicMs ?? 0)).toBe(60_000);
    // And is renewed once the server is back.
    await server.up();
    server.serve(bundle('r2'));
    const seen = follow(sources);
    await until('r2', () => seen.includes('r2'));
  });
  test('saves its download when it is still what the server has', async () => {
    server.serve(bundle('r1'));
    await opens();
    const sources = await opens();
    expect(server.asked[1]?.headers['if-none-match']).toBeDefined();
    expect((await sources.read())[0]?.archive).toEqual(Buffer.from(bundle('r1')));
  });
  test("is its owner's alone, and only the last one", async () => {
    for (const revision of ['r1', 'r2', 'r3']) {
      server.serve(bundle(revision));
      await opens();
    }
    expect(statSync(join(folder, 'kept')).mode & 0o777).toBe(0o700);
    expect(kept()).toHaveLength(2);
    for (const file of kept()) expect(statSync(file).mode & 0o777).toBe(0o600);
  });
  test('is only what became active', async () => {
    server.serve(bundle('r1'));
    const sources = await opens();
    server.serve(bundle('r2'));
    await sources.refresh();
    await sources.read();
    expect((await open().readKept())?.[0]?.manifest.revision).toBe('r1');
  });
  test('is verified again: a key that is no longer there, or its scope, ends it', async () => {
    const by = signingPair(folder, 'ES256');
    const keys = (scope = '') => ({ signing: { keys: { release: { algorithm: by.algorithm, file: by.publicFile, scope } } } });
    server.serve(archive(await signed(plain('r1'), by)));
    await opens({}, keys());
    await server.down();
    expect((await open({}, keys()).readKept())?.[0]?.verified).toBe(true);
    expect(await open({}, keys('write')).readKept()).toBeUndefined();
    signingPair(folder, 'ES256');
    expect(await open({}, keys()).readKept()).toBeUndefined();
    expect(events.map(({ kind }) => kind)).toEqual(['kept.refused', 'kept.refused']);
  });
  test('is not believed when another bundle was put in its place', async () => {
    server.serve(bundle('r1'));
    await opens();
    const file = kept().find((name) => name.endsWith('.tar.gz')) as string;
    writeFileSync(file, bundle('evil'));
    expect(await open().readKept()).toBeUndefined();
    expect(events.at(-1)).toMatchObject({ kind: 'kept.refused', detail: expect.stringContaining('is not what was written there') });
  });
  test.each<[string, (file: string) => void]>([
    ['changed', (file) => writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from(' ')]))],
    ['emptied', (file) => writeFileSync(file, '')],
    ['open to others', (file) => chmodSync(file, 0o644)],
    ['removed', (file) => rmSync(file)],
  ])('is not believed when one of its files is %s', async (_, spoil) => {
    for (const ending of ['.tar.gz', '.json']) {
      server.serve(bundle('r1'));
      await opens();
      const file = kept().find((name) => name.endsWith(ending)) as string;
      if (ending === '.json' && _ === 'changed') writeFileSync(file, readFileSync(file, 'utf8').replace('"version":1', '"version":2'));
      else spoil(file);
      expect(await open().readKept(), ending).toBeUndefined();
      rmSync(join(folder, 'kept'), { recursive: true });
    }
  });
  test('of another address is not taken', async () => {
    server.serve(bundle('r1'));
    await opens();
    const elsewhere = openSources(policyConfig.parse({ bundle: { url: `${server.url}?v=2`, server: { insecureLoopback: true } }, keepIn: join(folder, 'kept') }), { clock, onEvent: () => undefined });
    opened.push(elsewhere);
    expect(await elsewhere.readKept()).toBeUndefined();
    expect(elsewhere.where).not.toContain('v=2');
  });
  test('that can not be written is told, and the bundle decides all the same', async () => {
    writeFileSync(join(folder, 'kept'), 'a file');
    server.serve(bundle('r1'));
    await opens();
    expect(events.map(({ kind }) => kind)).toContain('kept.failed');
    expect(existsSync(join(folder, 'kept/x'))).toBe(false);
  });
});

test('several bundles: each of its own source; the kept ones stand in only for servers, and only when all have one', async () => {
  server.serve(bundle('r1'));
  const file = join(folder, 'local.tar.gz');
  writeFileSync(file, archive(filesOf({ '.manifest': '{"revision": "l1", "roots": ["local"]}', 'local.rego': 'package local\n' })));
  const both = { bundle: {}, bundles: [{ name: 'a', url: server.url, server: { insecureLoopback: true, timeoutMs: 20_000 } }, { name: 'b', file }] };
  const sources = open({}, both);
  const read = await sources.read();
  expect(read.map(({ name, manifest }) => [name, manifest.revision])).toEqual([['a', 'r1'], ['b', 'l1']]);
  await sources.accepted(read);
  expect([...sources.confirmations().keys()]).toEqual(['a']);
  await server.down();
  const again = open({}, both);
  await expect(again.read()).rejects.toThrow('ECONNREFUSED');
  expect((await again.readKept())?.map(({ manifest }) => manifest.revision)).toEqual(['r1', 'l1']);
});
