/**
 * The peers bench: Curfew beside an OPA server, OPA's evaluator behind grpc-go and Cerbos, on one machine, with the same rule, the same facts and the same connections, in interleaved rounds of one run.
 * Closed loop for what each carries; then each gets 70 % of its own maximum in an open loop, and Curfew also that of each OPA. At last Curfew is loaded to the full while a
 * checker begins and ends access. Every answer is checked. Curfew has the workers that `curfew serve` starts by default.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ratios, spreadOf, type Spread } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, millis, perSecond, times, type Findings, type Goal, type Table } from '../harness/results.ts';
import { startGenerator, type Generator } from '../http/generator.ts';
import type { Ran } from '../http/load-generator.ts';
import { latencyOf, rates, spread } from '../http/run.ts';
import { filledStore } from '../support/filled-store.ts';
import type { Checked, Checker } from '../soak/checker.ts';
import { startLanes, type Lane, type LaneId } from './lanes.ts';

export const peersDefaults = { rounds: 5, seconds: 2, openRounds: 3, openSeconds: 2, checkedSeconds: 10, connections: 32, workers: availableParallelism(), grants: 1_000, requests: 5_000, share: 70, seed: 7, write: false };
export type PeersOptions = Options<typeof peersDefaults>;

const maximum = (lane: Lane): number => spreadOf(rates(lane)).median;

/** Both at 70 % of an OPA server's own maximum. */
interface SameRate {
  readonly of: readonly [ours: LaneId, theirs: LaneId];
  readonly rate: number;
  readonly ours: Ran[];
  readonly theirs: Ran[];
}

/** Who is asked at whose rate. */
const SAME_RATE = [['full', 'full-opa-plain'], ['full', 'full-opa'], ['bare', 'bare-opa']] as const satisfies readonly SameRate['of'][];

const measure = async (generator: Generator, lanes: readonly Lane[], options: PeersOptions): Promise<readonly SameRate[]> => {
  const inTurns = async (round: number, run: (lane: Lane) => Promise<void>): Promise<void> => {
    for (let turn = 0; turn < lanes.length; turn += 1) {
      const lane = lanes[(turn + round) % lanes.length] as Lane;
      await run(lane);
      lane.between();
    }
  };
  const { connections } = options;
  // Every question twice for each worker: what is remembered is remembered, and code is compiled.
  const atLeast = options.requests * 2 * options.workers;
  await inTurns(0, async ({ job }) => void (await generator.run({ job, connections, durationMs: 0, atLeast, from: 0, anyLate: true })));
  for (let round = 0; round < options.rounds; round += 1) {
    await inTurns(round, async (lane) => void lane.closed.push(await generator.run({ job: lane.job, connections, durationMs: options.seconds * 1_000, from: round * 4_001 })));
  }
  const open = (lane: Lane, rate: number, round: number): Promise<Ran> => generator.run({ job: lane.job, connections, durationMs: options.openSeconds * 1_000, rate, from: round * 4_001 });
  const laneOf = (id: LaneId): Lane => lanes.find((lane) => lane.id === id) as Lane;
  const same = SAME_RATE.map((of): SameRate => ({ of, rate: Math.round((maximum(laneOf(of[1])) * options.share) / 100), ours: [], theirs: [] }));
  for (let round = 0; round < options.openRounds; round += 1) {
    await inTurns(round, async (lane) => void lane.open.push(await open(lane, Math.round((maximum(lane) * options.share) / 100), round)));
    for (const { of: [ours, theirs], rate, ...runs } of same) {
      runs.ours.push(await open(laneOf(ours), rate, round));
      runs.theirs.push(await open(laneOf(theirs), rate, round));
      laneOf(ours).between();
    }
  }
  return same;
};

interface UnderCheck extends Checked {
  readonly perSecond: number;
}

