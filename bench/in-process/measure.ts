/** Full decisions in one process: latency of each answer, and what a decision costs with its record encoded and written. */
import type { Decision, Evaluation } from '../../src/decision/evaluation.ts';
import { randomOf, uniform, zipf, type Draw } from '../harness/draw.ts';
import { ratios, spreadOf, summarize, type Latency, type Spread } from '../harness/latency.ts';
import { GRANTS_PER_WORKLOAD, isRevoked, type FilledStore } from '../support/filled-store.ts';
import { grantOf, workloadOf } from '../support/fill-store.ts';
import type { BenchIssuer } from '../support/workload-tokens.ts';
import { evaluationOf, type BenchDecider, type BenchIdentity } from './decider.ts';

export type Drawing = 'uniform' | 'zipf';

export interface Scenario {
  readonly name: string;
  readonly store: FilledStore;
  readonly drawing: Drawing;
  readonly decider: BenchDecider;
}

export interface Measured {
  readonly scenario: Scenario;
  /** Microseconds until the answer, over all rounds. */
  readonly latency: Latency;
  /** Median of each round's latencies. */
  readonly p50s: readonly number[];
  /** Microseconds of wall time a decision, with the reading of its request and the writing of its record, for each round. */
  readonly costs: readonly number[];
}

export interface Extent {
  readonly rounds: number;
  readonly decisionsPerRound: number;
  readonly seed: number;
  /** Reads that a worker has behind it after some minutes of work. */
  readonly readsBefore?: number;
}

/** Decisions between two turns of the event loop, as many as a busy worker finds in one read of its sockets. */
const BATCH = 16;

/** What `grantOf` gave its place to, of this workload; cheap for a workload with many. */
const isGrantOf = (store: FilledStore, workload: number, id: string): boolean => {
  const index = Number.parseInt(id.slice(2), 36);
  const each = store.perWorkload ?? GRANTS_PER_WORKLOAD;
  return index % store.workloads === workload && index < store.workloads * each && grantOf({ ...store, realm: 'default' }, '', index).id === id;
};

/** Throws unless the decision is an allow that rests on a grant of this workload and ends with it. */
export const checkAllow = (decision: Decision, store: FilledStore, workload: number): void => {
  if (decision.allow !== true) throw new Error(`wrong answer: ${workloadOf(workload)} was denied with ${decision.reason}`);
  if (decision.grant === undefined || !isGrantOf(store, workload, decision.grant)) throw new Error(`wrong answer: relied on ${decision.grant}`);
  if (!(decision.validUntil <= store.expiresAt)) throw new Error('wrong answer: allowed beyond the end of the grant');
};

/** Throws unless what must be denied is: no covering grant, a revoked workload, a token of somebody else. */
export const checkDenials = async ({ decider, store }: Scenario, issuer: BenchIssuer): Promise<void> => {
  const expect = async (evaluation: Evaluation, ...reasons: readonly string[]): Promise<void> => {
    const decision = await decider.decide(evaluation);
    if (decision.allow || !reasons.includes(decision.reason)) throw new Error(`wrong answer: ${decision.allow ? 'allow' : decision.reason} where ${reasons.join(' or ')} is right`);
  };
  await expect(evaluationOf(issuer.tokenOf(0), '/invoices/1'), 'grant.none');
  await expect(evaluationOf(`${issuer.tokenOf(0).slice(0, -8)}AAAAAAAA`, '/orders/1'), 'credential.signature');
  for (let workload = 0; workload < store.workloads; workload += 1) {
    if (!isRevoked(store, workload)) continue;
    // The token itself is covered too when the store was filled a moment ago.
    await expect(evaluationOf(issuer.tokenOf(workload), '/orders/1'), 'grant.revoked', 'subject.revoked');
    break;
  }
};

const drawOf = ({ drawing, store }: Scenario, seed: number): Draw => {
  const random = randomOf(seed);
  const draw = drawing === 'uniform' ? uniform(store.workloads, random) : zipf(store.workloads, random);
  return () => {
    for (;;) {
      const workload = draw();
      if (!isRevoked(store, workload)) return workload;
    }
  };
};

