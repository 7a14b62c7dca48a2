/** The policy bench: one evaluation of the default policy in the engine that decides, for inputs of two sizes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../../src/domain/json.ts';
import { loadPolicy, type LoadedPolicy } from '../../src/policy/load-policy.ts';
import { measureEvaluations } from '../../src/policy/measure.ts';
import { spreadOf, summarize } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, micros, type Findings } from '../harness/results.ts';
import { repositoryRoot } from '../harness/run-bench.ts';
import { bytesOf, envoyInput, inputOf, NOW } from './inputs.ts';

export const policyDefaults = { rounds: 9, evaluations: 5_000, write: false } as const;
export type PolicyOptions = Options<typeof policyDefaults>;

const ENTRYPOINT = 'curfew/access/decision';
const KIBIBYTE = 1_024;

interface Lane {
  readonly name: string;
  readonly input: JsonObject;
  readonly goalUs: number;
  readonly rounds: Float64Array[];
}

/** Throws unless the policy says yes and names the grant it was given. */
export const checkYes = (policy: Pick<LoadedPolicy, 'evaluate'>, { name, input }: Pick<Lane, 'name' | 'input'>): void => {
  const outcome = policy.evaluate(ENTRYPOINT, input, NOW);
  const value = outcome.kind === 'value' ? outcome.value : undefined;
  const { grants } = input['curfew'] as { grants: readonly { id: string }[] };
  if (JSON.stringify(value) !== JSON.stringify({ allow: true, grant: grants[0]?.id })) throw new Error(`wrong answer for ${name}: ${JSON.stringify(outcome)}`);
};

export const runPolicy = async ({ rounds, evaluations }: PolicyOptions): Promise<Findings> => {
  const policy = await loadPolicy(readFileSync(join(repositoryRoot(), 'bundles', 'curfew.tar.gz')), { entrypoints: [ENTRYPOINT] });
  const lanes: readonly Lane[] = [
    { name: 'an input of 1 KB', input: inputOf(KIBIBYTE), goalUs: 15, rounds: [] },
    { name: 'an Envoy input with 20 headers', input: envoyInput(), goalUs: 40, rounds: [] },
  ];
  for (const lane of lanes) checkYes(policy, lane);
  for (let round = 0; round <= rounds; round += 1) {
    for (const { input, rounds: measured } of lanes) {
      const { samples } = measureEvaluations({ policy, entrypoint: ENTRYPOINT, input, now: NOW, count: evaluations, monotonicMs: () => performance.now() });
      // The first round warms up.
      if (round > 0) measured.push(samples);
    }
  }
  const found = lanes.map((lane) => ({
    ...lane,
    latency: summarize(lane.rounds.flatMap((samples) => [...samples])),
    p50: spreadOf(lane.rounds.map((samples) => summarize(samples).p50)),
  }));
  return {
    tables: [{
      title: 'One evaluation of the default policy (WASM)',
      columns: ['input', 'bytes as JSON', 'p50 us', 'p99 us', 'p99.9 us', 'p50 of rounds', 'evaluations'],
      rows: found.map(({ name, input, latency, p50 }) => [
        name, count(bytesOf(input)), micros(latency.p50), micros(latency.p99), micros(latency.p999), `${micros(p50.min)} to ${micros(p50.max)}`, count(latency.count),
      ]),
      note: 'From the input as an object to the outcome as an object: checks, the input into the module, the evaluation, its result out again. One live grant under an open task; the answer is yes.',
    }],
    goals: found.map(({ name, goalUs, latency }) => ({ goal: `p50 <= ${goalUs} us, ${name}`, measured: `${micros(latency.p50)} us`, met: latency.p50 <= goalUs, limit: 'writing the input into the module, one value after the other' })),
  };
};
