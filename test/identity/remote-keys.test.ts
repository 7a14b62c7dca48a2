import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { IdentityAuthenticator } from '../../src/identity/authenticator.ts';
import type { IdentityEvent } from '../../src/identity/events.ts';
import { until } from '../support/until.ts';
import { START, handClock, interval } from './at.ts';
import { bundleOf, jwksOf, newKey, signed } from './forge.ts';
import { startKeyServer } from './key-server.ts';
import type { KeyServer } from './key-server.ts';
import { NOW_S, ask, authenticatorWith, identityOf, key, reasonOf, spiffeIssuer, svid } from './spiffe-fixture.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
let server: KeyServer;
let clock: ReturnType<typeof handClock>;
let authenticator: IdentityAuthenticator | undefined;
let events: IdentityEvent[];

beforeEach(async () => {
  server = await startKeyServer();
  server.answer(bundleOf(key));
  clock = handClock();
  events = [];
});
afterEach(async () => {
  authenticator?.close();
  authenticator = undefined;
  await server.close();
});

const start = async (remote: Record<string, unknown> = {}, issuer: Record<string, unknown> = {}): Promise<IdentityAuthenticator> => {
  const bundle = { url: `${server.origin}/bundle`, ca: server.caFile, timeoutMs: 20_000, refreshMs: 5 * MINUTE, maxKeyAgeMs: HOUR, ...remote };
  authenticator = authenticatorWith([spiffeIssuer({ bundle, maxCredentialAgeMs: 86_400_000, ...issuer })], {}, { clock, onEvent: (event) => events.push(event) });
  await authenticator.ready();
  return authenticator;
};
const reason = async (token: string) => reasonOf(await ask(authenticator as IdentityAuthenticator, token, clock.at()));
const longLived = (by = key) => svid({ exp: NOW_S + 80_000, jti: crypto.randomUUID() }, {}, by);

test('a bundle comes over https with the configured authority, once for many tokens', async () => {
  await start();
  for (let at = 0; at < 20; at += 1) expect(await reason(svid({ jti: String(at) }))).toBe('allowed');
  expect(server.asked).toEqual(['/bundle']);
  expect(server.headers[0]).not.toHaveProperty('authorization');
});

test('a first question that comes before the keys waits for the one fetch under way', async () => {
  void start();
  const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => reason(svid({ jti: String(at) }))));
  expect(new Set(answers)).toEqual(new Set(['allowed']));
  expect(server.asked).toHaveLength(1);
});

test('A3: without the authority that signed the server certificate there are no keys', async () => {
  const other = await startKeyServer();
  await start({ ca: other.caFile });
  await other.close();
  expect(await reason(svid())).toBe('credential.keys_unavailable');
  expect(events[0]?.detail).toMatch(/can't be fetched \(/);
});

test('A3: a certificate for another name is not accepted', async () => {
  await server.close();
  server = await startKeyServer({ dns: ['keys.example'] });
  server.answer(bundleOf(key));
  await start();
  expect(await reason(svid())).toBe('credential.keys_unavailable');
  expect(server.asked).toEqual([]);
});

test.each([301, 302, 303, 307, 308])('A3: a redirect (%i) is not followed, to wherever it leads', async (status) => {
  server.answer((_: unknown, response: { writeHead(status: number, headers: object): { end(body: string): void } }) =>
    response.writeHead(status, { location: `${server.origin}/elsewhere` }).end(JSON.stringify(bundleOf(key))));
  await start();
  expect(await reason(svid())).toBe('credential.keys_unavailable');
  expect(server.asked).toEqual(['/bundle']);
  expect(events.at(-1)?.detail).toContain('redirects are refused');
});

type Answer = (request: unknown, response: ServerResponse) => void;
const dripping: Answer = (_, response) => {
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
};
const endless: Answer = (_, response) => {
  const push = (): void => { while (!response.destroyed && response.write(' '.repeat(65_536))); };
  response.on('drain', push);
  push();
};
const bodies: [string, Answer | unknown, RegExp][] = [
  ['dripping', dripping, /no whole answer within 300 ms/],
  ['silent', () => undefined, /no whole answer within 300 ms/],
  ['endless', endless, /larger than 1048576 bytes/],
  ['said to be large', ((_, response) => response.writeHead(200, { 'content-length': '1048577' }).write(' ')) satisfies Answer, /larger than/],
  ['broken off', ((_, response) => { response.writeHead(200, { 'content-length': '1000' }).write('{'); setTimeout(() => response.destroy(), 20); }) satisfies Answer, /broke off|can't be fetched/],
  ['compressed', ((_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')) satisfies Answer, /content encoding/],
  ['404', ((_, response) => response.writeHead(404).end(JSON.stringify(bundleOf(key)))) satisfies Answer, /answered 404/],
  ['500', ((_, response) => response.writeHead(500).end()) satisfies Answer, /answered 500/],
  ['204', ((_, response) => response.writeHead(204).end()) satisfies Answer, /answered 204/],
  ['not JSON', ((_, response) => response.end('<html>')) satisfies Answer, /not JSON/],
  ['not UTF-8', ((_, response) => response.end(Buffer.from([0x22, 0xff, 0x22]))) satisfies Answer, /not UTF-8/],
  ['keys twice', ((_, response) => response.end(`{"keys":[],"keys":${JSON.stringify(bundleOf(key).keys)}}`)) satisfies Answer, /read in two ways/],
  ['no keys', { jwks: [] }, /no array `keys`/],
  ['101 keys', { keys: Array.from({ length: 101 }, (_, at) => ({ ...bundleOf(key).keys[0], kid: String(at) })) }, /more than 100 keys/],
  ['a list', [bundleOf(key)], /not a JSON object/],
];

test.each(bodies)('A3: an answer that is %s gives no keys, within its timeout', async (_, answer, expected) => {
  server.answer(answer);
  const began = performance.now();
  // Short only where there is no other end: a busy machine may be late with an answer that is bad at once.
  await start({ timeoutMs: expected.source.includes('300 ms') ? 300 : 20_000 });
  expect(await reason(svid())).toBe('credential.keys_unavailable');
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(events.at(-1)?.detail).toMatch(expected);
});

test('A4: 10,000 tokens with random key ids cause a handful of fetches', async () => {
  await start();
  const stranger = newKey('ES256', 'x');
  const template = svid({}, {}, stranger).split('.');
  for (let batch = 0; batch < 10; batch += 1) {
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => {
      const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: crypto.randomUUID() })).toString('base64url');
      return reason([header, template[1], template[2]].join('.'));
    }));
    expect(new Set(answers)).toEqual(new Set(['credential.key_unknown']));
    clock.advance(1_000);
  }
  expect(server.asked.length).toBeLessThanOrEqual(2);
  expect(await reason(svid()), 'those with a good token are served all the same').toBe('allowed');
});

