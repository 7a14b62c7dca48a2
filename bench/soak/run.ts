/** The soak bench: all workers of the real `curfew serve` at half of what they carry or at a given rate, for long, with access beginning and ending meanwhile. What matters is what does not grow. */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { spreadOf, summarize } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, millis, perSecond, type Findings } from '../harness/results.ts';
import { startCurfew } from '../http/curfew-server.ts';
import { startGenerator } from '../http/generator.ts';
import { rssAnonMiB } from '../http/processes.ts';
import { drawRequests, wireOf } from '../http/requests.ts';
import { filledStore } from '../support/filled-store.ts';
import { createBenchIssuer } from '../support/workload-tokens.ts';
import { startChecker } from './checker.ts';
import { soakGoals, type Sample, type Used } from './slopes.ts';

export const soakDefaults = { minutes: 3, windowSeconds: 10, workers: availableParallelism(), grants: 100_000, connections: 32, requests: 20_000, loadShare: 50, rate: 0, seed: 7, write: false };
export type SoakOptions = Options<typeof soakDefaults>;

const MINUTES_MAX = 60;
/** New tokens, and other workloads: what is remembered is full long before the first third ends, and stays so. */
const TOKEN_MINUTES = 5;
const SAMPLE_MS = 1_000;
/** Connections that were ended at both ends are gone by then. */
const IDLE_MS = 10_000;

interface Watched {
  readonly name: string;
  readonly pid: number;
}

const filesOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
const megabytesOf = (pid: number): number => (rssAnonMiB(pid) * 2 ** 20) / 1e6;

/** Looks every second while `run` runs; the median is no peak before a collection and no dip after one. */
const watched = async <T>(processes: readonly Watched[], run: () => Promise<T>): Promise<readonly [T, readonly Used[]]> => {
  const seen = processes.map(({ pid }) => ({ megabytes: [megabytesOf(pid)], files: [filesOf(pid)] }));
  let failed: unknown;
  const look = (): void => {
    try {
      for (const [index, { pid }] of processes.entries()) {
        seen[index]?.megabytes.push(megabytesOf(pid));
        seen[index]?.files.push(filesOf(pid));
      }
    } catch (error) {
      failed ??= error;
    }
  };
  const timer = setInterval(look, SAMPLE_MS);
  try {
    const ran = await run();
    // A process that ended is a worker that died: its successor is not looked at, and the run says nothing.
    if (failed !== undefined) throw new Error('a process of the server is gone', { cause: failed });
    return [ran, processes.map(({ name }, index) => ({ name, megabytes: spreadOf(seen[index]?.megabytes ?? []).median, files: spreadOf(seen[index]?.files ?? []).median }))];
  } finally {
    clearInterval(timer);
  }
};

/** Open files of all, once they are no more than `most`, or after a while. */
const idleFiles = async (processes: readonly Watched[], most: number): Promise<number> => {
  const open = (): number => processes.reduce((sum, { pid }) => sum + filesOf(pid), 0);
  const until = performance.now() + IDLE_MS;
  while (open() > most && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 100));
  return open();
};

