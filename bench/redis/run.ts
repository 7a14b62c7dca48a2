/**
 * The Redis bench, in parts that can be left out: one worker of the real `curfew serve` with the embedded store, with Redis in strict
 * and in leased mode, on the same grants, asked in turns of one run; what a grant takes in Redis; how long `revoke` takes with three
 * nodes. By itself (`--growth`): how the cost of a decision grows with what the store holds.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spreadOf, summarize } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, millis, perSecond, times, type Findings, type Goal, type Table } from '../harness/results.ts';
import { filledStore } from '../support/filled-store.ts';
import { createBenchIssuer, type BenchIssuer } from '../support/workload-tokens.ts';
import { costRatio, lanesTable, p50s, rateRatio, runLanes, spread, type Lane, type LanesOptions, type LaneWanted } from './lanes.ts';
import { measureMemory } from './memory.ts';
import { startBenchRedis } from './redis-server.ts';
import { measureRevoke, type Revoked } from './revoke.ts';

export const redisDefaults = {
  small: 1_000, large: 1_000_000, rounds: 7, seconds: 2, connections: 32, lowRate: 100, requests: 20_000, revocations: 100, seed: 7,
  throughput: true, memory: true, revoke: true, growth: false, write: false,
} as const;
export type RedisOptions = Options<typeof redisDefaults>;

const FACTS_AGE_MS = 50;
const LEASE_MS = 1_000;
const MEMORY_GRANTS = 30_000;

const SHARED = 'The load comes from a process of its own on the same cores, so does Redis.';

interface Bench {
  readonly options: RedisOptions;
  readonly folder: string;
  readonly issuer: BenchIssuer;
  readonly say: (text: string) => void;
  readonly generatorModule: string | undefined;
}

const lanesOf = ({ options, folder, issuer, generatorModule }: Bench, over: Partial<LanesOptions> = {}): LanesOptions => ({ ...options, folder, issuer, generatorModule, ...over });
const tell = (say: (text: string) => void, table: Table): void => {
  for (const row of table.rows) say(row.join(', '));
};

const throughput = async (bench: Bench): Promise<Findings> => {
  const { options, folder, say } = bench;
  const wanted = { grants: options.small, revocations: options.small };
  const embedded = await filledStore(wanted);
  const redis = await startBenchRedis({ wanted, folder, name: 'small', durable: true });
  try {
    const lanes = await runLanes([
      { name: `embedded, ${count(options.small)}`, store: embedded },
      { name: `strict, ${count(options.small)}`, store: redis.store, redis, settings: { mode: 'strict' } },
      { name: `leased, ${count(options.small)}`, store: redis.store, redis, settings: { mode: 'leased' } },
    ], lanesOf(bench));
    const [base, strict, leased] = lanes as [Lane, Lane, Lane];
    const added = spreadOf(p50s(strict).map((value, round) => value - (p50s(base)[round] as number)));
    const ratioGoal = (goal: string, above: Lane, least: number, limit: string): Goal => {
      const ratio = rateRatio(above, base);
      return { goal, measured: `${spread(ratio, times)}; processor time ${times(costRatio(above, base).median)}`, met: ratio.median >= least, limit };
    };
    const table = lanesTable(`One worker, closed loop with ${options.connections} connections, and ${options.lowRate} requests a second`, lanes, SHARED);
    tell(say, table);
    return {
      tables: [table],
      goals: [
        ratioGoal('strict >= 0.5 x embedded (aim 0.6)', strict, 0.5, 'one call to Redis, shared by the questions of a moment'),
        ratioGoal('leased >= 0.9 x embedded', leased, 0.9, 'the worker\'s own processor time (see the table below): Redis is hardly asked'),
        { goal: 'strict: added p50 at low load <= 0.3 ms', measured: spread(added, (value) => `${millis(value / 1_000)} ms`), met: added.median <= 300, limit: 'one round trip: the worker, Redis and the worker again are woken, which alone takes 0.21 of the 0.29 ms that its call takes (see "Where the time goes")' },
      ],
    };
  } finally {
    await redis.stop();
  }
};

const growth = async (bench: Bench): Promise<Findings> => {
  const { options, folder, say } = bench;
  const servers = [];
  try {
    const lanes: LaneWanted[] = [];
    for (const size of [options.small, options.large]) {
      const from = performance.now();
      const redis = await startBenchRedis({ wanted: { grants: size, revocations: size }, folder, name: `grown-${size}-${servers.length}`, durable: false });
      servers.push(redis);
      say(`filled with ${count(size)} grants and revocations in ${millis((performance.now() - from) / 1_000)} s`);
      for (const mode of ['strict', 'leased']) lanes.push({ name: `${mode}, ${count(size)}`, store: redis.store, redis, settings: { mode, durability: 'memory' } });
    }
    const ran = await runLanes(lanes, lanesOf(bench, { lowRate: 0 }));
    const [strict, leased, strictLarge, leasedLarge] = ran as [Lane, Lane, Lane, Lane];
    const table = lanesTable(`One worker, closed loop with ${options.connections} connections`, ran, `${SHARED} Workloads are drawn by Zipf; a worker remembers 16 MiB. Nothing is written to a disk here.`);
    tell(say, table);
    const goal = (mode: string, small: Lane, large: Lane): Goal => {
      const ratio = costRatio(large, small);
      return {
        goal: `${mode}: cost at ${count(options.large)} / ${count(options.small)} grants and revocations <= 1.2 x`,
        measured: `${spread(ratio, times)} in processor time of worker and Redis; ${times(rateRatio(small, large).median)} in decisions a second`, met: ratio.median <= 1.2,
        limit: 'no read grows with the store: by profile (200,000 against 1,000 grants, a busy machine) one that is whole takes 164 us of the worker and 100 of Redis, against 177 and 89, one that is remembered 26 and 4. What grows is how many decisions read whole, none with few grants, half of them with many: a worker remembers 16 MiB',
      };
    };
    return { tables: [table], goals: [goal('strict', strict, strictLarge), goal('leased', leased, leasedLarge)] };
  } finally {
    for (const { stop } of servers) await stop();
  }
};

const revoking = async ({ options, folder, issuer, generatorModule, say }: Bench): Promise<Findings> => {
  const wanted = { grants: options.small, revocations: options.small };
  const common = { issuer, folder, revocations: options.revocations, requests: options.requests, generatorModule };
  // Of its own: revocations are written into it.
  const path = join(folder, 'alone');
  const kept = await filledStore(wanted);
  cpSync(kept.path, path, { recursive: true });
  const alone = { ...kept, path };
  const redis = await startBenchRedis({ wanted, folder, name: 'revoke', durable: true });
  try {
    const measured: (readonly [mode: string, Revoked])[] = [];
    for (const mode of ['embedded', 'strict', 'leased'] as const) {
      const revoked = await measureRevoke({ ...common, mode, ...(mode === 'embedded' ? { store: alone } : { store: redis.store, redis }) });
      measured.push([mode, revoked]);
      say(`${mode}: revoke p99 ${millis(summarize(revoked.allAlive).p99)} ms`);
    }
    const [embedded, strict, leased] = measured.map(([, revoked]) => revoked) as [Revoked, Revoked, Revoked];
    const p99 = (goal: string, took: readonly number[], most: number): Goal => {
      const value = summarize(took).p99;
      return { goal: `${goal} <= ${most} ms`, measured: `${millis(value)} ms`, met: value <= most, limit: 'waiting for one of two cores, which workers, generators and Redis share: see "Where the time goes"' };
    };
    return {
      tables: [{
        title: 'revoke to its answer, three nodes of one worker at half load (embedded: one node), ms',
        columns: ['mode', 'requests a second', 'p50', 'p99', 'one frozen: p50', 'one frozen: p99', 'unavailable meanwhile'],
        rows: measured.map(([mode, { allAlive, oneFrozen, requestsASecond, unavailable }]) => {
          const [alive, frozen] = [summarize(allAlive), oneFrozen.length === 0 ? undefined : summarize(oneFrozen)];
          return [mode, perSecond(requestsASecond), millis(alive.p50), millis(alive.p99), ...(frozen === undefined ? ['', ''] : [millis(frozen.p50), millis(frozen.p99)]), `${(unavailable * 100).toFixed(2)} %`];
        }),
        note: `Strict and leased answers wait for \`limits.maxFactsAgeMs\` (${FACTS_AGE_MS} ms) in any case, embedded ones until the worker has said that what it re-checked before has left it. ${options.revocations} revocations each, a fifth of that with one frozen.`,
      }],
      goals: [
        p99('embedded: revoke p99', embedded.allAlive, 10),
        p99('strict: revoke p99', strict.allAlive, FACTS_AGE_MS + 20),
        p99('leased, all alive: revoke p99', leased.allAlive, FACTS_AGE_MS + 40),
        p99('leased, one frozen: revoke p99', leased.oneFrozen, LEASE_MS * 1.1 + 100),
      ],
    };
  } finally {
    await redis.stop();
  }
};

const memory = async ({ folder, say, options }: Bench): Promise<Findings> => {
  const { tables, goals, text } = await measureMemory(Math.min(MEMORY_GRANTS, options.large), folder);
  say(text);
  return { tables, goals };
};

export const runRedis = async (options: RedisOptions, say: (text: string) => void, generatorModule?: string): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  try {
    const bench: Bench = { options, folder, issuer: createBenchIssuer(), say, generatorModule };
    const parts = options.growth ? [growth] : [...(options.throughput ? [throughput] : []), ...(options.memory ? [memory] : []), ...(options.revoke ? [revoking] : [])];
    const found: Findings[] = [];
    for (const part of parts) found.push(await part(bench));
    return { tables: found.flatMap(({ tables }) => tables), goals: found.flatMap(({ goals }) => goals) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
