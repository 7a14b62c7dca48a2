/** A machine whose wall clock is set while Curfew runs, and between two runs. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import { createClock } from '../../src/time/clock.ts';
import { repositoryRoot } from '../parts.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew, type Ended } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/ci/one';
const UNTRUSTED = { status: 403, reason: 'clock.untrusted' };

let curfew: Curfew | undefined;
let directory: ReturnType<typeof temporaryDirectory> | undefined;
afterEach(async () => {
  await curfew?.stop();
  curfew = undefined;
  directory?.remove();
});

/** Sets the clock of the machine, as far as Curfew can see. */
const setWall = (offsetMs: number): void => {
  const path = join(directory?.path ?? '', 'wall');
  writeFileSync(`${path}.next`, String(offsetMs));
  // All at once: who reads it meanwhile must not find it empty, which would be no offset at all.
  renameSync(`${path}.next`, path);
};

const started = async (config?: string): Promise<Curfew> => {
  const { path } = directory ?? temporaryDirectory();
  curfew = await startCurfew({
    // A busy machine must not fail what is asked here.
    directory: path, workers: config === undefined ? 2 : 1, args: ['--set', 'limits.decisionDeadlineMs=10000'], ...(config === undefined ? {} : { config }),
    env: { NODE_OPTIONS: `--import=${join(repositoryRoot, 'test/support/wall-clock.mjs')}`, CURFEW_TEST_WALL: join(path, 'wall') },
  });
  if (config === undefined) await until('both workers', async () => (await curfew?.metrics())?.includes('curfew_workers_ready 2\n'));
  return curfew;
};

const cli = (running: Curfew, args: readonly string[]): Promise<Ended> =>
  runCurfew([...args, '--json', '--server', `http://127.0.0.1:${running.ports.admin}`], { directory: running.directory });
/** What every worker says, over connections of its own. */
const answers = (running: Curfew, token: string): Promise<{ readonly status: number; readonly reason: string | null }[]> =>
  Promise.all(Array.from({ length: 8 }, () => running.ask(token, '/orders/1', { connection: 'close' })));
const ready = async (running: Curfew): Promise<readonly [number, string]> => {
  const response = await fetch(`http://127.0.0.1:${running.ports.http}/health/ready`);
  return [response.status, await response.text()];
};

