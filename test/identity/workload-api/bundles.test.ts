/** Trust bundles from the SPIFFE Workload API, from a real gRPC server on a Unix socket: what it says counts at once, what it takes back does not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { IdentityAuthenticator } from '../../../src/identity/authenticator.ts';
import type { IdentityEvent } from '../../../src/identity/events.ts';
import { identityConfig } from '../../../src/identity/config.ts';
import { handClock } from '../at.ts';
import { bundleOf, newKey, type TestKey } from '../forge.ts';
import { ask, authenticatorWith, reasonOf, svid } from '../spiffe-fixture.ts';
import { until } from '../../support/until.ts';
import { jwtBundles, startWorkloadServer, type WorkloadServer } from './server.ts';

const [first, second, other] = [newKey('ES256', 'w1'), newKey('ES256', 'w2'), newKey('ES256', 'o1')];
/** As SPIRE's agent sends them: without `use`. */
const plain = (...keys: TestKey[]) => ({ keys: keys.map(({ jwk }) => jwk) });

let folder: string;
let address: string;
let server: WorkloadServer;
let authenticator: IdentityAuthenticator | undefined;
let clock: ReturnType<typeof handClock>;
let events: IdentityEvent[];
const raw: Server[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-spiffe-'));
  address = `unix://${join(folder, 'agent.sock')}`;
  server = await startWorkloadServer(address);
  clock = handClock();
  events = [];
});
afterEach(async () => {
  authenticator?.close();
  authenticator = undefined;
  await server.stop();
  for (const one of raw.splice(0)) one.close();
  rmSync(folder, { recursive: true, force: true });
});

const follow = async (settings: Record<string, unknown> = {}): Promise<IdentityAuthenticator> => {
  const issuer = (trustDomain: string) => ({ kind: 'spiffe', trustDomain, audiences: ['curfew'], bundle: { workloadApi: true }, maxCredentialAgeMs: 86_400_000 });
  authenticator = authenticatorWith([issuer('example.org'), issuer('other.org')], { workloadApi: { address, trustDomain: 'example.org', ...settings } }, { clock, onEvent: (event) => void events.push(event) });
  await authenticator.ready();
  return authenticator;
};
const count = (kind: IdentityEvent['kind']): number => events.filter((event) => event.kind === kind).length;
const exp = { exp: Math.floor(handClock().at() / 1_000) + 3_000 };
const tokenBy = (key: TestKey, sub = 'spiffe://example.org/ci'): string => svid({ sub, ...exp }, {}, key);
const reason = async (key: TestKey, sub?: string): Promise<string> => reasonOf(await ask(authenticator as IdentityAuthenticator, tokenBy(key, sub), clock.at()));
const saysOf = async (key: TestKey, wanted: string, sub?: string): Promise<void> => void (await until(wanted, async () => (await reason(key, sub)) === wanted));

test('two rotations on one stream: each key counts from the message that brings it to the one that leaves it out, and domains are never merged', async () => {
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(first), 'other.org': bundleOf(other) }));
  await follow();
  expect(await reason(first)).toBe('allowed');
  expect(await reason(other, 'spiffe://other.org/ci')).toBe('allowed');
  expect(await reason(other)).toBe('credential.key_unknown');
  expect(await reason(first, 'spiffe://other.org/ci')).toBe('credential.key_unknown');
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(first, second), 'other.org': bundleOf(other) }));
  await saysOf(second, 'allowed');
  expect(await reason(first)).toBe('allowed');
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(second), 'other.org': bundleOf(other) }));
  await saysOf(first, 'credential.key_unknown');
  expect(await reason(second)).toBe('allowed');
  expect(server.opened.FetchJWTBundles).toBe(1);
});

test('a trust domain that is left out, an empty key set, and a document that can not be read take their keys away and no others', async () => {
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(first), 'other.org': plain(other) }));
  await follow();
  for (const lost of [{}, { 'example.org': { keys: [] } }, { 'example.org': '{"keys":[],"keys":[]}' }, { 'example.org': '<html>' }]) {
    server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(first), 'other.org': plain(other) }));
    await saysOf(first, 'allowed');
    server.say('FetchJWTBundles', jwtBundles({ 'other.org': plain(other), ...lost }));
    await until('the keys to be gone', async () => (await reason(first)) !== 'allowed');
    expect(await reason(other, 'spiffe://other.org/ci')).toBe('allowed');
  }
});

