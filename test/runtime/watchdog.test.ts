import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { startCurfew, type Curfew } from './curfew.ts';

/** The default pack, in which judging `.../explode` takes practically forever. */
const EXPLOSIVE = fileURLToPath(new URL('../policy/fixtures/explosive.tar.gz', import.meta.url));
const PACKAGED = fileURLToPath(new URL('../../bundles/curfew.tar.gz', import.meta.url));
const KILLER = 'spiffe://dev.local/ci/killer';
const OTHER = 'spiffe://dev.local/ci/other';

let curfew: Curfew | undefined;
afterEach(async () => {
  await curfew?.stop();
  curfew = undefined;
});

const inDirectoryWith = (bundle: string): { readonly directory: string } => {
  const directory = mkdtempSync(join(tmpdir(), 'curfew-bundle-'));
  copyFileSync(bundle, join(directory, 'bundle.tar.gz'));
  return { directory };
};

interface Stage {
  readonly curfew: Curfew;
  readonly killer: string;
  readonly other: string;
}

const stage = async (options: Parameters<typeof startCurfew>[0] = {}): Promise<Stage> => {
  curfew = await startCurfew({ workers: 2, args: ['--set', `policy.bundle.file=${EXPLOSIVE}`], ...options });
  const { workers = 2 } = options;
  await until('all workers', async () => (await curfew?.metrics())?.includes(`curfew_workers_ready ${workers}\n`));
  const scopes = [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/**' } }];
  for (const workload of [KILLER, OTHER]) await curfew.grant(workload, { scopes });
  return { curfew, killer: await curfew.mint(KILLER), other: await curfew.mint(OTHER) };
};

type Outcome = { readonly status: number; readonly reason: string | null } | 'reset' | 'no answer';

const outcomeOf = async (asked: Promise<{ readonly status: number; readonly reason: string | null }>, withinMs: number): Promise<Outcome> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Outcome>((resolve) => { timer = setTimeout(() => resolve('no answer'), withinMs); });
  const outcome = await Promise.race([asked.then(({ status, reason }): Outcome => ({ status, reason }), (): Outcome => 'reset'), late]);
  clearTimeout(timer);
  return outcome;
};

describe('D1: an explosive evaluation', () => {
  test('resets its own request, harms nobody else, and is denied from then on', async () => {
    const { curfew: running, killer, other } = await stage();
    const before = running.workers();
    let stop = false;
    const seen: Outcome[] = [];
    const bystander = (async () => {
      while (!stop) seen.push(await outcomeOf(running.ask(other, '/orders/1', { connection: 'close' }), 30_000));
    })();
    expect(await outcomeOf(running.ask(killer, '/explode'), 30_000)).toBe('reset');
    await until('the worker to be replaced', () => running.workers().length === 2 && running.workers().some((pid) => !before.includes(pid)));
    expect(await outcomeOf(running.ask(killer, '/explode', { connection: 'close' }), 30_000)).toEqual({ status: 403, reason: 'policy.quarantined' });
    for (let again = 0; again < 20; again += 1) expect((await running.ask(killer, '/explode', { connection: 'close' })).reason).toBe('policy.quarantined');
    stop = true;
    await bystander;
    expect(running.workers().filter((pid) => before.includes(pid))).toHaveLength(1);
    // Requests that sat in the stopped worker are reset with it; all the others were answered, and rightly.
    const answered = seen.filter((outcome) => outcome !== 'reset');
    expect(answered.length).toBeGreaterThan(10);
    expect(answered.every((outcome) => outcome !== 'no answer' && outcome.status === 200)).toBe(true);
    expect(seen.length - answered.length).toBeLessThanOrEqual(3);
    // The same workload's other questions are still answered.
    expect((await running.ask(killer, '/orders/1')).status).toBe(200);
    const metrics = await running.metrics();
    expect(metrics).toContain('curfew_worker_restarts_total{cause="watchdog"} 1');
    expect(metrics).toContain('curfew_quarantined_evaluations 1');
  });

  test('positive control: without the watchdog the worker hangs', async () => {
    // With room to grow, so that it is not the bound on memory that ends it.
    const { curfew: running, killer } = await stage({
      workers: 1, env: { CURFEW_TEST_WATCHDOG: 'off' }, args: ['--set', `policy.bundle.file=${EXPLOSIVE}`, '--set', 'policy.memoryMaxBytes=1073741824'],
    });
    const [pid] = running.workers();
    expect(await outcomeOf(running.ask(killer, '/explode'), 1_500)).toBe('no answer');
    expect(await outcomeOf(running.ask(killer, '/orders/1', { connection: 'close' }), 500)).toBe('no answer');
    process.kill(pid as number, 'SIGKILL');
  });

  test('three of them keep the whole workload out, and nobody else', async () => {
    const { curfew: running, killer, other } = await stage();
    for (const path of ['/a/explode', '/b/explode', '/c/explode']) {
      expect(await outcomeOf(running.ask(killer, path, { connection: 'close' }), 30_000)).toBe('reset');
      await until('the evaluation to be denied', async () => (await outcomeOf(running.ask(killer, path, { connection: 'close' }), 30_000) as { reason?: string }).reason === 'policy.quarantined');
    }
    expect(await running.ask(killer, '/orders/1')).toMatchObject({ status: 403, reason: 'policy.quarantined' });
    expect((await running.ask(other, '/orders/1')).status).toBe(200);
    await until('it to be said', () => running.stderr().includes('the workload that stopped it is denied from now on'));
  });

  test('does not hold up operators: explain denies it, and revoking works at once', async () => {
    const { curfew: running } = await stage({ workers: 1 });
    const explain = (id: string) => running.admin('POST', '/v1/explain', { workload: KILLER, action: 'GET', resource: { type: 'http', id } });
    expect((await explain('shop.local/explode')).body).toMatchObject({ decision: 'deny', reason: 'policy.error' });
    const revoked = await running.admin('POST', '/v1/revocations', { selector: { kind: 'workload', value: KILLER }, reason: 'hostile' });
    expect(revoked.status).toBe(201);
    await until('explanations again', async () => (await explain('shop.local/orders/1')).body.reason === 'grant.revoked' || (await explain('shop.local/orders/1')).body.reason === 'subject.revoked');
    expect(running.stderr()).not.toContain('a worker ended');
  });

  test('a bundle that judges it in time ends the quarantine, without a restart', async () => {
    const { curfew: running, killer } = await stage({ workers: 1, args: ['--set', 'policy.bundle.file=bundle.tar.gz', '--set', 'policy.bundle.reloadIntervalMs=100'], ...inDirectoryWith(EXPLOSIVE) });
    expect(await outcomeOf(running.ask(killer, '/explode'), 30_000)).toBe('reset');
    await until('the evaluation to be denied', async () => (await outcomeOf(running.ask(killer, '/explode'), 30_000) as { reason?: string }).reason === 'policy.quarantined');
    const pids = running.workers();
    copyFileSync(PACKAGED, join(running.directory, 'bundle.tar.gz'));
    await until('the new bundle to decide', async () => (await running.ask(killer, '/explode')).status === 200);
    expect(running.workers()).toEqual(pids);
    await running.stop();
    rmSync(running.directory, { recursive: true, force: true });
  });
});

describe('the watchdog ends no innocents', () => {
  test('C2 C4: a worker that was stopped for 2 s lives on, and answers by the clock as it is then', async () => {
    const { curfew: running, other } = await stage({ workers: 1, args: [] });
    const ending = 'spiffe://dev.local/ci/ending';
    await running.grant(ending, { ttlMs: 1_000 });
    const token = await running.mint(ending);
    const pids = running.workers();
    const [pid] = pids as [number];
    expect((await running.ask(other, '/orders/1')).status).toBe(200);
    process.kill(pid, 'SIGSTOP');
    const asked = running.ask(token, '/orders/1');
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    process.kill(pid, 'SIGCONT');
    expect(await asked).toMatchObject({ status: 403, reason: 'grant.expired' });
    expect((await running.ask(other, '/orders/1')).status).toBe(200);
    expect(running.workers()).toEqual(pids);
  });

  test('an overloaded machine does not make it strike', async () => {
    const { curfew: running, other } = await stage({ workers: 2, args: [] });
    const pids = running.workers();
    const hogs = Array.from({ length: 8 }, () => spawn(process.execPath, ['-e', 'const end = Date.now() + 3000; while (Date.now() < end);'], { stdio: 'ignore' }));
    const gone = Promise.all(hogs.map((hog) => new Promise((resolve) => hog.once('exit', resolve))));
    let loaded = true;
    void gone.then(() => { loaded = false; });
    while (loaded) expect((await running.ask(other, '/orders/1')).status).not.toBe(0);
    expect(running.workers()).toEqual(pids);
    expect((await running.ask(other, '/orders/1')).status).toBe(200);
  });
});