test('C2: a step of the wall clock denies everything and shows in readiness, until an operator accepts it; what ends access works meanwhile', { timeout: 120_000 }, async () => {
  directory = temporaryDirectory();
  setWall(0);
  const running = await started();
  const token = await running.mint(WORKLOAD, ['--ttl', '1h']);
  const { id } = await running.grant(WORKLOAD, { ttlMs: 3_600_000 });
  for (const answer of await answers(running, token)) expect(answer.status).toBe(200);

  setWall(60_000);
  for (const answer of await answers(running, token)) expect(answer).toMatchObject(UNTRUSTED);
  expect(await ready(running)).toEqual([503, expect.stringContaining('the clock is not trusted')]);
  const status = await cli(running, ['status']);
  expect(status.code).toBe(2);
  expect(JSON.parse(status.stdout)).toMatchObject({ ready: false, faults: ['the clock is not trusted'], clock: { trusted: false } });
  expect((await running.admin('POST', '/v1/tasks', { kind: 'ci-run', owner: 'team:shop' })).body).toMatchObject({ status: 503, code: 'clock-untrusted' });
  const other = await running.admin('POST', '/v1/revocations', { selector: { kind: 'workload', value: 'spiffe://dev.local/ci/other' }, reason: 'leaked' });
  expect(other.status).toBe(201);

  expect((await cli(running, ['clock', 'reset'])).stderr).toContain('--reason');
  const reset = await cli(running, ['clock', 'reset', '--reason', 'the clock was set by hand']);
  expect(reset.code, reset.stderr).toBe(0);
  expect(JSON.parse(reset.stdout)).toMatchObject({ reason: 'the clock was set by hand', by: 'user:developer', behindMs: 0, position: expect.any(String) });
  // Every worker is told, and one that waits for a processor hears of it later.
  await until('all to accept it', async () => (await answers(running, token)).every(({ status }) => status === 200));
  await until('readiness', async () => (await ready(running))[0] === 200);
  await until('the supervisor to go by the new time', async () =>
    (await running.admin('POST', '/v1/explain', { workload: WORKLOAD, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' } })).body.decision === 'allow');

  // Set back: it is accepted as well, but time does not run backwards.
  setWall(56_500);
  for (const answer of await answers(running, token)) expect(answer).toMatchObject(UNTRUSTED);
  const back = JSON.parse((await cli(running, ['clock', 'reset', '--reason', 'and back again'])).stdout);
  expect(back.behindMs).toBeGreaterThan(2_000);
  expect(back.behindMs).toBeLessThan(5_000);
  setWall(59_500);
  await until('all to accept it', async () => (await answers(running, token)).every(({ status }) => status === 200));

  // An audited act: the store's log has it, in order with everything else.
  const store = await openEmbeddedStore({ path: join(running.directory, '.curfew/store'), mode: 'development', clock: createClock({ maxClockStepMs: 1_000 }), readOnly: true });
  const logged = await store.events('default', { after: 0, limit: 100 });
  // What housekeeping notes on its own has no place in this story.
  const events = logged.filter(({ type }) => !['record.sealed', 'alert.delivered', 'emergency.known'].includes(type));
  await store.close();
  expect(events.map(({ type }) => type)).toEqual(['grant.issued', 'revocation.placed', 'clock.reset', 'clock.reset']);
  expect(events[0]?.data).toMatchObject({ grant: { id } });
  expect(events[2]?.data).toMatchObject({ by: 'user:developer', reason: 'the clock was set by hand' });
});

test('C2 I9: a start under a clock older than the store remembers denies until the clock is right; nothing that had ended comes back', { timeout: 120_000 }, async () => {
  directory = temporaryDirectory();
  setWall(0);
  const before = await started();
  const token = await before.mint(WORKLOAD, ['--ttl', '1h']);
  await before.grant(WORKLOAD, { ttlMs: 1_000 });
  await until('its end', async () => (await before.ask(token)).reason === 'grant.expired');
  await before.stop();

  setWall(-3_600_000);
  const after = await started();
  for (const answer of await answers(after, token)) expect(answer).toMatchObject(UNTRUSTED);
  expect((await ready(after))[0]).toBe(503);
  expect((await after.admin('GET', '/health/ready')).status).toBe(503);
  // An operator can't make time run backwards either.
  expect((await cli(after, ['clock', 'reset', '--reason', 'in vain'])).code).toBe(0);
  for (const answer of await answers(after, token)) expect(answer).toMatchObject(UNTRUSTED);
  const mark = (): string => readFileSync(join(after.directory, 'wall'), 'utf8');
  expect(mark()).toBe('-3600000');

  setWall(0);
  for (const answer of await answers(after, token)) expect(answer).toMatchObject({ status: 403, reason: 'grant.expired' });
  await until('readiness', async () => (await ready(after))[0] === 200);
});

test('G5: the bootstrap credential ends an hour after it was made, also across restarts, and is not made again', { timeout: 120_000 }, async () => {
  directory = temporaryDirectory();
  setWall(0);
  writeFileSync(join(directory.path, 'mesh.json'), '{"keys": []}');
  const config = `
store: {path: store}
decisionLog: {to: file, path: decisions.jsonl}
admin: {operators: {bootstrapTokenFile: bootstrap-token}}
identity: {issuers: [{kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {file: mesh.json}}]}
`;
  const status = async (running: Curfew): Promise<number> => {
    const token = readFileSync(join(running.directory, 'bootstrap-token'), 'utf8').trim();
    return (await fetch(`http://127.0.0.1:${running.ports.admin}/v1/operators`, { headers: { authorization: `Bearer ${token}` } })).status;
  };
  const first = await started(config);
  expect(await status(first)).toBe(200);
  const token = readFileSync(join(first.directory, 'bootstrap-token'), 'utf8');
  await first.stop();
  setWall(3_500_000);
  const second = await started(config);
  expect(await status(second)).toBe(200);
  await second.stop();
  setWall(3_600_000);
  const third = await started(config);
  expect(await status(third)).toBe(401);
  expect(readFileSync(join(third.directory, 'bootstrap-token'), 'utf8')).toBe(token);
});
