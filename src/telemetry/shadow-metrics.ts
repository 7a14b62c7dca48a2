/** Metrics of a shadow policy in one process. Labels are reasons, from the closed catalogue. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { MetricsJson } from './metrics.ts';

export type ShadowResult = 'same' | 'different' | 'other_result';

export interface ShadowMetrics {
  readonly compared: Counter<'result' | 'active' | 'candidate'>;
  readonly skipped: Counter<'cause'>;
  readonly bundle: Gauge<'revision' | 'digest'>;
  json(): Promise<MetricsJson>;
}

export const createShadowMetrics = (): ShadowMetrics => {
  const registry = new Registry();
  const registers = [registry];
  return {
    compared: new Counter({
      name: 'curfew_shadow_decisions_total', help: 'Decisions that were also judged under the shadow policy, by both answers.', labelNames: ['result', 'active', 'candidate'] as const, registers,
    }),
    skipped: new Counter({ name: 'curfew_shadow_skipped_total', help: 'Decisions that were not judged under the shadow policy, by cause.', labelNames: ['cause'] as const, registers }),
    bundle: new Gauge({ name: 'curfew_shadow_bundle', help: '1 for the bundle in the shadow.', labelNames: ['revision', 'digest'] as const, aggregator: 'max', registers }),
    json: () => registry.getMetricsAsJSON(),
  };
};
