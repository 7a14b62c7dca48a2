/** Workers that stand still as a whole: their own watchdog stands with them, so the supervisor replaces them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createFreezeJudge, LOOK_MS, processState, SILENT_LOOKS, STOPPED_LOOKS, watchFreeze, type Freeze, type ProcessState } from '../../src/supervisor/watchdog/freeze.ts';
import { spawn } from 'node:child_process';
import { until } from '../support/until.ts';
import { startCurfew, type Curfew } from './curfew.ts';

const WHO = 'spiffe://dev.local/ci/frozen';
let curfew: Curfew | undefined;
afterEach(async () => {
  await curfew?.stop();
  curfew = undefined;
});

const STOP_INSIDE = new URL('../support/stop-inside.mjs', import.meta.url).href;
const HANG = new URL('../support/hang.mjs', import.meta.url).href;

const stage = async (workers: number, env: Readonly<Record<string, string>> = {}): Promise<{ readonly running: Curfew; readonly token: string }> => {
  curfew = await startCurfew({ workers, env });
  await until('all workers', async () => (await curfew?.metrics())?.includes(`curfew_workers_ready ${workers}\n`), 30_000);
  await curfew.grant(WHO);
  return { running: curfew, token: await curfew.mint(WHO) };
};
/** Patient by default: it is another one than the stopped worker that answers, and a busy machine may take its time. */
const allowed = async (running: Curfew, token: string, withinMs = 20_000): Promise<boolean> => {
  try {
    return (await running.ask(token, '/orders/1', { connection: 'close' }, AbortSignal.timeout(withinMs))).status === 200;
  } catch {
    return false;
  }
};
/** Bounded: the looks, and time for a new one to start on a busy machine. */
const REPLACED_MS = STOPPED_LOOKS * LOOK_MS + 40_000;

describe('B6, L1: a worker that is stopped', () => {
  test('is ended and replaced; what should be allowed is allowed again, and nothing is put into quarantine', { timeout: 180_000 }, async () => {
    const { running, token } = await stage(1);
    const [pid] = running.workers() as [number];
    process.kill(pid, 'SIGSTOP');
    // Control: it really stands still.
    expect(await allowed(running, token, 1_000)).toBe(false);
    await until('another worker', () => !running.workers().includes(pid), REPLACED_MS);
    await until('it decides', () => allowed(running, token));
    const metrics = await running.metrics();
    expect(metrics).toContain('curfew_worker_restarts_total{cause="watchdog"} 1');
    expect(metrics).toContain('curfew_quarantined_evaluations 0');
    await until('it to be said', () => running.stderr().includes('"cause":"stopped"'));
  });

  test('does not hold up the others; revoking waits until it has ended', { timeout: 180_000 }, async () => {
    const { running, token } = await stage(2);
    const before = running.workers();
    process.kill(before[0] as number, 'SIGSTOP');
    const revoked = await running.admin('POST', '/v1/revocations', { selector: { kind: 'workload', value: 'spiffe://dev.local/ci/other' }, reason: 'leak' });
    expect(revoked.status).toBe(201);
    expect(existsSync(`/proc/${before[0]}`)).toBe(false);
    await until('two that decide', async () => !running.workers().includes(before[0] as number) && (await running.metrics()).includes('curfew_workers_ready 2\n'), REPLACED_MS);
    expect(running.workers()).toContain(before[1]);
    expect(await allowed(running, token)).toBe(true);
  });

  test('while it starts, as the successor of a reload, delays the reload and breaks nothing', { timeout: 180_000 }, async () => {
    const { running, token } = await stage(1);
    const before = running.workers();
    running.signal('SIGHUP');
    // Once it runs its own program: stopped between fork and exec it would hold up the supervisor, which waits for the exec.
    const commandOf = (pid: number): string => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    };
    const successor = await until('a successor', () => running.workers().find((pid) => !before.includes(pid) && !['', commandOf(running.pid)].includes(commandOf(pid))));
    process.kill(successor, 'SIGSTOP');
    expect(await allowed(running, token)).toBe(true);
    await until('it is ended', () => !running.workers().includes(successor), REPLACED_MS);
    expect(await allowed(running, token)).toBe(true);
  });
});

describe('a loop that hangs outside of any evaluation', () => {
  // Asleep it gets three hundred budgets, computing ten.
  test.each([['computing', 'loop', '100'], ['asleep', 'stuck', '20']] as const)('%s: its worker is ended and replaced', { timeout: 180_000 }, async (how, cause, budgetMs) => {
    const env = { NODE_OPTIONS: `--import=${HANG}`, HANG: how, CURFEW_LIMITS_EVALUATION_BUDGET_MS: budgetMs };
    const { running, token } = await stage(1, env);
    const [pid] = running.workers() as [number];
    process.kill(pid, 'SIGUSR2');
    await until('another worker', () => !running.workers().includes(pid), 60_000);
    await until('it decides', () => allowed(running, token));
    await until('it to be said', () => running.stderr().includes(`"cause":"${cause}"`));
    expect(await running.metrics()).toContain('curfew_quarantined_evaluations 0');
  });
});

