/** The real program and a bundle server: D6 as an attacker with the server in hand would try it, outages, and age. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUNDLE_LIMITS } from '../../src/policy/bundle/limits.ts';
import { readArchive } from '../../src/policy/bundle/read-archive.ts';
import { writeArchive } from '../../src/policy/bundle/write-archive.ts';
import { repositoryRoot } from '../parts.ts';
import { signed, type Bends, type Files } from '../policy/signed/forge.ts';
import { signingPair, type SigningPair } from '../policy/signed/keys.ts';
import { startBundleServer, type BundleServer } from '../support/bundle-server.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/ci/one';
const packaged = await readArchive(readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz')), BUNDLE_LIMITS);

let directory: ReturnType<typeof temporaryDirectory>;
let server: BundleServer;
let curfew: Curfew | undefined;
let by: SigningPair;
let other: SigningPair;

beforeEach(async () => {
  directory = temporaryDirectory();
  server = await startBundleServer({ longPoll: true });
  by = signingPair(directory.path, 'ES256', 'release');
  other = signingPair(directory.path, 'ES256', 'other');
});
afterEach(async () => {
  await curfew?.stop();
  curfew = undefined;
  await server.close();
  directory.remove();
});

const filesOf = (revision: string): Files => {
  const manifest = JSON.parse(packaged.get('.manifest')?.toString() ?? '') as Record<string, unknown>;
  return new Map([...packaged, ['.manifest', Buffer.from(JSON.stringify({ ...manifest, revision }))]]);
};
const archive = (files: Files): Uint8Array => writeArchive([...files]);
const release = async (revision: string, bends?: Bends): Promise<Uint8Array> => archive(await signed(filesOf(revision), by, bends));

const configure = (policy: Record<string, unknown> = {}, how: Record<string, unknown> = {}): void => {
  const config = {
    policy: {
      bundle: { url: server.url, server: { insecureLoopback: true, pollMinMs: 200, pollMaxMs: 300, timeoutMs: 5_000, ...how } },
      signing: { required: true, keys: { release: { algorithm: 'ES256', file: by.publicFile } } },
      ...policy,
    },
  };
  writeFileSync(join(directory.path, 'policy.yaml'), JSON.stringify(config));
};
const start = async (): Promise<Curfew> => {
  curfew = await startCurfew({ directory: directory.path, args: ['--config', 'policy.yaml'] });
  await until('a worker', async () => (await curfew?.metrics())?.includes('curfew_workers_ready 1\n'));
  return curfew;
};
const active = async (running: Curfew): Promise<string | undefined> => /^curfew_bundle_active\{revision="([^"]*)"/m.exec(await running.metrics())?.[1];
const ready = async (running: Curfew): Promise<{ status: number; detail?: string }> => {
  const response = await fetch(`http://127.0.0.1:${running.ports.admin}/health/ready`);
  return { status: response.status, detail: ((await response.json()) as { detail?: string }).detail ?? '' };
};
const cli = (running: Curfew, ...args: string[]) =>
  runCurfew([...args, '--server', `http://127.0.0.1:${running.ports.admin}`, '--token-file', join(directory.path, '.curfew/admin-token')]);

test('D6, I14: what was stripped, signed otherwise, extended, cut, scoped otherwise or is older is refused by name; the last good bundle decides', async () => {
  server.serve(await release('r1', { claims: { iat: 1_000 } }));
  // Only when it is told to.
  configure({}, { pollMinMs: 600_000, pollMaxMs: 600_000 });
  const running = await start();
  const token = await running.mint(WORKLOAD);
  await running.grant(WORKLOAD, { ttlMs: 600_000 });
  server.serve(await release('r2', { claims: { iat: 2_000 } }));
  expect(await running.admin('POST', '/v1/bundles/refresh')).toMatchObject({ status: 200, body: { result: 'active', revision: 'r2' } });
  expect(await running.admin('POST', '/v1/bundles/refresh')).toMatchObject({ status: 200, body: { result: 'unchanged', revision: 'r2' } });

  const whole = await signed(filesOf('r3'), by, { claims: { iat: 3_000 } });
  const without = (name: string): Files => new Map([...whole].filter(([file]) => file !== name));
  const attacks: [string, RegExp, Uint8Array][] = [
    ['stripped', /a signature is required/, archive(without('.signatures.json'))],
    ['emptied', /must be exactly one/, archive(new Map([...whole, ['.signatures.json', Buffer.from('{"signatures":[]}')]]))],
    ['by another key', /is not by the key \\?"release/, archive(await signed(filesOf('r3'), other))],
    ['by an unknown key', /none of policy\.signing\.keys/, archive(await signed(filesOf('r3'), other, { header: { kid: 'other' } }))],
    ['an extra file', /"extra\.rego" is not signed/, archive(new Map([...whole, ['extra.rego', Buffer.from('package extra\n')]]))],
    ['a missing file', /is signed and not there/, archive(without('data.json'))],
    ['other data', /"data\.json" is not what was signed/, archive(new Map([...whole, ['data.json', Buffer.from('{}')]]))],
    ['another policy', /"policy\.wasm" is not what was signed/, archive(new Map([...whole, ['policy.wasm', Buffer.from('x')]]))],
    ['another scope', /signed for the scope "elsewhere"/, await release('r3', { claims: { iat: 3_000, scope: 'elsewhere' } })],
    ['truncated', /is not a whole/, archive(whole).subarray(0, 100_000)],
    ['signed earlier', /was signed before the active one/, await release('r0', { claims: { iat: 1_500 } })],
    ['active before', /was (?:active|signed) before/, await release('r1', { claims: { iat: 1_000 } })],
    ['active before, signed anew', /"r1" was active before/, await release('r1', { claims: { iat: 9_000 } })],
  ];
  for (const [name, why, bytes] of attacks) {
    server.serve(bytes);
    const { status, body } = await running.admin('POST', '/v1/bundles/refresh');
    expect([status, body.code], name).toEqual([409, 'bundle-refused']);
    expect(body.detail, name).toMatch(why);
    expect(body.detail, name).toContain('r2 goes on deciding');
    expect(await active(running), name).toBe('r2');
    expect((await running.ask(token)).status, name).toBe(200);
  }
  expect(await ready(running)).toEqual({ status: 200, detail: expect.stringContaining('"r1" was active before') });
  expect(await running.metrics()).toContain('\ncurfew_bundle_refused 1\n');
  const refused = await cli(running, 'policy', 'refresh');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('bundle-refused: ')]);

  // A restart with the hostile server: the last good one, still signed.
  await running.stop();
  const again = await start();
  expect(await active(again)).toBe('r2');
  expect((await again.ask(token)).status).toBe(200);
  server.serve(archive(whole));
  const done = await cli(again, 'policy', 'refresh');
  expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('revision: r3')]);
  expect(await active(again)).toBe('r3');
  expect((await ready(again)).detail).toBe('');
  expect(await again.metrics()).toContain('\ncurfew_bundle_refused 0\n');
  expect((await again.ask(token)).headers.get('x-curfew-decision-id')).toBeTruthy();
}, 180_000);

test('refresh takes no operator but a configurer, no body, and an idempotency key; it needs no policy', async () => {
  server.serve(await release('r1'));
  configure();
  const running = await start();
  const post = (headers: Record<string, string>, body?: string) => fetch(`http://127.0.0.1:${running.ports.admin}/v1/bundles/refresh`, { method: 'POST', headers, ...(body === undefined ? {} : { body }) });
  const operator = { authorization: `Bearer ${readFileSync(join(directory.path, '.curfew/admin-token'), 'utf8').trim()}` };
  expect((await post({})).status).toBe(401);
  expect((await post({ ...operator, 'idempotency-key': 'one' })).status).toBe(200);
  expect((await post({ ...operator, 'idempotency-key': 'one' })).status).toBe(200);
  expect((await post({ ...operator, 'content-type': 'application/json' }, '{"url":"http://evil.example"}')).status).toBe(400);
  expect((await post({ ...operator, origin: 'https://evil.example' })).status).toBe(403);
  // The same files in another archive are the same bundle, and known as such from then on.
  server.serve(gzipSync(gunzipSync(await release('r2', { claims: { iat: 1 } }))), '"packed"');
  expect(await (await post(operator)).json()).toMatchObject({ result: 'active', revision: 'r2' });
  const again = gzipSync(gunzipSync(server.served()), { level: 1 });
  server.serve(again, '"again"');
  expect(await (await post(operator)).json()).toMatchObject({ result: 'unchanged', revision: 'r2' });
  await post(operator);
  expect(server.asked.at(-1)?.headers['if-none-match']).toBe('"again"');
  await server.down();
  const away = await post(operator);
  expect([away.status, ((await away.json()) as { detail: string }).detail]).toEqual([503, expect.stringContaining("can't be fetched (ECONNREFUSED); r2 goes on deciding")]);
  expect((await cli(running, 'policy', 'refresh')).code).toBe(2);
}, 120_000);

describe('without the server', () => {
  test('a first start says why it does not start; later ones use the last good bundle, and take the next one when the server is back', async () => {
    configure();
    await server.down();
    const none = await runCurfew(['dev', '--config', 'policy.yaml', '--http-port', '0', '--grpc-port', '0', '--admin-port', '0'], { directory: directory.path });
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("/bundles/policy.tar.gz can't be fetched (ECONNREFUSED)")]);
    await server.up();
    server.serve(await release('r1'));
    await (await start()).stop();
    await server.down();
    const running = await start();
    expect(await active(running)).toBe('r1');
    expect(await ready(running)).toEqual({ status: 200, detail: expect.stringContaining("the policy bundle can not be renewed: http://localhost") });
    await server.up();
    server.serve(await release('r2'));
    await until('r2', async () => (await active(running)) === 'r2');
    await until('no notice', async () => (await ready(running)).detail === '');
  }, 180_000);

  test('a copy on disk that was changed, or whose key is gone, does not decide', async () => {
    configure();
    server.serve(await release('r1'));
    await (await start()).stop();
    await server.down();
    const kept = join(directory.path, '.curfew/bundles');
    const file = readdirSync(kept).find((name) => name.endsWith('.tar.gz')) as string;
    const bytes = readFileSync(join(kept, file));
    const refused = async (): Promise<string> => {
      const { code, stderr } = await runCurfew(['dev', '--config', 'policy.yaml', '--http-port', '0', '--grpc-port', '0', '--admin-port', '0'], { directory: directory.path });
      expect(code).toBe(2);
      return stderr;
    };
    writeFileSync(join(kept, file), archive(filesOf('r1')));
    expect(await refused()).toContain('ECONNREFUSED');
    writeFileSync(join(kept, file), bytes);
    rmSync(by.publicFile);
    expect(await refused()).toContain('ECONNREFUSED');
    expect(existsSync(join(kept, file))).toBe(true);
  }, 120_000);
});

describe('L1: when updates stop', () => {
  test('`deny`: after maxBundleAgeMs everything is denied, whatever becomes of the supervisor, revoking still works, and it heals by itself', async () => {
    server.serve(await release('r1'));
    configure({ maxBundleAgeMs: 6_000 });
    const running = await start();
    const token = await running.mint(WORKLOAD);
    await running.grant(WORKLOAD, { ttlMs: 600_000 });
    // On a machine that is busy with others the server may be heard of too late at first.
    await until('an allow', async () => (await running.ask(token)).status === 200);
    expect(await running.metrics()).toMatch(/^curfew_bundle_age_seconds\{bundle="bundle"\} \d/m);
    // The server, and whoever could tell the workers.
    await server.down();
    running.signal('SIGSTOP');
    try {
      await until('denials', async () => (await running.ask(token)).status !== 200);
      expect((await running.ask(token)).reason).toBe('policy.unavailable');
    } finally {
      running.signal('SIGCONT');
    }
    await until('not ready', async () => (await ready(running)).status === 503);
    expect((await ready(running)).detail).toMatch(/the policy bundle was last confirmed \d+ s ago, which is too long \(policy\.maxBundleAgeMs\); everything is denied/);
    expect(await running.metrics()).toMatch(/^curfew_bundle_age_seconds\{bundle="bundle"\} (?:[6-9]|\d\d)/m);
    await expect(running.grant(WORKLOAD)).rejects.toThrow('no policy bundle is active');
    expect((await running.admin('POST', '/v1/revocations', { selector: { kind: 'workload', value: 'spiffe://dev.local/ci/other' }, reason: 'still works' })).status).toBe(201);
    await server.up();
    await until('allowed again', async () => (await running.ask(token)).status === 200);
    await until('ready', async () => (await ready(running)).status === 200);

    // A start with a copy that is too old denies from its first answer on.
    await running.stop();
    await server.down();
    const kept = join(directory.path, '.curfew/bundles');
    const note = join(kept, readdirSync(kept).find((name) => name.endsWith('.json')) as string);
    const known = JSON.parse(readFileSync(note, 'utf8')) as { confirmedAt: number };
    writeFileSync(note, JSON.stringify({ ...known, confirmedAt: known.confirmedAt - 60_000 }));
    const again = await startCurfew({ directory: directory.path, args: ['--config', 'policy.yaml'] });
    curfew = again;
    expect((await again.ask(token)).reason).toBe('policy.unavailable');
    expect((await ready(again)).status).toBe(503);
    await server.up();
    await until('allowed again', async () => (await again.ask(token)).status === 200);
  }, 180_000);

  test('`serve`: it goes on deciding, and readiness, log and metrics say so', async () => {
    server.serve(await release('r1'));
    configure({ maxBundleAgeMs: 6_000, whenTooOld: 'serve' });
    const running = await start();
    const token = await running.mint(WORKLOAD);
    await running.grant(WORKLOAD, { ttlMs: 600_000 });
    await server.down();
    await until('readiness to say so', async () => (await ready(running)).detail?.includes('it goes on deciding'));
    await until('the alarm', () => running.stderr().includes('was not confirmed for too long; it goes on deciding'));
    expect((await ready(running)).status).toBe(200);
    expect((await running.ask(token)).status).toBe(200);
    expect(await running.metrics()).toMatch(/^curfew_bundle_last_success_timestamp_seconds\{bundle="bundle"\} 1\d{9}/m);
    await server.up();
    await until('it is over', async () => (await ready(running)).detail === '');
  }, 120_000);
});

test('SIGHUP: other keys refuse what the old ones signed and change nothing; a reload without the server keeps the last good bundle', async () => {
  server.serve(await release('r1'));
  configure();
  const running = await start();
  const token = await running.mint(WORKLOAD);
  await running.grant(WORKLOAD, { ttlMs: 600_000 });
  const reloads = async (result: string): Promise<number> => Number(new RegExp(`^curfew_reloads_total\\{what="configuration",result="${result}"\\} (\\d+)`, 'm').exec(await running.metrics())?.[1] ?? 0);
  configure({ signing: { keys: { release: { algorithm: 'ES256', file: other.publicFile } } } });
  running.signal('SIGHUP');
  await until('a refusal', async () => (await reloads('refused')) === 1);
  await until('it to be said', () => running.stderr().includes('the signature is not by the key'));
  expect((await running.ask(token)).status).toBe(200);

  await server.down();
  configure({ maxBundleAgeMs: 3_600_000 });
  running.signal('SIGHUP');
  await until('a reload', async () => (await reloads('done')) === 1);
  expect(await active(running)).toBe('r1');
  await until('an answer', async () => (await running.ask(token).catch(() => undefined))?.status === 200);

  await server.up();
  server.serve(await release('r2'));
  await until('r2', async () => (await active(running)) === 'r2');
  // One source asks, the new one: what belonged to the old configuration is gone.
  const [from, asked] = [performance.now(), server.asked.length];
  await until('ten rounds', () => server.asked.length >= asked + 10);
  expect(performance.now() - from).toBeGreaterThan(9 * 190);
}, 180_000);

test('with long polling a new bundle decides as soon as it is there, not at the next poll', async () => {
  server.serve(await release('r1'));
  configure({}, { longPollMs: 60_000, pollMinMs: 600_000, pollMaxMs: 600_000 });
  const running = await start();
  await until('a held request', () => server.held() === 1);
  server.serve(await release('r2'));
  await until('r2', async () => (await active(running)) === 'r2', 10_000);
  await until('held again', () => server.held() === 1);
  expect(server.asked.at(-1)?.headers['prefer']).toBe('modes=snapshot;wait=60');
}, 120_000);