test('a stream that breaks is opened again, and what changed meanwhile counts; PermissionDenied takes everything back at once', async () => {
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(first) }));
  await follow();
  for (let round = 2; round <= 4; round += 1) {
    server.breakStreams();
    await until('another stream', () => server.opened.FetchJWTBundles >= round);
    expect(await reason(first)).toBe('allowed');
  }
  await server.stop();
  await until('it to be noticed', () => events.some(({ kind }) => kind === 'keys.failed'));
  expect(await reason(first)).toBe('allowed');
  server = await startWorkloadServer(address);
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(second) }));
  await saysOf(first, 'credential.key_unknown');
  await saysOf(second, 'allowed');
  server.say('FetchJWTBundles', { ends: 'PERMISSION_DENIED' });
  await until('nothing to count', async () => (await reason(second)) !== 'allowed');
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(second) }));
  await saysOf(second, 'allowed');
});

test('a lost API denies once what it said is older than maxAgeMs, also on an open stream that fell silent, and allows again when it is back', { timeout: 120_000 }, async () => {
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(first) }));
  await follow({ refreshMs: 1_000, timeoutMs: 500, maxAgeMs: 300_000 });
  // On a busy machine the first message may come later than a start waits for it.
  await saysOf(first, 'allowed');
  const { FetchJWTBundles: opened } = server.opened;
  server.fallSilent(true);
  await until('a second stream', () => server.opened.FetchJWTBundles > opened);
  clock.advance(299_000);
  // Its tokens live for 3,000 s.
  expect(await reason(first)).toBe('allowed');
  clock.advance(1_000);
  expect(await reason(first)).not.toBe('allowed');
  expect(authenticator?.status()[0]).toEqual({ issuer: 'spiffe://example.org', keys: undefined });
  server.fallSilent(false);
  await saysOf(first, 'allowed');
});

test('what a hostile server says counts for nothing, and what was good stays: a message that announces too much, garbage, no gRPC, no end of messages', { timeout: 120_000 }, async () => {
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(first) }));
  await follow();
  for (const bytes of [Buffer.alloc(5_000_000, 1), Buffer.from('ffffffffffff', 'hex'), Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), Buffer.alloc(0)]) {
    const [refused, loaded] = [count('keys.failed'), count('keys.loaded')];
    server.say('FetchJWTBundles', bytes);
    await until('it to be refused', () => count('keys.failed') > refused);
    expect(await reason(first)).toBe('allowed');
    server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(first) }));
    // Not by what the server has open: it may still hold the stream that was given up, and a fault is told once for as long as it lasts.
    await until('a good message to be taken', () => count('keys.loaded') > loaded);
  }
  for (let index = 0; index < 5_000; index += 1) server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(index % 2 === 0 ? first : second) }));
  server.say('FetchJWTBundles', jwtBundles({ 'example.org': plain(second) }));
  await saysOf(first, 'credential.key_unknown');
  await saysOf(second, 'allowed');
  expect(events.map(({ detail }) => detail).join('\n')).not.toMatch(/"kty"|BEGIN/);
});

test.each(['HTTP/1.1 200 OK\r\n\r\n', '', 'x'.repeat(200_000)])('an endpoint that does not speak gRPC (%#) gives no keys, and the start waits for it no longer than it may', async (answer) => {
  await server.stop();
  const path = join(folder, 'raw.sock');
  const other = createServer((socket) => {
    socket.on('error', () => undefined);
    if (answer !== '') socket.write(answer);
  });
  raw.push(other);
  await new Promise<void>((resolve) => void other.listen(path, resolve));
  address = `unix://${path}`;
  await follow({ timeoutMs: 300 });
  expect(await reason(first)).not.toBe('allowed');
});

test('what is configured must hold together', () => {
  const fault = (workloadApi: unknown, bundle: unknown = { workloadApi: true }): string[] =>
    identityConfig.safeParse({ issuers: [{ kind: 'spiffe', trustDomain: 'example.org', audiences: ['a'], bundle }], ...(workloadApi === undefined ? {} : { workloadApi }) }).error?.issues.map(({ path }) => path.join('.')) ?? [];
  expect(fault({ address: 'unix:///run/a.sock', trustDomain: 'example.org' })).toEqual([]);
  expect(fault({ address: 'tcp://127.0.0.1:8081', trustDomain: 'example.org' })).toEqual([]);
  expect(fault({ address: 'tcp://[::1]:8081', trustDomain: 'example.org' })).toEqual([]);
  expect(fault(undefined)).toEqual(['issuers.0.bundle.workloadApi']);
  for (const address of ['unix:run/a.sock', 'unix://run/a.sock', 'tcp://localhost:1', 'tcp://127.0.0.1', 'tcp://127.0.0.1:0', 'http://127.0.0.1:1', 'unix:///a?x=1']) {
    expect(fault({ address, trustDomain: 'example.org' })).toEqual(['workloadApi.address']);
  }
  expect(fault({ address: 'unix:///a', trustDomain: 'example.org', maxAgeMs: 60_000 })).toEqual(['workloadApi.maxAgeMs']);
});
