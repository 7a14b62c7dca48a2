/**
 * The Redis bench: one worker of the real `curfew serve` with the embedded store, with Redis in strict and in leased mode, on the
 * same grants, asked in turns of one run; how that grows with what the store holds; and how long `revoke` takes with three nodes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ratios, spreadOf, summarize, type Spread } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, millis, perSecond, times, type Findings, type Goal } from '../harness/results.ts';
import { startCurfew } from '../http/curfew-server.ts';
import { startGenerator } from '../http/generator.ts';
import type { Ran } from '../http/load-generator.ts';
import { drawRequests, wireOf } from '../http/requests.ts';
import { filledStore, type FilledStore } from '../support/filled-store.ts';
import { createBenchIssuer } from '../support/workload-tokens.ts';
import { startBenchRedis } from './redis-server.ts';
import { measureRevoke } from './revoke.ts';

export const redisDefaults = {
  small: 1_000, large: 1_000_000, rounds: 7, seconds: 2, connections: 32, lowRate: 100, requests: 20_000, revocations: 100, seed: 7, write: false,
} as const;
export type RedisOptions = Options<typeof redisDefaults>;

/** A machine with two cores also runs the load; what comes late is late for all of them. */
const PATIENT = { limits: { decisionDeadlineMs: 2_000 } };
const FACTS_AGE_MS = 50;
const LEASE_MS = 1_000;

interface Lane {
  readonly name: string;
  readonly job: number;
  readonly closed: Ran[];
  readonly low: Ran[];
  readonly between: () => void;
}

const spread = ({ min, median, max }: Spread, text: (value: number) => string): string => `${text(median)} (${text(min)} to ${text(max)})`;
const rates = ({ closed }: Lane): readonly number[] => closed.map(({ answered, durationMs }) => (answered / durationMs) * 1_000);
const p50s = ({ low }: Lane): readonly number[] => low.map(({ latencies }) => summarize(latencies).p50);

