/** How many decisions there were, in all and lately, and how the workers are, from the metrics of the node. */
import type { MetricsJson } from '../telemetry/metrics.ts';

export interface NodeCounts {
  readonly allow: number;
  readonly deny: number;
  /** Of the denials. */
  readonly reasons: ReadonlyMap<string, number>;
  /** Records that did not fit into the decision log. */
  readonly unrecorded: number;
  readonly quarantined: number;
  readonly workersReady: number;
  readonly restarts: { readonly watchdog: number; readonly crash: number };
}

interface Value {
  readonly labels?: Readonly<Record<string, string | number | undefined>>;
  readonly value: number;
}

const valuesOf = (metrics: MetricsJson, name: string): readonly Value[] =>
  ((metrics.find((metric) => metric.name === name) as { readonly values?: readonly Value[] } | undefined)?.values ?? []);
const sum = (values: readonly Value[]): number => values.reduce((total, { value }) => total + value, 0);

/** `metrics`: of all processes of the node together. */
export const countsOf = (metrics: MetricsJson): NodeCounts => {
  const decisions = valuesOf(metrics, 'curfew_decisions_total');
  const reasons = new Map<string, number>();
  for (const { labels, value } of decisions) {
    if (labels?.['result'] === 'allow') continue;
    const reason = String(labels?.['reason']);
    reasons.set(reason, (reasons.get(reason) ?? 0) + value);
  }
  const deny = [...reasons.values()].reduce((total, count) => total + count, 0);
  const restarts = valuesOf(metrics, 'curfew_worker_restarts_total');
  const restartsBy = (cause: string): number => sum(restarts.filter(({ labels }) => labels?.['cause'] === cause));
  return {
    deny, reasons,
    workersReady: sum(valuesOf(metrics, 'curfew_workers_ready')),
    restarts: { watchdog: restartsBy('watchdog'), crash: restartsBy('crash') },
    allow: sum(decisions) - deny,
    unrecorded: sum(valuesOf(metrics, 'curfew_decision_log_dropped')),
    quarantined: sum(valuesOf(metrics, 'curfew_quarantined_evaluations')),
  };
};

export interface Lately {
  readonly ms: number;
  readonly allow: number;
  readonly deny: number;
  readonly reasons: readonly { readonly reason: string; readonly count: number }[];
}

export interface DecisionRates {
  /** Notes the counts of now. */
  sample(counts: NodeCounts): void;
  /** Between the oldest sample kept and these counts; absent without a sample. */
  lately(counts: NodeCounts): Lately | undefined;
}

export const SAMPLE_EVERY_MS = 10_000;
const SAMPLES_KEPT = 6;
const REASONS_SHOWN = 5;

export const createDecisionRates = (monotonicMs: () => number): DecisionRates => {
  let samples: readonly { readonly atMs: number; readonly counts: NodeCounts }[] = [];
  return {
    sample: (counts) => {
      samples = [...samples, { atMs: monotonicMs(), counts }].slice(-SAMPLES_KEPT);
    },
    lately: (counts) => {
      const [oldest] = samples;
      if (oldest === undefined) return undefined;
      const reasons = [...counts.reasons]
        .map(([reason, count]) => ({ reason, count: count - (oldest.counts.reasons.get(reason) ?? 0) }))
        .filter(({ count }) => count > 0).toSorted((a, b) => b.count - a.count).slice(0, REASONS_SHOWN);
      // A worker that was killed takes what it had not told along, so a difference may be less than nothing.
      const since = (now: number, before: number): number => Math.max(0, now - before);
      return { ms: Math.round(monotonicMs() - oldest.atMs), allow: since(counts.allow, oldest.counts.allow), deny: since(counts.deny, oldest.counts.deny), reasons };
    },
  };
};
