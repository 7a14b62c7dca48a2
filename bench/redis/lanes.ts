/** Lanes of the Redis bench: one worker of the real `curfew serve` each, asked in turns, with the processor time that it and its server take. */
import { join } from 'node:path';
import { ratios, spreadOf, summarize, type Spread } from '../harness/latency.ts';
import { millis, perSecond, type Table } from '../harness/results.ts';
import { startCurfew } from '../http/curfew-server.ts';
import { startGenerator } from '../http/generator.ts';
import type { Ran } from '../http/load-generator.ts';
import { processorMs } from '../http/processes.ts';
import { drawRequests, wireOf } from '../http/requests.ts';
import type { FilledStore } from '../support/filled-store.ts';
import type { BenchIssuer } from '../support/workload-tokens.ts';
import type { BenchRedis } from './redis-server.ts';

/** A machine with two cores also runs the load; what comes late is late for all of them. */
const PATIENT = { limits: { decisionDeadlineMs: 2_000 } };

interface Closed extends Ran {
  /** Processor time a decision, microseconds. */
  readonly workerUs: number;
  readonly serverUs: number;
}

export interface Lane {
  readonly name: string;
  readonly closed: Closed[];
  readonly low: Ran[];
}

export interface LaneWanted {
  readonly name: string;
  readonly store: FilledStore;
  /** Absent: the embedded store. */
  readonly redis?: BenchRedis;
  /** Of section `store.redis`. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export interface LanesOptions {
  readonly folder: string;
  readonly issuer: BenchIssuer;
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly requests: number;
  readonly seed: number;
  /** Requests a second of the open loop; 0: none. */
  readonly lowRate: number;
  readonly generatorModule?: string | undefined;
}

export const rates = ({ closed }: Lane): readonly number[] => closed.map(({ answered, durationMs }) => (answered / durationMs) * 1_000);
export const p50s = ({ low }: Lane): readonly number[] => low.map(({ latencies }) => summarize(latencies).p50);
/** Of worker and server together. */
export const costs = ({ closed }: Lane): readonly number[] => closed.map(({ workerUs, serverUs }) => workerUs + serverUs);
export const rateRatio = (above: Lane, below: Lane): Spread => ratios(rates(above), rates(below));
export const costRatio = (above: Lane, below: Lane): Spread => ratios(costs(above), costs(below));
export const spread = ({ min, median, max }: Spread, text: (value: number) => string): string => `${text(median)} (${text(min)} to ${text(max)})`;

export const runLanes = async (all: readonly LaneWanted[], { folder, issuer, rounds, seconds, connections, requests, seed, lowRate, generatorModule }: LanesOptions): Promise<readonly Lane[]> => {
  const stops: (() => Promise<void>)[] = [];
  try {
    const generator = startGenerator(generatorModule);
    stops.push(generator.stop);
    const lanes: (Lane & { readonly job: number; readonly pids: readonly [worker: number, server: number]; readonly between: () => void })[] = [];
    for (const [index, { name, store, redis, settings }] of all.entries()) {
      const config = redis === undefined ? {} : { store: { kind: 'redis', path: join(folder, `own-${index}`), redis: { port: redis.port, ...settings } } };
      const server = await startCurfew({ store, jwks: issuer.jwks, folder, name: `lane-${store.grants}-${index}`, config: { ...PATIENT, ...config } });
      stops.push(server.stop);
      const job = await generator.addJob({ kind: 'curfew', port: server.port, ...wireOf('curfew', drawRequests(store, requests, seed), issuer) });
      lanes.push({ name, job, closed: [], low: [], pids: [server.workerPids[0] as number, redis?.pid ?? 0], between: server.emptyLog });
    }
    const inTurns = async (round: number, run: (lane: (typeof lanes)[number]) => Promise<void>): Promise<void> => {
      for (let turn = 0; turn < lanes.length; turn += 1) {
        const lane = lanes[(turn + round) % lanes.length] as (typeof lanes)[number];
        await run(lane);
        lane.between();
      }
    };
    const spent = (pid: number): number => (pid === 0 ? 0 : processorMs(pid));
    await inTurns(0, async ({ job }) => void (await generator.run({ job, connections, durationMs: 0, atLeast: requests, from: 0 })));
    for (let round = 0; round < rounds; round += 1) {
      await inTurns(round, async ({ job, closed, pids: [worker, server] }) => {
        const before = [spent(worker), spent(server)] as const;
        const ran = await generator.run({ job, connections, durationMs: seconds * 1_000, from: round * 4_001 });
        closed.push({ ...ran, workerUs: ((spent(worker) - before[0]) * 1_000) / ran.answered, serverUs: ((spent(server) - before[1]) * 1_000) / ran.answered });
      });
      if (lowRate > 0) await inTurns(round, async ({ job, low }) => void low.push(await generator.run({ job, connections: 4, durationMs: seconds * 1_000, rate: lowRate, from: round * 4_001 })));
    }
    return lanes;
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
};

export const lanesTable = (title: string, lanes: readonly Lane[], note: string): Table => ({
  title,
  columns: ['store, grants and revocations', 'decisions a second, median of rounds (spread)', 'processor time a decision, us: worker', 'Redis', 'p50 at low load, ms'],
  rows: lanes.map((lane) => [
    lane.name, spread(spreadOf(rates(lane)), perSecond),
    perSecond(spreadOf(lane.closed.map(({ workerUs }) => workerUs)).median), perSecond(spreadOf(lane.closed.map(({ serverUs }) => serverUs)).median),
    lane.low.length === 0 ? '' : millis(spreadOf(p50s(lane)).median / 1_000),
  ]),
  note,
});
