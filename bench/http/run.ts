/**
 * The HTTP bench: one worker of the real `curfew serve`, and as many as it has by default, on a small and on a large store, and OPA servers that do the same work in
 * Rego, side by side: one that remembers verified tokens, as Curfew does, one as it comes, which remembers none, and one that also
 * writes its decision log to a file, as Curfew does. Every round asks each of them; every answer is checked.
 */
import { constants, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ratios, spreadOf, summarize, type Latency, type Spread } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, micros, millis, perSecond, times, type Findings, type Goal, type Table } from '../harness/results.ts';
import { filledStore, type FilledStore, type Wanted } from '../support/filled-store.ts';
import { createBenchIssuer, type BenchIssuer } from '../support/workload-tokens.ts';
import { startCurfew } from './curfew-server.ts';
import { startGenerator, type Generator } from './generator.ts';
import type { Ran } from './load-generator.ts';
import { startOpa } from './opa-server.ts';
import { processorMs } from './processes.ts';
import { drawRequests, wireOf, type Kind } from './requests.ts';

export const httpDefaults = {
  // `largeRevocations` 0: as many as grants. `workers`: what `curfew serve` starts by default.
  small: 1_000, large: 1_000_000, largeRevocations: 0, workers: availableParallelism(), rounds: 7, seconds: 2, openRounds: 5, openSeconds: 3, connections: 32, requests: 20_000, seed: 7, opaShare: 70, opa: true, write: false,
};
export type HttpOptions = Options<typeof httpDefaults>;

const GROWTH_GOAL = 1.2;
const OPA_GOAL = 5;

const WHERE_TIME_GOES = 'No part of a decision is large enough: see "Where the time goes" below';

/** `one`: a single worker; `all`: as many as by default. */
type LaneId = `${'one' | 'all'}-${'small' | 'large'}` | 'opa' | 'opa-plain' | 'opa-log';

interface Lane {
  readonly id: LaneId;
  readonly name: string;
  readonly job: number;
  readonly closed: Ran[];
  readonly open: Ran[];
  /** Processor time of the server in each round, microseconds an answer. */
  readonly cost: number[];
  readonly pids: readonly number[];
  readonly between: () => void;
}

export const spread = ({ min, median, max }: Spread, text: (value: number) => string): string => `${text(median)} (${text(min)} to ${text(max)})`;
export const rates = ({ closed }: Pick<Lane, 'closed'>): readonly number[] => closed.map(({ answered, durationMs }) => (answered / durationMs) * 1_000);
export const latencyOf = (runs: readonly Ran[]): Latency => {
  const all = new Float64Array(runs.reduce((sum, { latencies }) => sum + latencies.length, 0));
  let at = 0;
  for (const { latencies } of runs) {
    all.set(latencies, at);
    at += latencies.length;
  }
  return summarize(all);
};
const row = (lane: Lane, runs: readonly Ran[], ...first: readonly string[]): string[] => {
  const { p50, p99, p999 } = latencyOf(runs);
  const unavailable = runs.reduce((sum, ran) => sum + ran.unavailable, 0);
  return [lane.name, ...first, ...[p50, p99, p999].map((micro) => millis(micro / 1_000)), count(unavailable)];
};

const processorTimeOf = ({ pids }: Lane): number => pids.reduce((sum, pid) => sum + processorMs(pid), 0);

