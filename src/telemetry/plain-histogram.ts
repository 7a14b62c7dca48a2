/**
 * A histogram for what happens on every decision: an observation is an addition, and only a scrape makes labels and objects of
 * it. As JSON it is what a histogram of prom-client is.
 */
import type { MetricsJson } from './metrics.ts';

export interface PlainHistogram {
  observe(value: number): void;
  json(): MetricsJson[number];
}

interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName: string;
}

/** `bounds`: upper, inclusive, ascending. */
export const createPlainHistogram = (name: string, help: string, bounds: readonly number[]): PlainHistogram => {
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;
  return {
    observe: (value) => {
      let bucket = 0;
      while (bucket < bounds.length && !(value <= (bounds[bucket] as number))) bucket += 1;
      counts[bucket] = (counts[bucket] as number) + 1;
      sum += value;
    },
    json: () => {
      const values: Sample[] = [];
      let count = 0;
      for (const [index, within] of counts.entries()) {
        count += within;
        values.push({ value: count, labels: { le: bounds[index] ?? '+Inf' }, metricName: `${name}_bucket` });
      }
      values.push({ value: sum, labels: {}, metricName: `${name}_sum` }, { value: count, labels: {}, metricName: `${name}_count` });
      // prom-client declares less than it gives and takes.
      return { name, help, type: 'histogram', values, aggregator: 'sum' } as unknown as MetricsJson[number];
    },
  };
};
