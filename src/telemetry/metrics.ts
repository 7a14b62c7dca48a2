/**
 * Prometheus metrics of one process. Labels come from closed sets and from the configuration, never from requests, so that no
 * caller can make series. A worker hands its metrics to the supervisor as JSON; `mergeMetrics` joins them.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';
import type { DecisionSink } from '../decision/ports.ts';
import { createPlainHistogram } from './plain-histogram.ts';

export type MetricsJson = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

export interface WorkerMetrics {
  /** Counts every decision record that passes. */
  readonly sink: DecisionSink;
  /** Counts a Kubernetes review that is left to the other authorizers. */
  noOpinion(): void;
  /** Counts a question that was refused without deciding it. */
  shed(protocol: string, cause: string): void;
  /** `scrape`: what counts since the last scrape begins anew; default true. */
  json(scrape?: boolean): Promise<MetricsJson>;
  close(): void;
}

const DURATION_BUCKETS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25];
const NS_PER_S = 1e9;

export interface WorkerGauges {
  /** Of the decision log. */
  readonly sink: () => { readonly dropped: number; readonly failures: number; readonly buffered: number; readonly spilledBytes?: number };
  readonly quarantined: () => number;
  readonly spansDropped?: () => number;
}

export const createWorkerMetrics = (gauges: WorkerGauges): WorkerMetrics => {
  const registry = new Registry();
  const registers = [registry];
  /** Since the last look, by the label values: the library's own look-up of labels costs several microseconds each time. */
  const counted = new Map<string, number>();
  const decisions = new Counter({
    name: 'curfew_decisions_total', help: 'Decisions by result, reason and protocol.', labelNames: ['result', 'reason', 'protocol'], registers,
    collect: () => {
      for (const [key, count] of counted) {
        const [result = '', reason = '', protocol = ''] = key.split(' ');
        decisions.inc({ result, reason, protocol }, count);
      }
      counted.clear();
    },
  });
  const duration = createPlainHistogram('curfew_decision_duration_seconds', 'From arrival of an evaluation to its answer.', DURATION_BUCKETS);
  const factsAge = createPlainHistogram('curfew_facts_age_seconds', 'Age of the facts at the re-check.', DURATION_BUCKETS);
  const standing = new Counter({
    name: 'curfew_standing_uses_total', help: 'Decisions that a standing entry let through.', labelNames: ['entry'], registers,
  });
  const wouldDeny = new Counter({
    name: 'curfew_would_deny_total', help: 'Allows under `observe` that would have been denials.', labelNames: ['reason'], registers,
  });
  const storeErrors = new Counter({ name: 'curfew_store_errors_total', help: 'Decisions denied because the store could not be read or written.', registers });
  const noOpinion = new Counter({ name: 'curfew_kubernetes_no_opinion_total', help: 'Reviews of Kubernetes that were left to the other authorizers.', registers });
  const shed = new Counter({ name: 'curfew_shed_total', help: 'Questions that were refused without deciding them, for want of room or time.', labelNames: ['protocol', 'cause'], registers });
  const loop = monitorEventLoopDelay({ resolution: 10 });
  let scraped = true;
  loop.enable();
  const maximum = { aggregator: 'max' as const, registers };
  const loopGauge = new Gauge({
    name: 'curfew_event_loop_delay_seconds', help: 'Delay of the event loop since the last scrape; the worst worker.', labelNames: ['quantile'], ...maximum,
    collect: () => {
      loopGauge.set({ quantile: '0.5' }, loop.percentile(50) / NS_PER_S);
      loopGauge.set({ quantile: '0.99' }, loop.percentile(99) / NS_PER_S);
      loopGauge.set({ quantile: '1' }, loop.max / NS_PER_S);
      if (scraped) loop.reset();
    },
  });
  const measured = (name: string, help: string, read: () => number, joined: typeof maximum | { readonly registers: Registry[] }): void => {
    const gauge: Gauge = new Gauge({ name, help, ...joined, collect: () => gauge.set(read()) });
  };
  measured('curfew_worker_resident_bytes', 'Resident memory; the largest worker.', () => process.memoryUsage.rss(), maximum);
  measured('curfew_decision_log_dropped', 'Decision records that were dropped since the process started.', () => gauges.sink().dropped, { registers });
  measured('curfew_decision_log_write_failures', 'Failed attempts to write the decision log.', () => gauges.sink().failures, { registers });
  measured('curfew_decision_log_buffered', 'Decision records that wait to be written.', () => gauges.sink().buffered, { registers });
  measured('curfew_decision_log_spill_bytes', 'Bytes of the decision log that wait in spill files of workers.', () => gauges.sink().spilledBytes ?? 0, { registers });
  measured('curfew_spans_dropped', 'Spans of decisions that no receiver had, since the process started.', gauges.spansDropped ?? (() => 0), { registers });
  measured('curfew_quarantined_evaluations', 'Evaluations and workloads in quarantine.', gauges.quarantined, maximum);

  return {
    sink: {
      write: ({ result, protocol, durationUs, factsAgeUs }) => {
        const labels = `${result.allow ? 'allow' : 'deny'} ${result.reason ?? 'none'} ${protocol}`;
        counted.set(labels, (counted.get(labels) ?? 0) + 1);
        duration.observe(durationUs / 1e6);
        if (factsAgeUs !== undefined) factsAge.observe(factsAgeUs / 1e6);
        if (result.standing !== undefined && result.allow) standing.inc({ entry: result.standing });
        if (result.wouldDeny !== undefined) wouldDeny.inc({ reason: result.wouldDeny });
        if (result.reason === 'facts.unavailable' || result.reason === 'claim.unknown') storeErrors.inc();
      },
    },
    noOpinion: () => noOpinion.inc(),
    shed: (protocol, cause) => shed.inc({ protocol, cause }),
    json: async (scrape = true) => {
      // The gauge reads it before anything is waited for.
      scraped = scrape;
      return [...(await registry.getMetricsAsJSON()), duration.json(), factsAge.json()];
    },
    close: () => loop.disable(),
  };
};