const failing: Answer = (_, response) => response.writeHead(503).end();

test('A4: the same while the endpoint fails', async () => {
  await start();
  server.answer(failing);
  for (let at = 0; at < 2_000; at += 1) {
    expect(await reason(svid({ jti: String(at) }, { kid: `random${at}` }))).toBe('credential.key_unknown');
    clock.advance(10);
  }
  expect(server.asked.length).toBeLessThanOrEqual(5);
  expect(await reason(svid())).toBe('allowed');
});

test('a new key is found when its first token comes, and cooldown holds only for a while', async () => {
  await start({ cooldownMs: 30_000 });
  const [second, third] = [newKey('ES256', 'k2'), newKey('ES256', 'k3')];
  server.answer(bundleOf(key, second));
  expect(await reason(longLived(second))).toBe('allowed');
  server.answer(bundleOf(key, second, third));
  clock.advance(29_999);
  expect(await reason(longLived(third))).toBe('credential.key_unknown');
  clock.advance(1);
  expect(await reason(longLived(third))).toBe('allowed');
  expect(server.asked).toHaveLength(3);
});

test('demand(15), A4: a withdrawn key stops at the next refresh, also for tokens that are remembered', async () => {
  const [next, token] = [newKey('ES256', 'k2'), longLived()];
  await start({ refreshMs: 1_000 });
  expect(await reason(token)).toBe('allowed');
  server.answer(bundleOf(next));
  await vi.waitFor(async () => expect(await reason(token)).toBe('credential.key_unknown'), { timeout: 40_000, interval: 50 });
  expect(await reason(longLived(next))).toBe('allowed');
});

test('A4: without any refresh a withdrawn key stops at the maximum age', async () => {
  const token = longLived();
  await start({ refreshMs: HOUR });
  server.answer(bundleOf(newKey('ES256', 'k2')));
  clock.advance(HOUR - 1);
  expect(await reason(token)).toBe('allowed');
  clock.advance(1);
  expect(await reason(token)).toBe('credential.key_unknown');
});

test('A4: an outage beyond the maximum age denies, remembered or not; access is back soon after the endpoint is', async () => {
  const token = longLived();
  await start({ refreshMs: HOUR });
  expect(await reason(token)).toBe('allowed');
  await server.down();
  clock.advance(HOUR - 1);
  expect(await reason(token)).toBe('allowed');
  clock.advance(1);
  expect(await reason(token)).toBe('credential.keys_unavailable');
  expect(await reason(longLived())).toBe('credential.keys_unavailable');
  expect(authenticator?.status()).toEqual([{ issuer: 'spiffe://example.org', keys: undefined }]);
  await server.up();
  clock.advance(4_000);
  expect(await reason(token)).toBe('allowed');
});

