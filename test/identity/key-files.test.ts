import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { IdentityAuthenticator } from '../../src/identity/authenticator.ts';
import type { IdentityEvent } from '../../src/identity/events.ts';
import { bundleOf, newKey } from './forge.ts';
import { ask, authenticatorWith, key, reasonOf, spiffeIssuer, svid } from './spiffe-fixture.ts';

let dir: string;
let file: string;
let events: IdentityEvent[];
let authenticator: IdentityAuthenticator;
const next = newKey('ES256', 'k2');

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'curfew-bundle-'));
  file = join(dir, 'bundle.json');
  events = [];
});
afterEach(() => {
  authenticator.close();
  rmSync(dir, { recursive: true, force: true });
});

/** All at once: who looks meanwhile never finds half of it. */
const write = (value: unknown): void => {
  const beside = join(dir, 'next.json');
  writeFileSync(beside, typeof value === 'string' ? value : JSON.stringify(value));
  renameSync(beside, file);
};
const start = (filePollMs = 10) => {
  authenticator = authenticatorWith([spiffeIssuer({ bundle: { file } })], { filePollMs }, { onEvent: (event) => events.push(event) });
};
const reason = async (token: string) => reasonOf(await ask(authenticator, token));
const becomes = (token: string, expected: string) =>
  vi.waitFor(async () => expect(await reason(token)).toBe(expected), { timeout: 40_000, interval: 5 });

test('demand(15): a replaced bundle file counts without a restart, also against tokens that are remembered', async () => {
  write(bundleOf(key));
  start();
  const token = svid();
  expect(await reason(token)).toBe('allowed');
  write(bundleOf(next));
  await becomes(token, 'credential.key_unknown');
  expect(await reason(svid({}, {}, next))).toBe('allowed');
});

test('a file swapped for another of the same size and times is noticed', async () => {
  write(bundleOf(key));
  start();
  const token = svid();
  expect(await reason(token)).toBe('allowed');
  const { atime, mtime } = statSync(file);
  const other = join(dir, 'other.json');
  writeFileSync(other, JSON.stringify(bundleOf({ ...next, jwk: { ...next.jwk, kid: 'k1' } })));
  utimesSync(other, atime, mtime);
  renameSync(other, file);
  await becomes(token, 'credential.signature');
});

test('a file behind links that are swapped, as Kubernetes mounts them, is noticed', async () => {
  for (const [name, by] of [['v1', key], ['v2', next]] as const) {
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, 'bundle.json'), JSON.stringify(bundleOf(by)));
  }
  symlinkSync('v1', join(dir, 'data'));
  symlinkSync('data/bundle.json', file);
  start();
  expect(await reason(svid())).toBe('allowed');
  symlinkSync('v2', join(dir, 'data2'));
  renameSync(join(dir, 'data2'), join(dir, 'data'));
  await becomes(svid({}, {}, next), 'allowed');
});

test.each([
  ['cut off', '{"keys": ['], ['empty', ''], ['keys twice', '{"keys": [], "keys": []}'], ['without keys', '{}'], ['larger than 1 MB', `{"keys": [], "x": "${'x'.repeat(1_048_576)}"}`],
  ['with 101 keys', { keys: Array.from({ length: 101 }, () => ({})) }],
])('a file that is %s keeps the last good keys and is reported once', async (_, content) => {
  write(bundleOf(key));
  start();
  write(content);
  await vi.waitFor(() => expect(events.at(-1)?.kind).toBe('keys.failed'), { timeout: 40_000, interval: 5 });
  expect(await reason(svid())).toBe('allowed');
  const told = events.length;
  await new Promise((resolve) => { setTimeout(resolve, 60); });
  expect(events).toHaveLength(told);
  expect(events.at(-1)?.detail).toContain('the last good keys stay');
  write(bundleOf(next));
  await becomes(svid({}, {}, next), 'allowed');
});

test('a file that is deleted keeps the last good keys; an empty bundle revokes them', async () => {
  write(bundleOf(key));
  start();
  rmSync(file);
  await vi.waitFor(() => expect(events.at(-1)?.detail).toContain('ENOENT'), { timeout: 40_000, interval: 5 });
  expect(await reason(svid())).toBe('allowed');
  write({ keys: [] });
  await becomes(svid(), 'credential.key_unknown');
});

test('a file that is not there yet denies until it is', async () => {
  start();
  expect(await reason(svid())).toBe('credential.keys_unavailable');
  expect(authenticator.status()).toEqual([{ issuer: 'spiffe://example.org', keys: undefined }]);
  write(bundleOf(key));
  await becomes(svid(), 'allowed');
});

test('a directory or a device in the place of the file denies', async () => {
  mkdirSync(file);
  start();
  expect(await reason(svid())).toBe('credential.keys_unavailable');
  rmSync(file, { recursive: true });
  symlinkSync('/dev/zero', file);
  await authenticator.reload();
  expect(await reason(svid())).toBe('credential.keys_unavailable');
  expect(events.at(-1)?.detail).toContain('not a regular file');
});

test('reload() reads at once', async () => {
  write(bundleOf(key));
  start(60_000);
  expect(await reason(svid())).toBe('allowed');
  write(bundleOf(next));
  expect(await reason(svid())).toBe('allowed');
  await authenticator.reload();
  expect(await reason(svid())).toBe('credential.key_unknown');
});

test('an unknown key id looks at the file at once', async () => {
  write(bundleOf(key));
  start(60_000);
  write(bundleOf(key, next));
  expect(await reason(svid({}, {}, next))).toBe('allowed');
});

test('G4: no key leaves in an event, not even of a file that holds a private one', async () => {
  const secret = JSON.stringify(key.privateKey.export({ format: 'jwk' }));
  write(secret);
  start();
  write(`{"keys":[${secret.slice(0, -1)},"kid":"canary","use":"jwt-svid"}]}`);
  await authenticator.reload();
  expect(events.map(({ kind }) => kind)).toEqual(['keys.failed', 'keys.loaded']);
  for (const hidden of ['canary', key.jwk.x as string, (JSON.parse(secret) as { d: string }).d]) expect(JSON.stringify(events)).not.toContain(hidden);
});
