import { chmodSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { createAuthenticator } from '../../src/identity/authenticator.ts';
import { identityConfig } from '../../src/identity/config.ts';
import { developmentIssuer, mintDevelopmentToken, openDevelopmentKey, readDevelopmentKey } from '../../src/identity/development.ts';
import { START, handClock, interval } from './at.ts';

let dir: string;
beforeEach(() => { dir = mkdtempSync(join(tmpdir(), 'curfew-dev-')); });
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const authenticatorFor = (key = openDevelopmentKey(dir)) =>
  createAuthenticator({ ...identityConfig.parse({}), issuers: [developmentIssuer(key)] }, { clock: handClock() });

const mint = (changes: Partial<Parameters<typeof mintDevelopmentToken>[0]> = {}) =>
  mintDevelopmentToken({ key: openDevelopmentKey(dir), workload: 'spiffe://dev.local/ci/deployer', ttlMs: 300_000, now: START, ...changes });

const ask = (token: string, now: number = START) =>
  authenticatorFor().authenticate({ kind: 'bearer', token }, { realm: 'default', now: interval(now) });

test('a development token names its workload, until its end and not at it', async () => {
  const token = await mint();
  expect(await ask(token)).toMatchObject({
    ok: true,
    identity: { workload: 'spiffe://dev.local/ci/deployer', issuer: 'spiffe://dev.local', kind: 'jwt-svid', credential: { expiresAt: START + 300_000 } },
  });
  expect(await ask(token, START + 299_999)).toMatchObject({ ok: true });
  expect(await ask(token, START + 300_000)).toEqual({ ok: false, reason: 'credential.expired' });
});

test('it says the life that was asked for, and ends no later, wherever in a second it begins', async () => {
  for (const [now, ttlMs, seconds] of [[START, 300_000, 300], [START + 1, 300_000, 300], [START + 999, 300_000, 300], [START + 999, 2_000, 2], [START + 500, 1, 1]] as const) {
    const token = await mint({ now: now as Instant, ttlMs });
    const { iat, exp } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as { iat: number; exp: number };
    expect([iat, exp - iat]).toEqual([Math.floor(now / 1000), seconds]);
    expect(await ask(token, now)).toMatchObject({ ok: true });
    expect(await ask(token, (iat + seconds) * 1_000)).toEqual({ ok: false, reason: 'credential.expired' });
  }
});

test('two tokens of one moment have different ids', async () => {
  const [a, b] = await Promise.all([mint().then(ask), mint().then(ask)]) as unknown as { identity: { credential: { selectors: string[] } } }[];
  expect(a?.identity.credential.selectors).toHaveLength(2);
  expect(a?.identity.credential.selectors.filter((one) => b?.identity.credential.selectors.includes(one))).toEqual([]);
});

test('the key file is its owner alone, is kept, and two starts agree on one key', () => {
  const keys = [openDevelopmentKey(dir), openDevelopmentKey(dir), readDevelopmentKey(dir)];
  expect(new Set(keys.map(({ jwk }) => jwk.d)).size).toBe(1);
  expect(statSync(join(dir, 'dev-key.json')).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(['dev-key.json']);
});

test.each([0o640, 0o604, 0o620, 0o666])('G5: a key file of mode %o is refused, without its content in the error', (mode) => {
  openDevelopmentKey(dir);
  chmodSync(join(dir, 'dev-key.json'), mode);
  expect(() => openDevelopmentKey(dir)).toThrow(/others than its owner/);
});

test('G5: a symbolic link in the place of the key file is refused', () => {
  openDevelopmentKey(dir);
  renameSync(join(dir, 'dev-key.json'), join(dir, 'elsewhere'));
  symlinkSync(join(dir, 'elsewhere'), join(dir, 'dev-key.json'));
  expect(() => openDevelopmentKey(dir)).toThrow(/symbolic link/);
  expect(readFileSync(join(dir, 'elsewhere'), 'utf8')).toContain('"d"');
});

test('G5: a configuration file can not name the trust domain of development', () => {
  const { issuers: [issuer] } = { issuers: [developmentIssuer(openDevelopmentKey(dir))] };
  expect(identityConfig.safeParse({ issuers: [issuer] }).error?.issues[0]?.message).toContain('development');
});

test.each(['spiffe://prod.example/ci', 'spiffe://dev.local.example/ci', 'ci', 'spiffe://dev.local/', 'spiffe://DEV.local/ci'])('mints nothing for %s', async (workload) => {
  await expect(mint({ workload })).rejects.toThrow(/spiffe:\/\/dev\.local/);
});

test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1.5, 24 * 3_600_000 + 1])('C1: mints nothing for a life of %s ms', async (ttlMs) => {
  await expect(mint({ ttlMs })).rejects.toThrow(/time to live/);
});

test('the longest life is accepted by the issuer, wherever in a second it begins', async () => {
  const now = (START + 999) as Instant;
  expect(await ask(await mint({ ttlMs: 24 * 3_600_000, now }), now)).toMatchObject({ ok: true });
});

test('where there is no key the refusal says what makes one', () => {
  expect(() => readDevelopmentKey(join(dir, 'elsewhere'))).toThrow(/dev-key\.json is not there: the development start makes it \(curfew dev, or npm start\)/);
});