test.each([
  ['monotonic time stood still while the machine slept', { wall: 1, monotonic: 0 }],
  ['the wall clock was set back', { wall: 0, monotonic: 1 }],
])('C2: the age of keys counts on both clocks: %s', async (_, moves) => {
  let passed = 0;
  const time = () => START + passed * moves.wall;
  const odd = { now: () => ({ ...interval(time()), trusted: true }), monotonicMs: () => passed * moves.monotonic };
  authenticator = authenticatorWith([spiffeIssuer({ bundle: { url: `${server.origin}/bundle`, ca: server.caFile, refreshMs: HOUR }, maxCredentialAgeMs: 86_400_000 })], {}, { clock: odd });
  await authenticator.ready();
  // On a busy machine the first fetch may run into its time limit.
  await until('the keys are there', async () => {
    await authenticator?.reload();
    return authenticator?.status()[0]?.keys !== undefined;
  });
  await server.down();
  const token = longLived();
  expect(reasonOf(await ask(authenticator, token, time()))).toBe('allowed');
  passed = HOUR;
  expect(reasonOf(await ask(authenticator, token, time()))).toBe('credential.keys_unavailable');
});

test('reloads at once cause one fetch', async () => {
  await start();
  await Promise.all(Array.from({ length: 20 }, async () => authenticator?.reload()));
  expect(server.asked).toHaveLength(2);
});

test('retries back off: an endpoint that fails is not hammered, and its failure is told once', async () => {
  server.answer(failing);
  await start();
  for (let at = 0; at < 1_000; at += 1) {
    expect(await reason(svid({ jti: String(at) }))).toBe('credential.keys_unavailable');
    clock.advance(10);
  }
  // 10 s: after 125 to 250 ms, then twice that, and so on up to 2 to 4 s; a few more by the timer, which knows no test clock.
  expect(server.asked.length).toBeGreaterThan(3);
  expect(server.asked.length).toBeLessThan(20);
  expect(events).toHaveLength(1);
});

test('an empty bundle revokes all keys', async () => {
  const token = longLived();
  await start();
  expect(await reason(token)).toBe('allowed');
  server.answer({ keys: [], spiffe_sequence: 2 });
  await authenticator?.reload();
  expect(await reason(token)).toBe('credential.key_unknown');
  expect(authenticator?.status()).toEqual([{ issuer: 'spiffe://example.org', keys: 0 }]);
});

test('a bundle whose spiffe_sequence went back is not taken, and the age of the newer one goes on', async () => {
  const old = newKey('ES256', 'old');
  server.answer({ ...bundleOf(key), spiffe_sequence: 12 });
  await start();
  server.answer({ ...bundleOf(key, old), spiffe_sequence: 11 });
  await authenticator?.reload();
  expect(await reason(longLived(old))).toBe('credential.key_unknown');
  expect(events.at(-1)?.detail).toMatch(/spiffe_sequence went back/);
  clock.advance(HOUR);
  expect(await reason(longLived())).toBe('credential.keys_unavailable');
});

test('spiffe_refresh_hint shortens the time between fetches', async () => {
  server.answer({ ...bundleOf(key), spiffe_refresh_hint: 1 });
  await start({ refreshMs: HOUR });
  await vi.waitFor(() => expect(server.asked.length).toBeGreaterThanOrEqual(3), { timeout: 40_000, interval: 50 });
});

test('the same keys fetched again: what is remembered stays remembered', async () => {
  await start();
  const token = longLived();
  expect(await reason(token)).toBe('allowed');
  await authenticator?.reload();
  expect(server.asked).toHaveLength(2);
  expect(authenticator?.authenticate({ kind: 'bearer', token }, { realm: 'default', now: clock.now() })).not.toBeInstanceOf(Promise);
});

test('a replaced authority file counts without a restart', async () => {
  const other = await startKeyServer();
  const mine = join(server.caFile, '../mine.pem');
  writeFileSync(mine, 'not a certificate');
  await start({ ca: mine });
  expect(await reason(svid())).toBe('credential.keys_unavailable');
  writeFileSync(mine, readFileSync(server.caFile));
  await authenticator?.reload();
  expect(await reason(svid())).toBe('allowed');
  await other.close();
});

const rsa = newKey('RS256', 'r1');
const oidcToken = (issuer: string) => signed({ alg: 'RS256', kid: 'r1' }, { iss: issuer, sub: 'job', aud: 'curfew', iat: NOW_S, exp: NOW_S + 300 }, rsa);
const discover = async (document: (origin: string) => unknown, keys: Record<string, unknown> = {}, path = '') => {
  const issuer = `${server.origin}${path}`;
  server.answer((request: { url?: string }, response: ServerResponse) =>
    response.end(JSON.stringify(request.url?.endsWith('/.well-known/openid-configuration') ? document(issuer) : jwksOf(rsa))));
  authenticator = authenticatorWith([{ kind: 'oidc', issuer, audiences: ['curfew'], keys: { discovery: true, ca: server.caFile, timeoutMs: 20_000, ...keys } }], {},
    { clock, onEvent: (event) => events.push(event) });
  await authenticator.ready();
  return ask(authenticator, oidcToken(issuer), clock.at());
};