/** Full decisions over both protocols in turns, as fast as they go, while access begins and ends. Throws on an allow that should not be. */
const underCheck = async (generator: Generator, lanes: readonly Lane[], checker: Checker, options: PeersOptions): Promise<UnderCheck> => {
  const checking = checker.run();
  checking.catch(() => undefined);
  const full = lanes.filter(({ id }) => id === 'full' || id === 'full-grpc');
  const [until, runs]: [number, Ran[]] = [performance.now() + options.checkedSeconds * 1_000, []];
  for (let turn = 0; performance.now() < until; turn += 1) {
    const { job, between } = full[turn % full.length] as Lane;
    runs.push(await generator.run({ job, connections: options.connections, durationMs: 1_000, from: turn * 4_001, anyLate: true }));
    between();
  }
  const checked = await checker.stop();
  if (checked.violations.length > 0) throw new Error(`wrong answers:\n${checked.violations.slice(0, 5).join('\n')}`);
  return { ...checked, perSecond: runs.reduce((sum, { answered, durationMs }) => sum + (answered / durationMs) * 1_000, 0) / runs.length };
};

const p99 = (runs: readonly Ran[]): number => latencyOf(runs).p99 / 1_000;

const findings = (lanes: readonly Lane[], same: readonly SameRate[], checked: UnderCheck, options: PeersOptions): Findings => {
  const of = (id: LaneId): Lane | undefined => lanes.find((lane) => lane.id === id);
  const tables: Table[] = [
    {
      title: `What each carries, closed loop, ${options.connections} connections`,
      columns: ['server', 'decisions a second, median of rounds (spread)', 'p50 ms', 'p99 ms', 'not in time'],
      rows: lanes.map((lane) => {
        const { p50, p99: late } = latencyOf(lane.closed);
        return [lane.name, spread(spreadOf(rates(lane)), perSecond), millis(p50 / 1_000), millis(late / 1_000), count(lane.closed.reduce((sum, { unavailable }) => sum + unavailable, 0))];
      }),
      note: 'The load generator, one process, is on the same processors. Curfew writes its decision log to a file; the others write none. A full decision: credential, grants, tasks, endings, Rego, guard, re-check, record.',
    },
    {
      title: `Open loop, each at ${options.share} % of what it carried`,
      columns: ['server', 'requests a second', 'p50 ms', 'p99 ms', 'not in time'],
      rows: lanes.map((lane) => {
        const { p50, p99: late } = latencyOf(lane.open);
        return [lane.name, perSecond((maximum(lane) * options.share) / 100), millis(p50 / 1_000), millis(late / 1_000), count(lane.open.reduce((sum, { unavailable }) => sum + unavailable, 0))];
      }),
      note: 'Latency counts from when a request was due.',
    },
    {
      title: `Open loop, both at ${options.share} % of what OPA carried`,
      columns: ['server', 'requests a second', 'p50 ms', 'p99 ms', 'not in time'],
      rows: same.flatMap(({ of: ids, rate, ours, theirs }) => ids.map((id, index) => {
        const runs = index === 0 ? ours : theirs;
        const { p50, p99: late } = latencyOf(runs);
        return [(of(id) as Lane).name, perSecond(rate), millis(p50 / 1_000), millis(late / 1_000), count(runs.reduce((sum, { unavailable }) => sum + unavailable, 0))];
      })),
    },
  ];
  const [overGrpc, bareGrpc, fullGrpc] = [of('bare-opa-grpc'), of('bare-grpc') as Lane, of('full-grpc') as Lane];
  if (overGrpc !== undefined) {
    const compared = [['the bare rule over gRPC', bareGrpc], ['full decisions over gRPC', fullGrpc], ["OPA's HTTP server, the bare rule", of('bare-opa') as Lane]] as const;
    tables.push({
      title: "Beside OPA's evaluator behind grpc-go, with the bare rule",
      columns: ['compared with it', 'throughput, median of rounds (spread)'],
      rows: compared.map(([what, lane]) => [what, spread(ratios(rates(lane), rates(overGrpc)), times)]),
      note: 'It stands in for opa-envoy-plugin, whose Go module is not served where this was measured: OPA\'s library behind grpc-go, doing with a request what the plugin does (protojson, `parsed_path`, `parsed_query`, a read transaction, a decision id) and nothing else. It is not the plugin, which has more to do.',
    });
  }
  const goals: Goal[] = [];
  const faster = (goal: string, ours: LaneId, theirs: LaneId, least: number): void => {
    const [above, below] = [of(ours), of(theirs)];
    if (above === undefined || below === undefined) return;
    const ratio: Spread = ratios(rates(above), rates(below));
    goals.push({ goal: `${goal} >= ${least} x`, measured: spread(ratio, times), met: ratio.median >= least, limit: 'see "Where the time goes" below' });
  };
  const sooner = (goal: string, ours: number, theirs: number, share: number): void => {
    goals.push({ goal, measured: `${millis(ours)} ms to ${millis(theirs)} ms`, met: ours <= theirs * share, limit: 'see "Where the time goes" below' });
  };
  faster('full decisions / OPA doing the whole check, remembering tokens', 'full', 'full-opa', 10);
  faster('full decisions / OPA doing the whole check, as it comes', 'full', 'full-opa-plain', 10);
  for (const [index, how] of [[0, 'as it comes'], [1, 'remembering tokens']] as const) {
    const { rate, ours, theirs } = same[index] as SameRate;
    sooner(`p99 at ${perSecond(rate)} a second, ${options.share} % of the maximum of OPA doing the whole check, ${how}, <= 1/5 of OPA's`, p99(ours), p99(theirs), 0.2);
  }
  sooner(`p99 at ${options.share} % of our own maximum <= 10 ms`, p99((of('full') as Lane).open), 10, 1);
  faster('the bare rule over /v1/data / OPA', 'bare', 'bare-opa', 1.5);
  const bare = same[2] as SameRate;
  sooner(`p99 of the bare rule at ${perSecond(bare.rate)} a second, ${options.share} % of OPA's maximum, <= OPA's`, p99(bare.ours), p99(bare.theirs), 1);
  sooner(`p99 of the bare rule, each at ${options.share} % of its own maximum, <= OPA's`, p99((of('bare') as Lane).open), p99((of('bare-opa') as Lane).open), 1);
  faster('the bare rule / Cerbos on its own API', 'bare', 'bare-cerbos', 5);
  faster("full decisions over gRPC / OPA's bare rule over HTTP", 'full-grpc', 'bare-opa', 0.75);
  faster("the bare rule over gRPC / OPA's over HTTP", 'bare-grpc', 'bare-opa', 1.1);
  goals.push({
    goal: 'no allow after an end (I1, I2) under full load over HTTP and gRPC',
    measured: `${count(checked.revoked)} grants revoked and ${count(checked.expired)} expired once they had been allowed, at ${perSecond(checked.perSecond)} decisions a second: of ${count(checked.denied)} questions sent after that none was`,
    met: checked.revoked > 0 && checked.expired > 0, limit: 'nothing that was granted was allowed in time: nothing was shown',
  });
  return { tables, goals };
};

/** `generatorModule`: see `startGenerator`. */
export const runPeers = async (options: PeersOptions, say: (text: string) => void, generatorModule?: string): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const stops: (() => Promise<void>)[] = [];
  try {
    const store = await filledStore({ grants: options.grants, revocations: options.grants });
    const generator = startGenerator(generatorModule);
    stops.push(generator.stop);
    const { lanes, startChecker } = await startLanes({ store, folder, workers: options.workers, requests: options.requests, seed: options.seed, generator, started: (stop) => void stops.push(stop) });
    say('all servers answer');
    const same = await measure(generator, lanes, options);
    const checker = await startChecker();
    stops.push(async () => void (await checker.stop()));
    return findings(lanes, same, await underCheck(generator, lanes, checker, options), options);
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