const measure = async (generator: Generator, lanes: readonly Lane[], options: HttpOptions): Promise<number | undefined> => {
  const inTurns = async (round: number, run: (lane: Lane) => Promise<void>, of: readonly Lane[]): Promise<void> => {
    for (let turn = 0; turn < of.length; turn += 1) {
      const lane = of[(turn + round) % of.length] as Lane;
      await run(lane);
      lane.between();
    }
  };
  const { connections } = options;
  // Every request once: credentials are remembered where somebody remembers them, and code is compiled.
  await inTurns(0, async (lane) => void (await generator.run({ job: lane.job, connections, durationMs: 0, atLeast: options.requests, from: 0 })), lanes);
  for (let round = 0; round < options.rounds; round += 1) {
    await inTurns(round, async (lane) => {
      const before = processorTimeOf(lane);
      const ran = await generator.run({ job: lane.job, connections, durationMs: options.seconds * 1_000, from: round * 4_001 });
      lane.cost.push(((processorTimeOf(lane) - before) * 1_000) / ran.latencies.length);
      lane.closed.push(ran);
    }, lanes);
  }
  const opa = lanes.find(({ id }) => id === 'opa');
  if (opa === undefined) return undefined;
  const rate = Math.round((spreadOf(rates(opa)).median * options.opaShare) / 100);
  for (let round = 0; round < options.openRounds; round += 1) {
    await inTurns(round, async (lane) => {
      lane.open.push(await generator.run({ job: lane.job, connections, durationMs: options.openSeconds * 1_000, rate, from: round * 4_001 }));
    }, lanes.filter(({ id }) => !id.startsWith('opa-')));
  }
  return rate;
};

/** What of an OPA server's does the same, and how it is called. */
const PEERS = [['opa', 'remembering tokens as Curfew does'], ['opa-plain', 'as it comes'], ['opa-log', 'remembering tokens and writing its decision log as Curfew does']] as const;

const findings = (lanes: readonly Lane[], rate: number | undefined, options: HttpOptions): Findings => {
  const of = (id: LaneId): Lane | undefined => lanes.find((lane) => lane.id === id);
  const ours = (['one', 'all'] as const).flatMap((how) => {
    const [small, large] = [of(`${how}-small`), of(`${how}-large`)];
    return small === undefined || large === undefined ? [] : [{ small, large, workers: how === 'one' ? 'one worker' : `${options.workers} workers` }];
  });
  const tables: Table[] = [
    {
      title: `Closed loop, ${options.connections} connections`,
      columns: ['server', 'decisions a second, median of rounds (spread)', 'processor time a decision, us', 'p50 ms', 'p99 ms', 'p99.9 ms', 'unavailable'],
      rows: lanes.map((lane) => row(lane, lane.closed, spread(spreadOf(rates(lane)), perSecond), spread(spreadOf(lane.cost), micros))),
      note: `Latency in a closed loop says how long a full server keeps a client waiting; compare it in the open loop. Processor time: of the workers or the OPA server with all its threads. The load generator, one process, is on the same processors. \`curfew serve\` starts ${options.workers} workers here unless told otherwise. OPA writes its decision log only where that is said; it masks nothing in it. \`unavailable\`: denied because the decision came too late.`,
    },
  ];
  const goals: Goal[] = ours.map(({ small, large, workers }) => {
    const [growth, cost] = [ratios(rates(small), rates(large)), ratios(large.cost, small.cost)];
    return {
      goal: `cost at ${sizeOf(options, 'large')} / ${sizeOf(options, 'small')}, Zipf, ${workers} <= ${GROWTH_GOAL} x`, measured: `${spread(growth, times)}; processor time ${spread(cost, times)}`, met: growth.median <= GROWTH_GOAL,
      limit: 'grants that a worker does not remember are read from LMDB and parsed, tokens are seen for the first time, and all parts touch more memory: see "Where the time goes" below',
    };
  });
  const opa = of('opa');
  if (opa !== undefined && rate !== undefined) {
    tables.push({
      title: `Open loop, ${perSecond(rate)} requests a second (${options.opaShare} % of what OPA reached that remembers tokens)`,
      columns: ['server', 'answered', 'p50 ms', 'p99 ms', 'p99.9 ms', 'unavailable'],
      rows: lanes.filter(({ open }) => open.length > 0).map((lane) => row(lane, lane.open, count(lane.open.reduce((sum, { latencies }) => sum + latencies.length, 0)))),
      note: 'Latency counts from when a request was due. Requests are due on whole milliseconds.',
    });
    for (const { small, workers } of ours) {
      for (const [id, how] of PEERS) {
        const lane = of(id);
        if (lane === undefined) continue;
        const faster = ratios(rates(small), rates(lane));
        const cheaper = ratios(lane.cost, small.cost);
        goals.push({
          goal: `${workers}: throughput >= ${OPA_GOAL} x OPA doing the same work on the same facts, ${how}`, measured: `${spread(faster, times)}; per processor time ${spread(cheaper, times)}`, met: faster.median >= OPA_GOAL,
          limit: id !== 'opa' ? 'the same' : small.id === 'one-small' ? `one worker decides on one core, OPA on all. ${WHERE_TIME_GOES}` : `the load generator takes its share of the same cores. ${WHERE_TIME_GOES}`,
        });
      }
      const [p99, theirs] = [latencyOf(small.open).p99, latencyOf(opa.open).p99];
      goals.push({ goal: `${workers}: p99 lower than OPA at the same request rate`, measured: `${millis(p99 / 1_000)} ms to ${millis(theirs / 1_000)} ms`, met: p99 < theirs });
    }
  }
  return { tables, goals };
};