export const runRedis = async (options: RedisOptions, say: (text: string) => void, generatorModule?: string): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const stops: (() => Promise<void>)[] = [];
  try {
    const issuer = createBenchIssuer();
    const wanted = { small: { grants: options.small, revocations: options.small }, large: { grants: options.large, revocations: options.large } };
    const embedded = await filledStore(wanted.small);
    const small = await startBenchRedis(wanted.small, folder, 'small');
    stops.push(small.stop);
    const large = await startBenchRedis(wanted.large, folder, 'large');
    stops.push(large.stop);
    say(`filled: ${Math.round(large.bytesPerGrant)} bytes a grant`);
    const generator = startGenerator(generatorModule);
    stops.push(generator.stop);
    const lanes: Lane[] = [];
    const add = async (name: string, store: FilledStore, config: Readonly<Record<string, unknown>>): Promise<void> => {
      const server = await startCurfew({ store, jwks: issuer.jwks, folder, name: `lane-${lanes.length}`, config: { ...PATIENT, ...config } });
      stops.push(server.stop);
      const job = await generator.addJob({ kind: 'curfew', port: server.port, ...wireOf('curfew', drawRequests(store, options.requests, options.seed), issuer) });
      lanes.push({ name, job, closed: [], low: [], between: server.emptyLog });
    };
    const redis = (port: number, mode: string) => ({ store: { kind: 'redis', path: join(folder, `own-${port}-${mode}`), redis: { port, mode } } });
    await add(`embedded, ${count(options.small)}`, embedded, {});
    await add(`strict, ${count(options.small)}`, small.store, redis(small.port, 'strict'));
    await add(`leased, ${count(options.small)}`, small.store, redis(small.port, 'leased'));
    await add(`strict, ${count(options.large)}`, large.store, redis(large.port, 'strict'));
    await add(`leased, ${count(options.large)}`, large.store, redis(large.port, 'leased'));

    const inTurns = async (round: number, run: (lane: Lane) => Promise<void>): Promise<void> => {
      for (let turn = 0; turn < lanes.length; turn += 1) {
        const lane = lanes[(turn + round) % lanes.length] as Lane;
        await run(lane);
        lane.between();
      }
    };
    await inTurns(0, async ({ job }) => void (await generator.run({ job, connections: options.connections, durationMs: 0, atLeast: options.requests, from: 0 })));
    for (let round = 0; round < options.rounds; round += 1) {
      await inTurns(round, async ({ job, closed }) => void closed.push(await generator.run({ job, connections: options.connections, durationMs: options.seconds * 1_000, from: round * 4_001 })));
      await inTurns(round, async ({ job, low }) => void low.push(await generator.run({ job, connections: 4, durationMs: options.seconds * 1_000, rate: options.lowRate, from: round * 4_001 })));
    }
    for (const stop of stops.splice(3).toReversed()) await stop();
    for (const lane of lanes) say(`${lane.name}: ${spread(spreadOf(rates(lane)), perSecond)} decisions a second, p50 at low load ${millis(spreadOf(p50s(lane)).median / 1_000)} ms`);
    const revoked = {
      strict: await measureRevoke({ redis: small, issuer, folder, mode: 'strict', revocations: options.revocations, requests: options.requests, generatorModule }),
      leased: await measureRevoke({ redis: small, issuer, folder, mode: 'leased', revocations: options.revocations, requests: options.requests, generatorModule }),
    };

    const [base, strict, leased, strictLarge, leasedLarge] = lanes as [Lane, Lane, Lane, Lane, Lane];
    const ratioGoal = (goal: string, above: Lane, below: Lane, least: number, limit: string): Goal => {
      const ratio = ratios(rates(above), rates(below));
      return { goal, measured: spread(ratio, times), met: ratio.median >= least, limit };
    };
    const cost = (goal: string, here: Lane, there: Lane): Goal => {
      const ratio = ratios(rates(here), rates(there));
      return { goal, measured: spread(ratio, times), met: ratio.median <= 1.2, limit: 'what is not remembered is read from Redis' };
    };
    const added = p50s(strict).map((value, round) => value - (p50s(base)[round] as number));
    const p99 = (goal: string, took: readonly number[], most: number): Goal => {
      const measured = summarize(took).p99;
      return { goal, measured: `${millis(measured)} ms`, met: measured <= most, limit: 'workers, generators and Redis share this machine\'s cores' };
    };
    return {
      tables: [
        {
          title: `One worker, closed loop with ${options.connections} connections, and ${options.lowRate} requests a second`,
          columns: ['store, grants and revocations', 'decisions a second, median of rounds (spread)', 'p50 at low load, ms'],
          rows: lanes.map((lane) => [lane.name, spread(spreadOf(rates(lane)), perSecond), millis(spreadOf(p50s(lane)).median / 1_000)]),
        },
        {
          title: 'revoke to its answer, three nodes of one worker, ms',
          columns: ['mode', 'requests a second', 'p50', 'p99', 'one frozen: p50', 'one frozen: p99'],
          rows: (['strict', 'leased'] as const).map((mode) => {
            const { allAlive, oneFrozen, requestsASecond } = revoked[mode];
            const [alive, frozen] = [summarize(allAlive), oneFrozen.length === 0 ? undefined : summarize(oneFrozen)];
            return [mode, perSecond(requestsASecond), millis(alive.p50), millis(alive.p99), ...(frozen === undefined ? ['', ''] : [millis(frozen.p50), millis(frozen.p99)])];
          }),
        },
      ],
      goals: [
        ratioGoal('strict >= 0.5 x embedded', strict, base, 0.5, 'one round trip and one script a decision'),
        ratioGoal('leased >= 0.9 x embedded', leased, base, 0.9, 'what is not remembered is read strictly'),
        { goal: 'strict: added p50 at low load <= 0.3 ms', measured: spread(spreadOf(added), (value) => `${millis(value / 1_000)} ms`), met: spreadOf(added).median <= 300, limit: 'one round trip, one script' },
        cost(`strict: cost at ${count(options.large)} / ${count(options.small)} <= 1.2 x`, strict, strictLarge),
        cost(`leased: cost at ${count(options.large)} / ${count(options.small)} <= 1.2 x`, leased, leasedLarge),
        { goal: 'Redis memory a grant, with index and history, <= 1,024 bytes', measured: `${Math.round(large.bytesPerGrant)} bytes`, met: large.bytesPerGrant <= 1_024, limit: 'record, index row, event and two rows of history; refs are stored as names' },
        p99(`strict: revoke p99 <= ${FACTS_AGE_MS + 20} ms`, revoked.strict.allAlive, FACTS_AGE_MS + 20),
        p99(`leased, all alive: revoke p99 <= ${FACTS_AGE_MS + 40} ms`, revoked.leased.allAlive, FACTS_AGE_MS + 40),
        p99(`leased, one frozen: revoke p99 <= ${LEASE_MS * 1.1 + 100} ms`, revoked.leased.oneFrozen, LEASE_MS * 1.1 + 100),
      ],
    };
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
