/** The in-process bench: full decisions on a million grants, with and without a million revocations, against a thousand. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { profiled } from '../harness/profile.ts';
import { count, micros, perSecond, times, type Findings, type Goal, type Table } from '../harness/results.ts';
import type { Options } from '../harness/options.ts';
import { benchBundle } from '../support/bench-bundle.ts';
import { filledStore } from '../support/filled-store.ts';
import { createBenchIssuer, type BenchIssuer } from '../support/workload-tokens.ts';
import { createBenchDecider, createBenchIdentity, type BenchIdentity } from './decider.ts';
import { costOf, measureScenarios, scaleOf, type Drawing, type Measured, type Scenario } from './measure.ts';

export const inProcessDefaults = { small: 1_000, large: 1_000_000, rounds: 9, decisions: 2_000, seed: 7, profile: false, write: false } as const;
export type InProcessOptions = Options<typeof inProcessDefaults>;

const P50_GOAL_US = 60;
const UNIFORM_GOAL = 1.6;
const COLD_LIMIT = 'facts that are not remembered: some five descents in LMDB (a list with its grants, endings of these grants and this workload that are not there), its checksum and JSON, its grants taken apart and judged for the first time, and the caches of the processor, which hold a thousand workloads and not a million';
const WARM_LIMIT = `with 12 MiB of memory half of the draws find their facts; then a fifth is the policy, of which most is writing its input. Else ${COLD_LIMIT}`;
/** More than are ever asked about here: what is measured is a remembered credential. */
const REMEMBERED_TOKENS_MAX = 200_000;

const find = (measured: readonly Measured[], name: string): Measured => {
  const found = measured.find(({ scenario }) => scenario.name === name);
  if (found === undefined) throw new Error(`no scenario ${name}`);
  return found;
};

const spread = ({ min, median, max }: { min: number; median: number; max: number }, text: (value: number) => string): string =>
  `${text(median)} (${text(min)} to ${text(max)})`;

const latencyTable = (measured: readonly Measured[]): Table => ({
  title: 'Full decisions in one process',
  columns: ['workloads drawn, stored', 'p50 us', 'p99 us', 'p99.9 us', 'us a request, record written', 'decisions a second'],
  rows: measured.map((one) => [
    one.scenario.name, micros(one.latency.p50), micros(one.latency.p99), micros(one.latency.p999), spread(costOf(one), micros), perSecond(1e6 / costOf(one).median),
  ]),
  note: 'Percentiles: from the request as its gateway has read it until the answer was handed over. A decision: remembered ES256 credential, three covering grants, endings and tasks looked up in LMDB on disk, the default Rego pack in WASM, guard, re-check, record. The cost has the reading of the headers, the encoding of the record and its write to the decision log in it. Each process has worked before: pages are mapped, and what the drawing repeats is remembered, as far as there is room.',
});

const scaleTable = (measured: readonly Measured[], names: Names): Table => ({
  title: 'How the cost grows',
  columns: ['compared', 'p50, median of rounds (spread)', 'cost, median of rounds (spread)'],
  rows: (['zipf', 'uniform'] as const).flatMap((drawing) => {
    const small = find(measured, names(drawing, 'small'));
    return (['bare', 'large'] as const).map((size) => {
      const scale = scaleOf(find(measured, names(drawing, size)), small);
      return [`${names(drawing, size)} / ${names(drawing, 'small')}`, spread(scale.p50, times), spread(scale.cost, times)];
    });
  }),
});

type Size = 'small' | 'bare' | 'large';
type Names = (drawing: Drawing, size: Size) => string;

export const runInProcess = async (options: InProcessOptions, say: (text: string) => void): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const bundle = await benchBundle();
  const issuer = createBenchIssuer();
  const names: Names = (drawing, size) =>
    `${drawing}, ${count(size === 'small' ? options.small : options.large)} grants, ${size === 'bare' ? 'no' : count(size === 'small' ? options.small : options.large)} revocations`;
  const stores = {
    small: await filledStore({ grants: options.small, revocations: options.small }),
    bare: await filledStore({ grants: options.large, revocations: 0 }),
    large: await filledStore({ grants: options.large, revocations: options.large }),
  };
  const identity = await createBenchIdentity(issuer.jwks, REMEMBERED_TOKENS_MAX);
  const scenarios: Scenario[] = [];
  try {
    for (const size of ['small', 'bare', 'large'] as const) {
      for (const drawing of ['zipf', 'uniform'] as const) {
        // Each has a process' memories of its own: what one draws must not be remembered by the other. LMDB is opened once a path.
        const decider = await createBenchDecider({ store: stores[size], bundle, identity, folder });
        scenarios.push({ name: names(drawing, size), store: stores[size], drawing, decider });
      }
    }
    let measured: readonly Measured[] = [];
    const measure = async (): Promise<void> => {
      measured = await measureScenarios(scenarios, issuer, identity, { rounds: options.rounds, decisionsPerRound: options.decisions, seed: options.seed });
    };
    const tables: Table[] = [];
    await measure();
    if (options.profile) tables.push(...(await profileTables(scenarios, issuer, identity, options)));
    const zipf = find(measured, names('zipf', 'large'));
    const uniform = find(measured, names('uniform', 'large'));
    const scale = scaleOf(uniform, find(measured, names('uniform', 'small')));
    const goals: Goal[] = [
      { goal: `p50 <= ${P50_GOAL_US} us, ${count(options.large)} grants, Zipf`, measured: `${micros(zipf.latency.p50)} us`, met: zipf.latency.p50 <= P50_GOAL_US, limit: WARM_LIMIT },
      { goal: `p50 <= ${P50_GOAL_US} us, ${count(options.large)} grants, uniform`, measured: `${micros(uniform.latency.p50)} us`, met: uniform.latency.p50 <= P50_GOAL_US, limit: COLD_LIMIT },
      { goal: `cost, ${count(options.large)} / ${count(options.small)} grants and revocations, uniform <= ${UNIFORM_GOAL} x`, measured: spread(scale.cost, times), met: scale.cost.median <= UNIFORM_GOAL, limit: COLD_LIMIT },
    ];
    return { tables: [latencyTable(measured), scaleTable(measured, names), ...tables], goals };
  } finally {
    for (const { decider } of scenarios) await decider.close().catch((error: unknown) => say(String(error)));
    identity.close();
    rmSync(folder, { recursive: true, force: true });
  }
};

const FUNCTIONS_SHOWN = 30;

const profileTables = async (scenarios: readonly Scenario[], issuer: BenchIssuer, identity: BenchIdentity, options: InProcessOptions): Promise<readonly Table[]> => {
  const tables: Table[] = [];
  for (const scenario of [scenarios[4], scenarios[5]] as const) {
    if (scenario === undefined) continue;
    const { folders, functions } = await profiled(async () => {
      await measureScenarios([scenario], issuer, identity, { rounds: options.rounds, decisionsPerRound: options.decisions, seed: options.seed + 100 });
    });
    const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
    tables.push(
      { title: `Where time goes: ${scenario.name}`, columns: ['place', 'share'], rows: folders.slice(0, 16).map(({ name, share }) => [name, percent(share)]) },
      { title: `Functions: ${scenario.name}`, columns: ['function', 'share'], rows: functions.slice(0, FUNCTIONS_SHOWN).map(({ name, share }) => [name, percent(share)]) },
    );
  }
  return tables;
};