const wantedOf = ({ small, large, largeRevocations }: HttpOptions): Readonly<Record<'small' | 'large', Wanted>> => ({
  small: { grants: small, revocations: small }, large: { grants: large, revocations: largeRevocations === 0 ? large : largeRevocations },
});

const sizeOf = (options: HttpOptions, size: 'small' | 'large'): string => {
  const { grants, revocations } = wantedOf(options)[size];
  return grants === revocations ? `${count(grants)} grants and revocations` : `${count(grants)} grants and ${count(revocations)} revocations`;
};

const jobOf = async (generator: Generator, kind: Kind, port: number, store: FilledStore, issuer: BenchIssuer, options: HttpOptions): Promise<number> =>
  generator.addJob({ kind, port, ...wireOf(kind, drawRequests(store, options.requests, options.seed), issuer) });

/** `generatorModule`: see `startGenerator`. */
export const runHttp = async (options: HttpOptions, say: (text: string) => void, generatorModule?: string): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const stops: (() => Promise<void>)[] = [];
  try {
    const issuer = createBenchIssuer();
    const wanted = wantedOf(options);
    const stores = { small: await filledStore(wanted.small), large: await filledStore(wanted.large) };
    const many = options.workers > 1;
    // A store has one supervisor; the second one gets a copy, made while nobody writes.
    const copied = (size: 'small' | 'large'): FilledStore => {
      const path = join(folder, `store-${size}`);
      if (many) cpSync(stores[size].path, path, { recursive: true, mode: constants.COPYFILE_FICLONE });
      return { ...stores[size], path };
    };
    const placed = { one: stores, all: { small: copied('small'), large: copied('large') } };
    const generator = startGenerator(generatorModule);
    stops.push(generator.stop);
    const lanes: Lane[] = [];
    for (const [how, workers] of [['one', 1], ['all', options.workers]] as const) {
      for (const size of how === 'all' && !many ? [] : (['small', 'large'] as const)) {
        const server = await startCurfew({ store: placed[how][size], jwks: issuer.jwks, folder, name: `${how}-${size}`, config: { workers } });
        stops.push(server.stop);
        const job = await jobOf(generator, 'curfew', server.port, stores[size], issuer, options);
        lanes.push({ id: `${how}-${size}`, name: `Curfew, ${workers === 1 ? 'one worker' : `${workers} workers`}, ${sizeOf(options, size)}`, job, closed: [], open: [], cost: [], pids: server.workerPids, between: server.emptyLog });
      }
    }
    const variants = [['opa', 'tokens remembered', options.requests, false], ['opa-plain', 'as it comes', 0, false], ['opa-log', 'tokens remembered, decision log in a file', options.requests, true]] as const;
    for (const [id, name, rememberedTokens, decisionLog] of options.opa ? variants : []) {
      const server = await startOpa({ store: stores.small, jwks: issuer.jwks, rememberedTokens, decisionLog, folder, name });
      stops.push(server.stop);
      const job = await jobOf(generator, 'opa', server.port, stores.small, issuer, options);
      lanes.push({ id, name: `OPA ${server.version}, ${name}, ${count(options.small)} grants and revocations`, job, closed: [], open: [], cost: [], pids: [server.pid], between: server.emptyLog });
    }
    say('all servers answer');
    const rate = await measure(generator, lanes, options);
    return findings(lanes, rate, options);
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
