/** The node's metrics: of every worker, of those that have ended, and of the supervisor itself. */
import { lasting, mergeMetrics, type MetricsJson, type SupervisorMetrics } from '../telemetry/metrics.ts';

export interface NodeMetrics {
  /** Keeps what an ended worker had counted. */
  keep(metrics: MetricsJson | undefined): void;
  /** Of all processes together. */
  json(workers: readonly MetricsJson[]): Promise<MetricsJson>;
  exposition(workers: readonly MetricsJson[]): Promise<{ readonly contentType: string; readonly text: string }>;
}

export const createNodeMetrics = (own: SupervisorMetrics): NodeMetrics => {
  let kept: Promise<MetricsJson> = Promise.resolve([]);
  const joined = async (workers: readonly MetricsJson[]) => mergeMetrics([...workers, await kept, await own.json()]);
  return {
    json: async (workers) => (await joined(workers)).getMetricsAsJSON(),
    keep: (metrics) => {
      if (metrics === undefined) return;
      kept = kept.then((before) => mergeMetrics([before, lasting(metrics)]).getMetricsAsJSON());
    },
    exposition: async (workers) => {
      const registry = await joined(workers);
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
};
