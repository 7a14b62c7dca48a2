/** `curfew status` against the real program: what an operator is told when something is wrong. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, type Curfew } from './curfew.ts';

const WHO = 'spiffe://dev.local/ci/status';
let curfew: Curfew | undefined;
afterEach(async () => {
  await curfew?.stop();
  curfew = undefined;
});

const cli = async (running: Curfew, args: readonly string[]) =>
  runCurfew([...args, '--server', `http://127.0.0.1:${running.ports.admin}`], { directory: running.directory });

test('tells workers, bundle, clock, store, decisions and suspensions of the running node, and which workers it lost', { timeout: 90_000 }, async () => {
  curfew = await startCurfew({ workers: 2 });
  const running = curfew;
  await until('both workers', async () => (await running.metrics()).includes('curfew_workers_ready 2\n'), 30_000);
  const token = await running.mint(WHO);
  expect((await running.ask(token, '/orders/1')).status).toBe(403);
  await running.grant(WHO);
  expect((await running.ask(token, '/orders/1')).status).toBe(200);
  await running.admin('POST', '/v1/suspensions', { selector: { kind: 'workload', value: 'spiffe://dev.local/other' }, reason: 'odd' });
  const json = JSON.parse((await cli(running, ['status', '--json'])).stdout);
  expect(json).toMatchObject({
    ready: true, faults: [], workers: { wanted: 2, ready: 2, restarts: { watchdog: 0, crash: 0 }, quarantined: 0 },
    bundle: { digest: expect.stringMatching(/^[0-9a-z:]{32,}$/) }, clock: { trusted: true, behindMs: 0 }, store: { readable: true, writable: true, endings: 1 },
    decisions: { allow: 1, deny: 1, unrecorded: 0 }, suspensions: { standing: 1, atLeast: false },
  });
  expect(json.store.position).toMatch(/\.\d+$/);

  // Lately, once a sample was taken.
  await until('a sample', async () => JSON.parse((await cli(running, ['status', '--json'])).stdout).decisions.lately !== undefined, 30_000);
  expect((await running.ask(undefined, '/orders/1')).status).toBe(401);
  process.kill(running.workers()[0] as number, 'SIGKILL');
  await until('a new worker', async () => (await cli(running, ['status'])).stdout.includes('workers: 2 of 2 decide; ended by the watchdog 0, died 1'), 30_000);
  const { code, stdout } = await cli(running, ['status']);
  expect(code).toBe(0);
  expect(stdout).toContain('ready: true\n');
  expect(stdout).toContain('suspensions: 1 standing\n');
  for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100);
  expect(stdout.split('\n').length).toBeLessThanOrEqual(24);
});

test('not ready: exit code 2, and why; a store that is gone is told', { timeout: 120_000 }, async () => {
  curfew = await startCurfew({ workers: 1 });
  const running = curfew;
  renameSync(join(running.directory, '.curfew/store/data.mdb'), join(running.directory, 'moved'));
  await until('it is noticed', async () => (await cli(running, ['status'])).code === 2, 20_000);
  const { stdout } = await cli(running, ['status']);
  expect(stdout).toMatch(/^ready: false\n {2}the store can not be written/);
  expect(stdout).toContain('NOT WRITABLE');
});
