/** The soak bench: all workers of the real `curfew serve` at half of what they carry, for long, with access beginning and ending meanwhile. What matters is what does not grow. */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { summarize } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, millis, perSecond, type Findings, type Goal } from '../harness/results.ts';
import { startCurfew } from '../http/curfew-server.ts';
import { startGenerator } from '../http/generator.ts';
import { rssAnonMiB } from '../http/processes.ts';
import { drawRequests, wireOf } from '../http/requests.ts';
import { filledStore } from '../support/filled-store.ts';
import { createBenchIssuer } from '../support/workload-tokens.ts';
import { startChecker } from './checker.ts';

export const soakDefaults = { minutes: 3, windowSeconds: 10, workers: availableParallelism(), grants: 100_000, connections: 32, requests: 20_000, loadShare: 50, seed: 7, write: false };
export type SoakOptions = Options<typeof soakDefaults>;

/** Tokens live for 50 minutes, and are minted for the whole run. */
const MINUTES_MAX = 60;
const TOKEN_MINUTES = 45;
const SLOPE_GOAL_MB = 5;
/** A shorter run says whether the bench works, not whether anything grows. */
const MINUTES_THAT_SAY = 30;

export interface Sample {
  readonly minute: number;
  readonly megabytes: number;
  readonly files: number;
  readonly p99: number;
  readonly answered: number;
}

/** Least squares, an hour. */
export const slopeOf = (points: readonly (readonly [minute: number, value: number])[]): number => {
  const mean = (index: 0 | 1): number => points.reduce((sum, point) => sum + point[index], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const spread = points.reduce((sum, [minute]) => sum + (minute - x) ** 2, 0);
  return spread === 0 ? 0 : (points.reduce((sum, [minute, value]) => sum + (minute - x) * (value - y), 0) / spread) * 60;
};

/** Over the last two thirds: the first third fills what is remembered. */
export const soakGoals = (samples: readonly Sample[], minutes: number): readonly Goal[] => {
  const settled = samples.slice(Math.floor(samples.length / 3));
  const whole = minutes >= MINUTES_THAT_SAY;
  const goalOf = (goal: string, value: (sample: Sample) => number, below: number, text: (slope: number) => string): Goal => {
    const slope = slopeOf(settled.map((sample) => [sample.minute, value(sample)]));
    return { goal, measured: `${text(slope)} an hour${whole ? '' : ', too short to say'}`, met: whole && slope < below, limit: whole ? 'not known' : 'the run was too short' };
  };
  return [
    goalOf(`slope of RssAnon over the last two thirds < ${SLOPE_GOAL_MB} MB an hour`, ({ megabytes }) => megabytes, SLOPE_GOAL_MB, (slope) => `${slope.toFixed(1)} MB`),
    goalOf('slope of open files < 1 an hour', ({ files }) => files, 1, (slope) => slope.toFixed(1)),
    goalOf('slope of p99 < 1 ms an hour', ({ p99 }) => p99, 1, (slope) => `${slope.toFixed(2)} ms`),
  ];
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
    const generator = startGenerator(generatorModule);
    stops.push(generator.stop);
    const jobOf = async (seed: number): Promise<number> => generator.addJob({ kind: 'curfew', port: server.port, ...wireOf('curfew', drawRequests(store, options.requests, seed), issuer) });
    const { connections } = options;
    let job = await jobOf(options.seed);
    const closed = await generator.run({ job, connections, durationMs: 3_000, atLeast: options.requests, from: 0, anyLate: true });
    const rate = Math.max(1, Math.round(((closed.answered / closed.durationMs) * 1_000 * options.loadShare) / 100));
    say(`at ${perSecond(rate)} a second`);
    const checker = await startChecker(store, server.port, { tokenOf: (workload) => issuer.tokenOf(workload) });
    stops.push(checker.stop);
    const checking = checker.run();
    checking.catch(() => undefined);
    const samples: Sample[] = [];
    const startedMs = performance.now();
    let mintedMs = startedMs;
    while (performance.now() - startedMs < options.minutes * 60_000) {
      if (performance.now() - mintedMs > TOKEN_MINUTES * 60_000) {
        issuer = issuer.renewed();
        job = await jobOf(options.seed);
        mintedMs = performance.now();
      }
      const ran = await generator.run({ job, connections, durationMs: options.windowSeconds * 1_000, rate, from: samples.length * 4_001, anyLate: true });
      server.emptyLog();
      const sample = {
        minute: (performance.now() - startedMs) / 60_000, answered: ran.answered, p99: summarize(ran.latencies).p99 / 1_000,
        megabytes: Math.max(...server.workerPids.map((pid) => (rssAnonMiB(pid) * 2 ** 20) / 1e6)), files: Math.max(...server.workerPids.map((pid) => readdirSync(`/proc/${pid}/fd`).length)),
      };
      samples.push(sample);
      say(`minute ${sample.minute.toFixed(1)}: ${sample.megabytes.toFixed(1)} MB, ${sample.files} files, p99 ${millis(sample.p99)} ms`);
    }
    const checked = await checker.stop();
    if (checked.violations.length > 0) throw new Error(`wrong answers:\n${checked.violations.slice(0, 5).join('\n')}`);
    if (checked.revoked === 0 || checked.expired === 0) throw new Error('nothing that was granted was allowed: nothing was shown');
    const shown = samples.filter((_, index) => index % Math.max(1, Math.floor(samples.length / 12)) === 0);
    return {
      tables: [{
        title: `${options.minutes} minutes at ${perSecond(rate)} a second, ${options.workers} workers, ${count(options.grants)} grants and revocations`,
        columns: ['minute', 'RssAnon of the largest worker, MB', 'open files', 'p99 ms', 'answered'],
        rows: shown.map((sample) => [sample.minute.toFixed(1), sample.megabytes.toFixed(1), String(sample.files), millis(sample.p99), count(sample.answered)]),
        note: `Beside the load ${count(checked.revoked)} grants were revoked and ${count(checked.expired)} expired once they had been allowed; of ${count(checked.denied)} questions sent after that none was (I1, I2).`,
      }],
      goals: soakGoals(samples, options.minutes),
    };
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