test('an OIDC issuer is found by discovery below its path', async () => {
  const answer = await discover((issuer) => ({ issuer, jwks_uri: `${server.origin}/keys` }), {}, '/realms/shop');
  expect(identityOf(answer).workload).toBe(`oidc:${new URL(server.origin).host}/realms/shop/job`);
  expect(server.asked).toEqual(['/realms/shop/.well-known/openid-configuration', '/keys']);
});

test('a bearer token file is read at every fetch and sent', async () => {
  const file = join(server.caFile, '../token');
  writeFileSync(file, 'secret-of-the-pod\n');
  await discover((issuer) => ({ issuer, jwks_uri: `${server.origin}/keys` }), { bearerTokenFile: file });
  expect(server.headers.map(({ authorization }) => authorization)).toEqual(['Bearer secret-of-the-pod', 'Bearer secret-of-the-pod']);
});

test.each<[string, (issuer: string) => unknown, RegExp]>([
  ['another issuer', () => ({ issuer: 'https://other.example', jwks_uri: `${server.origin}/keys` }), /another issuer/],
  ['an issuer with a slash more', (issuer) => ({ issuer: `${issuer}/`, jwks_uri: `${server.origin}/keys` }), /another issuer/],
  ['no jwks_uri', (issuer) => ({ issuer }), /no acceptable jwks_uri/],
  ['file:', (issuer) => ({ issuer, jwks_uri: 'file:///etc/passwd' }), /no acceptable jwks_uri/],
  ['http', (issuer) => ({ issuer, jwks_uri: 'http://169.254.169.254/latest/meta-data' }), /no acceptable jwks_uri/],
  ['a host that is not listed', (issuer) => ({ issuer, jwks_uri: 'https://169.254.169.254/keys' }), /not listed in `hosts`/],
  ['another port', (issuer) => ({ issuer, jwks_uri: 'https://localhost:1/keys' }), /not listed in `hosts`/],
  ['credentials', (issuer) => ({ issuer, jwks_uri: issuer.replace('https://', 'https://a:b@') }), /no acceptable jwks_uri/],
])('A3: a discovery document that names %s leads nowhere', async (_, document, expected) => {
  expect(reasonOf(await discover(document))).toBe('credential.keys_unavailable');
  expect(server.asked).toEqual(['/.well-known/openid-configuration']);
  expect(events.at(-1)?.detail).toMatch(expected);
});

test('keys may be on another host that is listed', async () => {
  const other = await startKeyServer();
  other.answer(jwksOf(rsa));
  const { host } = new URL(other.origin);
  const both = join(server.caFile, '../both.pem');
  writeFileSync(both, readFileSync(server.caFile, 'utf8') + readFileSync(other.caFile, 'utf8'));
  expect(reasonOf(await discover((issuer) => ({ issuer, jwks_uri: `${other.origin}/keys` }), { hosts: [host], ca: both }))).toBe('allowed');
  await other.close();
});

test('http on loopback is fetched only where the configuration says so', async () => {
  const plain = createServer((_, response) => response.end(JSON.stringify(bundleOf(key))));
  await new Promise<void>((resolve) => { plain.listen(0, '127.0.0.1', resolve); });
  const url = `http://127.0.0.1:${(plain.address() as { port: number }).port}/bundle`;
  expect(() => authenticatorWith([spiffeIssuer({ bundle: { url } })])).toThrow(/https/);
  authenticator = authenticatorWith([spiffeIssuer({ bundle: { url, insecureLoopback: true } })], {}, { clock });
  expect(reasonOf(await ask(authenticator, svid()))).toBe('allowed');
  await new Promise((resolve) => plain.close(resolve));
});

test('G4: no key, token or answer leaves in an event', async () => {
  const canary = 'canary-6f1d';
  server.answer((_: unknown, response: ServerResponse) => response.end(`{"keys": "${canary}" ${canary}`));
  await start();
  server.answer({ keys: [{ ...bundleOf(key).keys[0], d: canary, kid: canary }] });
  await authenticator?.reload();
  server.answer((_: unknown, response: ServerResponse) => response.writeHead(302, { location: `https://x/${canary}` }).end());
  await authenticator?.reload();
  await reason(`${svid()}${canary}`);
  expect(events.map(({ kind }) => kind)).toEqual(['keys.failed', 'keys.loaded', 'keys.failed']);
  expect(JSON.stringify(events)).not.toContain(canary);
  expect(JSON.stringify(events)).not.toContain(key.jwk.x);
});
