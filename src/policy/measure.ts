/** Times single evaluations in the engine that decides: everything between the input as an object and the outcome. */
import type { Policy, PolicyOutcome } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';

export interface MeasureOptions {
  readonly policy: Pick<Policy, 'evaluate'>;
  readonly entrypoint: string;
  readonly input: JsonObject;
  readonly now: Instant;
  readonly count: number;
  /** With fractions. */
  readonly monotonicMs: () => number;
}

export interface MeasuredEvaluations {
  /** Microseconds of each, in the order in which they ran. */
  readonly samples: Float64Array;
  readonly outcome: PolicyOutcome;
}

/** Throws when an outcome differs from the first one: then it was not the same that was measured. */
export const measureEvaluations = ({ policy, entrypoint, input, now, count, monotonicMs }: MeasureOptions): MeasuredEvaluations => {
  const samples = new Float64Array(count);
  const first = policy.evaluate(entrypoint, input, now);
  for (let index = 0; index < count; index += 1) {
    const from = monotonicMs();
    const outcome = policy.evaluate(entrypoint, input, now);
    samples[index] = (monotonicMs() - from) * 1_000;
    if (outcome.kind !== first.kind) throw new Error(`an evaluation ${outcome.kind === 'failed' ? `failed (${outcome.detail})` : `gave ${outcome.kind}`} where the first one gave ${first.kind}`);
  }
  return { samples, outcome: first };
};