/** `generatorModule`: see `startGenerator`. */
export const runSoak = async (options: SoakOptions, say: (text: string) => void, generatorModule?: string): Promise<Findings> => {
  if (options.minutes > MINUTES_MAX) throw new Error(`--minutes is at most ${MINUTES_MAX}`);
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const filled = await filledStore({ grants: options.grants, revocations: options.grants });
    // The filled one stays as it is.
    const store = { ...filled, path: join(folder, 'store') };
    cpSync(filled.path, store.path, { recursive: true });
    let issuer = createBenchIssuer();
    const server = await startCurfew({ store, jwks: issuer.jwks, folder, name: 'server', config: { workers: options.workers } });
    stops.push(server.stop);
    const processes: readonly Watched[] = [{ name: 'the supervisor', pid: server.supervisorPid }, ...server.workerPids.map((pid, index) => ({ name: `worker ${index + 1}`, pid }))];
    const idleBefore = await idleFiles(processes, Number.POSITIVE_INFINITY);
    const generator = startGenerator(generatorModule);
    stops.push(generator.stop);
    let drawn = 0;
    const nextJob = async (): Promise<number> => generator.addJob({ kind: 'curfew', port: server.port, ...wireOf('curfew', drawRequests(store, options.requests, options.seed + drawn++), issuer) });
    const { connections } = options;
    let job = await nextJob();
    const carried = async (): Promise<number> => {
      const closed = await generator.run({ job, connections, durationMs: 3_000, atLeast: options.requests, from: 0, anyLate: true });
      return ((closed.answered / closed.durationMs) * 1_000 * options.loadShare) / 100;
    };
    const rate = Math.max(1, Math.round(options.rate === 0 ? await carried() : options.rate));
    say(`at ${perSecond(rate)} a second`);
    const checker = await startChecker(store, server.port, { tokenOf: (workload) => issuer.tokenOf(workload) });
    stops.push(checker.stop);
    let checkFailed: { readonly cause: unknown } | undefined;
    checker.run().catch((cause: unknown) => (checkFailed = { cause }));
    const samples: Sample[] = [];
    const startedMs = performance.now();
    let mintedMs = startedMs;
    while (performance.now() - startedMs < options.minutes * 60_000) {
      if (checkFailed !== undefined) throw new Error('the checker could not go on', checkFailed);
      if (performance.now() - mintedMs > TOKEN_MINUTES * 60_000) {
        issuer = issuer.renewed();
        await generator.dropJob(job);
        job = await nextJob();
        mintedMs = performance.now();
      }
      const [ran, used] = await watched(processes, () => generator.run({ job, connections, durationMs: options.windowSeconds * 1_000, rate, from: samples.length * 4_001, anyLate: true }));
      server.emptyLog();
      const sample = { minute: (performance.now() - startedMs) / 60_000, answered: ran.answered, unavailable: ran.unavailable, p99: summarize(ran.latencies).p99 / 1_000, processes: used };
      samples.push(sample);
      say(`minute ${sample.minute.toFixed(1)}: ${used.map(({ name, megabytes, files }) => `${name} ${megabytes.toFixed(1)} MB ${files} files`).join(', ')}, p99 ${millis(sample.p99)} ms`);
    }
    await generator.dropJob(job);
    const checked = await checker.stop();
    if (checked.violations.length > 0) throw new Error(`wrong answers:\n${checked.violations.slice(0, 5).join('\n')}`);
    if (checked.revoked === 0 || checked.expired === 0) throw new Error('nothing that was granted was allowed: nothing was shown');
    const idleAfter = await idleFiles(processes, idleBefore);
    const [answered, unavailable] = [samples.reduce((sum, sample) => sum + sample.answered, 0), samples.reduce((sum, sample) => sum + sample.unavailable, 0)];
    const shown = samples.filter((_, index) => index % Math.max(1, Math.floor(samples.length / 12)) === 0);
    return {
      tables: [{
        title: `${options.minutes} minutes at ${perSecond(rate)} a second, ${options.workers} workers, ${count(options.grants)} grants and revocations`,
        columns: ['minute', ...processes.flatMap(({ name }) => [`RssAnon of ${name}, MB`, 'open files']), 'p99 ms', 'answered', 'of these too late'],
        rows: shown.map((sample) => [sample.minute.toFixed(1), ...sample.processes.flatMap(({ megabytes, files }) => [megabytes.toFixed(1), String(files)]), millis(sample.p99), count(sample.answered), count(sample.unavailable)]),
        note: `${count(answered)} answers, all checked; ${count(unavailable)} of them denied because the decision came too late. Beside the load ${count(checked.revoked)} grants were revoked and ${count(checked.expired)} expired once they had been allowed; of ${count(checked.denied)} questions sent after that none was (I1, I2). Open files of all processes, idle: ${idleBefore} before the load, ${idleAfter} after it. Every ${TOKEN_MINUTES} minutes the callers have new tokens, and are drawn anew. \`+-\`: nine times of ten the true slope lies within.`,
      }],
      goals: soakGoals(samples, options.minutes),
    };
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