/** What a gateway makes of a request that has just come in. */
const ask = (workload: number, issuer: BenchIssuer): Evaluation => evaluationOf(issuer.tokenOf(workload), `/orders/${workload % 1_000}/lines`);

interface Round {
  readonly latencies: Float64Array;
  readonly cost: number;
}

const runRound = async ({ decider, store }: Scenario, workloads: Int32Array, issuer: BenchIssuer): Promise<Round> => {
  const latencies = new Float64Array(workloads.length);
  const decisions: Decision[] = [];
  const startedMs = performance.now();
  for (let index = 0; index < workloads.length; index += 1) {
    const evaluation = ask(workloads[index] as number, issuer);
    const fromMs = performance.now();
    // Where a gateway writes its answer.
    const answer = (): void => {
      latencies[index] = (performance.now() - fromMs) * 1_000;
    };
    decisions.push(await decider.decide(evaluation, answer));
    if (index % BATCH === BATCH - 1) await new Promise(setImmediate);
  }
  await decider.flush();
  const cost = ((performance.now() - startedMs) * 1_000) / workloads.length;
  decisions.forEach((decision, index) => checkAllow(decision, store, workloads[index] as number));
  return { latencies, cost };
};

const READS_BEFORE = 200_000;

/**
 * Brings each scenario into the state of a process that has worked for a while: the store's pages are mapped, and of what the
 * drawing repeats, the store's memory holds what it has room for. Otherwise page faults of the first reads would be measured.
 */
const settle = async (scenarios: readonly Scenario[], { seed, readsBefore = READS_BEFORE }: Extent): Promise<void> => {
  const mapped = new Set<string>();
  for (const scenario of scenarios) {
    const { decider, store } = scenario;
    const read = async (count: number, draw: Draw): Promise<void> => {
      for (let index = 0; index < count; index += 1) {
        decider.read(workloadOf(draw()));
        // A read transaction ends with its turn.
        if (index % BATCH === BATCH - 1) await new Promise(setImmediate);
      }
    };
    let next = 0;
    if (!mapped.has(store.path)) await read(store.workloads, () => next++);
    mapped.add(store.path);
    await read(readsBefore, drawOf(scenario, seed + 1));
  }
};

/** Rounds go round the scenarios, so that what the machine does meanwhile falls on all of them. Tokens are remembered before. */
export const measureScenarios = async (scenarios: readonly Scenario[], issuer: BenchIssuer, identity: BenchIdentity, extent: Extent): Promise<readonly Measured[]> => {
  const { rounds, decisionsPerRound } = extent;
  const lanes = scenarios.map((scenario) => {
    const draw = drawOf(scenario, extent.seed);
    return { scenario, workloads: Int32Array.from({ length: (rounds + 1) * decisionsPerRound }, draw), rounds: [] as Round[] };
  });
  for (const workload of new Set(lanes.flatMap(({ workloads }) => [...workloads]))) await identity.remember(issuer.tokenOf(workload));
  for (const { scenario } of lanes) await checkDenials(scenario, issuer);
  await settle(scenarios, extent);
  for (let round = 0; round <= rounds; round += 1) {
    for (let turn = 0; turn < lanes.length; turn += 1) {
      const lane = lanes[(turn + round) % lanes.length] as (typeof lanes)[number];
      const measured = await runRound(lane.scenario, lane.workloads.subarray(round * decisionsPerRound, (round + 1) * decisionsPerRound), issuer);
      // The first round warms up.
      if (round > 0) lane.rounds.push(measured);
    }
  }
  return lanes.map(({ scenario, rounds }) => ({
    scenario,
    latency: summarize(rounds.flatMap(({ latencies }) => [...latencies])),
    p50s: rounds.map(({ latencies }) => summarize(latencies).p50),
    costs: rounds.map(({ cost }) => cost),
  }));
};

export interface Scale {
  readonly p50: Spread;
  readonly cost: Spread;
}

export const scaleOf = (large: Measured, small: Measured): Scale => ({ p50: ratios(large.p50s, small.p50s), cost: ratios(large.costs, small.costs) });

export const costOf = (measured: Measured): Spread => spreadOf(measured.costs);
