/** Times of single operations, kept one by one, so that every percentile is exact. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly mean: number;
}

/** Nearest rank; `sorted` ascending and not empty. */
const rank = (sorted: Float64Array, share: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] as number;

/** In the unit of `samples`. Throws on none: a bench that measured nothing has failed. */
export const summarize = (samples: Float64Array | readonly number[]): Latency => {
  if (samples.length === 0) throw new Error('no samples');
  const sorted = Float64Array.from(samples).sort();
  let sum = 0;
  for (const sample of sorted) sum += sample;
  return {
    count: sorted.length,
    p50: rank(sorted, 0.5),
    p99: rank(sorted, 0.99),
    p999: rank(sorted, 0.999),
    max: sorted[sorted.length - 1] as number,
    mean: sum / sorted.length,
  };
};

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export const spreadOf = (values: readonly number[]): Spread => {
  const { p50 } = summarize(values);
  return { min: Math.min(...values), median: p50, max: Math.max(...values) };
};

/** Ratios of what was measured in the same round, so that what the machine did meanwhile falls on both. */
export const ratios = (above: readonly number[], below: readonly number[]): Spread => {
  if (above.length !== below.length) throw new Error('rounds of different number');
  return spreadOf(above.map((value, round) => value / (below[round] as number)));
};