/** By the names of the sources that are bundle servers. */
export interface BundleMetrics {
  readonly age: Gauge<'bundle'>;
  readonly lastSuccess: Gauge<'bundle'>;
}

/** The supervisor's own. */
export interface SupervisorMetrics {
  readonly restarts: Counter<'cause'>;
  readonly workers: Gauge;
  readonly reloads: Counter<'what' | 'result'>;
  readonly bundle: Gauge<'revision' | 'digest'>;
  readonly bundles: BundleMetrics;
  readonly bundleRefused: Gauge;
  readonly canaries: { readonly runs: Counter<'canary' | 'pep' | 'result'>; readonly flip: Gauge<'canary' | 'pep'>; readonly lastEnded: Gauge<'canary' | 'pep'> };
  readonly alerts: { readonly pending: Gauge; readonly tries: Counter<'channel' | 'outcome'> };
  json(): Promise<MetricsJson>;
}

export const createSupervisorMetrics = (): SupervisorMetrics => {
  const registry = new Registry();
  const registers = [registry];
  const metrics = {
    restarts: new Counter({ name: 'curfew_worker_restarts_total', help: 'Workers that were replaced, by cause.', labelNames: ['cause'] as const, registers }),
    workers: new Gauge({ name: 'curfew_workers_ready', help: 'Workers that decide.', registers }),
    reloads: new Counter({ name: 'curfew_reloads_total', help: 'Reloads of configuration and bundle.', labelNames: ['what', 'result'] as const, registers }),
    bundles: {
      age: new Gauge({ name: 'curfew_bundle_age_seconds', help: 'Since the bundle server last said that the active bundle is the one it has.', labelNames: ['bundle'] as const, registers }),
      lastSuccess: new Gauge({ name: 'curfew_bundle_last_success_timestamp_seconds', help: 'When the bundle server last said so, in seconds since 1970.', labelNames: ['bundle'] as const, registers }),
    },
    bundle: new Gauge({ name: 'curfew_bundle_active', help: '1 for the active bundle.', labelNames: ['revision', 'digest'] as const, registers }),
    bundleRefused: new Gauge({ name: 'curfew_bundle_refused', help: '1 while the newest bundle is refused and an older one decides.', registers }),
    canaries: {
      runs: new Counter({ name: 'curfew_canary_runs_total', help: 'Runs of canary grants through gateways, by what came of them.', labelNames: ['canary', 'pep', 'result'] as const, registers }),
      flip: new Gauge({ name: 'curfew_canary_flip_seconds', help: 'From the end of the last canary grant to the first refusal that was seen.', labelNames: ['canary', 'pep'] as const, registers }),
      lastEnded: new Gauge({ name: 'curfew_canary_last_ended_timestamp_seconds', help: 'When access through this gateway last ended with its canary grant, in seconds since 1970.', labelNames: ['canary', 'pep'] as const, registers }),
    },
    alerts: {
      pending: new Gauge({ name: 'curfew_alerts_pending', help: 'Alerts that some channel has not had yet.', registers }),
      tries: new Counter({ name: 'curfew_alert_tries_total', help: 'Tries to deliver an alert, by channel and what came of it.', labelNames: ['channel', 'outcome'] as const, registers }),
    },
  };
  for (const cause of ['watchdog', 'crash'] as const) metrics.restarts.inc({ cause }, 0);
  return { ...metrics, json: () => registry.getMetricsAsJSON() };
};

/** Joins the metrics of several processes; counters and histograms add up. */
export const mergeMetrics = (parts: readonly MetricsJson[]): Registry => AggregatorRegistry.aggregate([...parts]);

/** Only what keeps its meaning after its process has ended: counters and histograms. */
export const lasting = (metrics: MetricsJson): MetricsJson =>
  metrics.filter(({ type }) => (type as unknown) === 'counter' || (type as unknown) === 'histogram');
