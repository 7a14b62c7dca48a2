/** The scale bench: full decisions in one process, along four axes, each beside the smallest of its axis in interleaved rounds. Every answer is checked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Options } from '../harness/options.ts';
import { plot, type Line } from '../harness/plot.ts';
import { count, micros, times, type Findings, type Goal, type Table } from '../harness/results.ts';
import { createBenchDecider, createBenchIdentity } from '../in-process/decider.ts';
import { costOf, measureScenarios, scaleOf, type Measured, type Scenario } from '../in-process/measure.ts';
import { spread } from '../http/run.ts';
import { benchBundle } from '../support/bench-bundle.ts';
import { filledStore, type FilledStore, type Wanted } from '../support/filled-store.ts';
import { createBenchIssuer } from '../support/workload-tokens.ts';
import { bundleWithRules } from './many-rules.ts';

export const scaleDefaults = { full: false, rounds: 5, decisions: 1_000, readsBefore: 20_000, seed: 7, write: false } as const;
export type ScaleOptions = Options<typeof scaleDefaults>;

interface Axis {
  readonly name: string;
  readonly sizes: readonly number[];
  readonly wanted: (size: number) => Wanted;
  /** The bundle decides, and the store stays as it is. */
  readonly rules?: boolean;
  /** Decisions a round are fewer where one is dear. */
  readonly share?: number;
}

const SMALL = 1_000;

const axesOf = ({ full }: ScaleOptions): readonly Axis[] => [
  { name: 'revocations', sizes: full ? [SMALL, 100_000, 1_000_000, 10_000_000] : [SMALL, 10_000, 100_000], wanted: (revocations) => ({ grants: SMALL, revocations }) },
  { name: 'grants', sizes: full ? [SMALL, 10_000, 100_000, 1_000_000] : [SMALL, 10_000, 100_000], wanted: (grants) => ({ grants, revocations: SMALL }) },
  // Beyond a thousand no more are looked at.
  { name: 'live grants of one workload, all covering', sizes: full ? [1, 10, 100, 1_000, 10_000, 100_000] : [1, 10, 100], wanted: (perWorkload) => ({ grants: perWorkload * (perWorkload > 1_000 ? 2 : 30), revocations: SMALL, perWorkload }), share: 0.1 },
  { name: 'rules', sizes: full ? [1, 100, 1_000, 5_000] : [1, 100, 1_000], wanted: () => ({ grants: SMALL, revocations: SMALL }), rules: true },
];

const GROWTH_GOAL = 1.2;

export const runScale = async (options: ScaleOptions, say: (text: string) => void): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const issuer = createBenchIssuer();
  const identity = await createBenchIdentity(issuer.jwks, 500_000);
  const plain = await benchBundle();
  const [tables, goals, lines]: [Table[], Goal[], Line[]] = [[], [], []];
  try {
    for (const axis of axesOf(options)) {
      const scenarios: Scenario[] = [];
      let measured: readonly Measured[];
      try {
        for (const size of axis.sizes) {
          const store: FilledStore = await filledStore(axis.wanted(size));
          const bundle = axis.rules === true ? await bundleWithRules(join(folder, `rules-${size}`), size) : plain;
          scenarios.push({ name: count(size), store, drawing: 'zipf', decider: await createBenchDecider({ store, bundle, identity, folder }) });
        }
        const decisionsPerRound = Math.max(16, Math.round(options.decisions * (axis.share ?? 1)));
        measured = await measureScenarios(scenarios, issuer, identity, { rounds: options.rounds, decisionsPerRound, seed: options.seed, readsBefore: options.readsBefore });
      } finally {
        for (const { decider } of scenarios) await decider.close();
      }
      say(`${axis.name}: measured`);
      const [first] = measured as readonly [Measured];
      tables.push({
        title: `How the cost grows with ${axis.name}`,
        columns: [axis.name, 'p50 us', 'p99 us', 'us a decision, record written', 'cost beside the smallest'],
        rows: measured.map((one) => [one.scenario.name, micros(one.latency.p50), micros(one.latency.p99), spread(costOf(one), micros), spread(scaleOf(one, first).cost, times)]),
      });
      lines.push({ name: axis.name, points: measured.map((one, index) => [axis.sizes[index] as number, costOf(one).median] as const) });
      if (axis.name !== 'revocations' && axis.name !== 'grants') continue;
      const largest = axis.sizes.at(-1) as number;
      const growth = scaleOf(measured.at(-1) as Measured, first).cost;
      const logarithmic = Math.log(largest) / Math.log(SMALL);
      goals.push({ goal: `cost at ${count(largest)} / ${count(SMALL)} ${axis.name}, in process, Zipf <= ${GROWTH_GOAL} x`, measured: spread(growth, times), met: growth.median <= GROWTH_GOAL, limit: 'what is not remembered is read from LMDB and parsed: see "Where the time goes" below' });
      goals.push({ goal: `no term faster than log n: the same <= log ${count(largest)} / log ${count(SMALL)} = ${times(logarithmic)}`, measured: times(growth.median), met: growth.median <= logarithmic, limit: 'not known' });
    }
  } finally {
    identity.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const svg = plot('Cost of a decision, us', 'stored, or rules', '', lines.filter(({ name }) => !name.startsWith('live')));
  return { tables, goals, plots: [{ file: 'scale.svg', alt: 'How the cost of a decision grows with revocations, grants and rules', svg }] };
};