test('a worker ends with its supervisor, even where a thread of it does not end', { timeout: 180_000 }, async () => {
  // A budget with which its own watchdog would look at it for five minutes.
  const { running } = await stage(1, { NODE_OPTIONS: `--import=${HANG}`, HANG: 'exit', CURFEW_LIMITS_EVALUATION_BUDGET_MS: '1000' });
  const [worker] = running.workers() as [number];
  process.kill(worker, 'SIGUSR2');
  await until('the thread that stands', () => existsSync(join(running.directory, `hang-${worker}-now`)));
  running.signal('SIGKILL');
  await running.exited;
  await until('the worker to be gone', () => !existsSync(`/proc/${worker}`));
});

test('workers that end while a reload replaces them are replaced once: there are as many afterwards as there should be', { timeout: 180_000 }, async () => {
  const { running } = await stage(2, { NODE_OPTIONS: `--import=${STOP_INSIDE}` });
  const before = running.workers();
  writeFileSync(join(running.directory, 'stop-start'), '');
  running.signal('SIGHUP');
  const said = join(running.directory, 'stopped-start');
  const successor = await until('a successor that stands', () => existsSync(said) && Number(readFileSync(said, 'utf8')));
  for (const pid of before) process.kill(pid, 'SIGKILL');
  await until('others in their place', () => running.workers().filter((pid) => !before.includes(pid) && pid !== successor).length === 2);
  if (existsSync(`/proc/${successor}`)) process.kill(successor, 'SIGCONT');
  await until('the reload to be over', async () => /^curfew_reloads_total\{.*configuration.*\} 1$/m.test(await running.metrics()));
  await until('two', async () => running.workers().length === 2 && (await running.metrics()).includes('curfew_workers_ready 2\n'));
});

describe('ends no innocents', () => {
  test('supervisor and workers that are stopped together, as a terminal does, go on together', { timeout: 180_000 }, async () => {
    const { running, token } = await stage(2);
    const workers = running.workers();
    const all = [running.pid, ...workers];
    for (const pid of all) process.kill(pid, 'SIGSTOP');
    await until('they stand', () => all.every((pid) => processState(pid) === 'stopped'));
    await new Promise((resolve) => setTimeout(resolve, (STOPPED_LOOKS + 2) * LOOK_MS));
    for (const pid of all) process.kill(pid, 'SIGCONT');
    await until('they decide', () => allowed(running, token));
    await new Promise((resolve) => setTimeout(resolve, 3 * LOOK_MS));
    expect(running.workers()).toEqual(workers);
  });

  const judged = (states: readonly (ProcessState | 'pulse')[]): Freeze | undefined => {
    let now: ProcessState | 'pulse' = 'pulse';
    const judge = createFreezeJudge(() => now as ProcessState);
    for (now of states) {
      const freeze = judge(now === 'pulse');
      if (freeze !== undefined) return freeze;
    }
    return undefined;
  };
  const times = (count: number, state: ProcessState | 'pulse'): (ProcessState | 'pulse')[] => Array.from({ length: count }, () => state);

  test('a worker that waits for a processor is never ended, however long', () => {
    expect(judged(times(100_000, 'runnable'))).toBeUndefined();
    expect(judged([...times(SILENT_LOOKS - 1, 'asleep'), ...times(1_000, 'runnable'), 'pulse', ...times(SILENT_LOOKS - 1, 'asleep')])).toBeUndefined();
  });

  test('only stopped without a break, or asleep without any pulse, counts', () => {
    expect(judged(times(STOPPED_LOOKS - 1, 'stopped'))).toBeUndefined();
    expect(judged(times(STOPPED_LOOKS, 'stopped'))).toBe('stopped');
    expect(judged([...times(STOPPED_LOOKS - 1, 'stopped'), 'asleep', ...times(STOPPED_LOOKS - 1, 'stopped')])).toBeUndefined();
    expect(judged([...times(STOPPED_LOOKS - 1, 'stopped'), 'pulse', ...times(STOPPED_LOOKS - 1, 'stopped')])).toBeUndefined();
    expect(judged(times(SILENT_LOOKS, 'asleep'))).toBe('silent');
    expect(judged([...times(SILENT_LOOKS - 1, 'asleep'), 'pulse', ...times(SILENT_LOOKS - 1, 'asleep')])).toBeUndefined();
  });

  test('what a process does is what the kernel says', async () => {
    // Its name is no help.
    const child = spawn(process.execPath, ['-e', 'process.title = ") R T ("; process.stdout.write("up"); process.stdin.on("data", () => { for (;;); });'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const pid = child.pid as number;
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await until('asleep', () => processState(pid) === 'asleep');
      child.kill('SIGSTOP');
      await until('stopped', () => processState(pid) === 'stopped');
      child.kill('SIGCONT');
      child.stdin.write('x');
      await until('runnable', () => processState(pid) === 'runnable');
    } finally {
      child.kill('SIGKILL');
    }
    await new Promise((resolve) => child.once('close', resolve));
    expect(processState(pid)).toBe('asleep');
  });

  test('the watch tells once, and nothing after it was told to stop', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    const seen: Freeze[] = [];
    const other: Freeze[] = [];
    try {
      child.kill('SIGSTOP');
      const watch = watchFreeze(child.pid as number, (freeze) => seen.push(freeze));
      const beating = watchFreeze(child.pid as number, (freeze) => other.push(freeze));
      const pulses = setInterval(beating.pulse, LOOK_MS / 4);
      await until('it to be told', () => seen.length > 0, 20_000);
      clearInterval(pulses);
      watch.stop();
      beating.stop();
      expect(seen).toEqual(['stopped']);
      expect(other).toEqual([]);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
