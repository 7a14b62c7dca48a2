/** The memory bench: how soon `curfew serve` decides on a large store, and what a worker's own memory is before and after load. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spreadOf } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, perSecond, type Findings, type Table } from '../harness/results.ts';
import { askOnce } from '../http/ask.ts';
import { startCurfew, type CurfewServer } from '../http/curfew-server.ts';
import { startGenerator } from '../http/generator.ts';
import { rssAnonMiB } from '../http/processes.ts';
import { drawRequests, wireOf } from '../http/requests.ts';
import { filledStore } from '../support/filled-store.ts';
import { createBenchIssuer, type BenchIssuer } from '../support/workload-tokens.ts';

export const memoryDefaults = { grants: 1_000_000, starts: 7, rounds: 8, seconds: 4, connections: 32, requests: 20_000, seed: 7, write: false } as const;
export type MemoryOptions = Options<typeof memoryDefaults>;

const MEMORY_GOAL_MB = 150;
const READY_GOAL_MS = 1_000;
/** The goal counts megabytes; the system counts kibibytes. */
const megabytes = (pid: number): number => (rssAnonMiB(pid) * 2 ** 20) / 1e6;

/** From the start of the process until the first decision was answered, an allow. */
const firstDecisionMs = async ({ port, readyMs }: CurfewServer, issuer: BenchIssuer): Promise<number> => {
  const fromMs = performance.now();
  if (!(await askOnce(port, issuer.tokenOf(0)))) throw new Error('wrong answer: the first question was denied');
  return readyMs + performance.now() - fromMs;
};

export const runMemory = async (options: MemoryOptions, say: (text: string) => void, generatorModule?: string): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const stops: (() => Promise<void>)[] = [];
  try {
    const issuer = createBenchIssuer();
    const store = await filledStore({ grants: options.grants, revocations: options.grants });
    const readyMs: number[] = [];
    const firstMs: number[] = [];
    for (let start = 1; start < options.starts; start += 1) {
      const server = await startCurfew({ store, jwks: issuer.jwks, folder, name: `start-${start}` });
      readyMs.push(server.readyMs);
      firstMs.push(await firstDecisionMs(server, issuer));
      await server.stop();
    }
    const server = await startCurfew({ store, jwks: issuer.jwks, folder, name: 'loaded' });
    stops.push(server.stop);
    readyMs.push(server.readyMs);
    firstMs.push(await firstDecisionMs(server, issuer));
    const ready = spreadOf(readyMs);
    const first = spreadOf(firstMs);
    const [worker] = server.workerPids;
    if (worker === undefined) throw new Error('no worker runs');
    const samples: (readonly [string, number, number, string])[] = [['ready, idle', megabytes(worker), megabytes(server.supervisorPid), '']];
    const generator = startGenerator(generatorModule);
    stops.push(generator.stop);
    say(`ready in ${ready.median.toFixed(0)} ms`);
    let peak = 0;
    for (let round = 1; round <= options.rounds; round += 1) {
      // Other workloads in each round: what is remembered of the last ones must make room.
      const asked = drawRequests(store, options.requests, options.seed + round);
      const job = await generator.addJob({ kind: 'curfew', port: server.port, ...wireOf('curfew', asked, issuer) });
      const { answered, durationMs } = await generator.run({ job, connections: options.connections, durationMs: options.seconds * 1_000, from: 0 });
      server.emptyLog();
      peak = Math.max(peak, megabytes(worker));
      samples.push([`after round ${round}`, megabytes(worker), megabytes(server.supervisorPid), perSecond((answered / durationMs) * 1_000)]);
    }
    const table: Table = {
      title: `Anonymous memory (RssAnon), ${count(options.grants)} grants and revocations stored`,
      columns: ['', 'worker, MB', 'supervisor, MB', 'decisions a second'],
      rows: samples.map(([name, ours, supervisor, rate]) => [name, ours.toFixed(1), supervisor.toFixed(1), rate]),
      note: `Each round asks for ${options.seconds} s about ${count(options.requests)} other requests, Zipf over all workloads. What is mapped from the store's file is the page cache's and not counted.`,
    };
    return {
      tables: [table],
      goals: [
        { goal: `RssAnon of a worker <= ${MEMORY_GOAL_MB} MB after load`, measured: `${peak.toFixed(1)} MB`, met: peak <= MEMORY_GOAL_MB },
        { goal: `from process start to /health/ready <= ${READY_GOAL_MS} ms`, measured: `${ready.median.toFixed(0)} ms (${ready.min.toFixed(0)} to ${ready.max.toFixed(0)}), ${readyMs.length} starts`, met: ready.median <= READY_GOAL_MS },
        { goal: `from process start to the first decision <= ${READY_GOAL_MS} ms`, measured: `${first.median.toFixed(0)} ms (${first.min.toFixed(0)} to ${first.max.toFixed(0)})`, met: first.median <= READY_GOAL_MS },
      ],
    };
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
