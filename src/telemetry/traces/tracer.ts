/**
 * Spans of decisions and of commands. A trace names the decision or the ending, by which the decision log and the record tell the rest; it
 * holds no workload, resource, header or policy input. Which decisions are traced never depends on what they say. Never throws.
 */
import { randomBytes } from 'node:crypto';
import type { Evaluation } from '../../decision/evaluation.ts';
import type { Clock, StepWatch } from '../../decision/ports.ts';
import type { DecisionRecord } from '../../decision/record.ts';
import { parseTraceparent } from '../trace-context.ts';
import type { TracesConfig } from './config.ts';
import type { SpanExporter } from './exporter.ts';
import type { Attributes, Span } from './span.ts';

export interface CommandWatch {
  step(name: string): void;
  end(attributes: Attributes, failed: boolean): void;
}

export interface Tracer {
  /** `undefined`: this one is not traced. */
  decision(evaluation: Evaluation): StepWatch | undefined;
  command(name: string, traceparent: string | undefined): CommandWatch;
  readonly stats: SpanExporter['stats'];
  close(): Promise<void>;
}

export interface TracerDeps {
  readonly config: Pick<TracesConfig, 'ratio' | 'fromRequests' | 'perSecondMax'>;
  readonly clock: Clock;
  readonly exporter: SpanExporter;
  readonly random?: () => number;
}

/** Denials that nobody asked for: the fault is ours, or of what we depend on. */
const OURS = /^(?:clock|facts|claim|decision|policy)\.|^credential\.keys_unavailable$/;

const decisionAttributes = ({ id, realm, protocol, pep, policy, result, facts }: DecisionRecord): Attributes => ({
  'curfew.decision_id': id, 'curfew.realm': realm, 'curfew.protocol': protocol, 'curfew.pep': pep ?? undefined, 'curfew.allow': result.allow, 'curfew.reason': result.reason,
  'curfew.grant': result.grant, 'curfew.standing': result.standing, 'curfew.policy_revision': policy.revision, 'curfew.position': facts?.position,
});

export const createTracer = ({ config, clock, exporter, random = Math.random }: TracerDeps): Tracer => {
  let windowMs = 0;
  let inWindow = 0;
  const hasRoom = (): boolean => {
    const nowMs = clock.monotonicMs();
    if (!(nowMs - windowMs < 1_000)) {
      windowMs = nowMs;
      inWindow = 0;
    }
    inWindow += 1;
    return inWindow <= config.perSecondMax;
  };

  /** Steps follow one another; what is before the first belongs to the whole. */
  const watch = (name: string, traceparent: string | undefined, fromMs: number) => {
    const parent = parseTraceparent(traceparent);
    const ids = randomBytes(24).toString('hex');
    const traceId = parent?.traceId ?? ids.slice(0, 32);
    const spanId = ids.slice(32);
    const steps: { readonly name: string; readonly atMs: number }[] = [];
    return {
      step: (step: string): void => void steps.push({ name: step, atMs: clock.monotonicMs() }),
      end: (attributes: Attributes, failed: boolean): void => {
        try {
          const toMs = clock.monotonicMs();
          const apart = clock.now().latest - toMs;
          const spans: Span[] = steps.map((step, index) => ({
            traceId, spanId: randomBytes(8).toString('hex'), parentId: spanId, name: step.name, kind: 'internal', from: apart + step.atMs, to: apart + (steps[index + 1]?.atMs ?? toMs), attributes: {},
          }));
          exporter.take([{ traceId, spanId, parentId: parent?.parentId, name, kind: 'server', from: apart + fromMs, to: apart + toMs, attributes, failed }, ...spans]);
        } catch {
          // A decision or a command does not fail for its trace.
        }
      },
    };
  };

  const wanted = ({ traceparent }: Evaluation): boolean => {
    const parent = config.fromRequests ? parseTraceparent(traceparent) : undefined;
    return (parent === undefined ? random() < config.ratio : parent.sampled) && hasRoom();
  };
  return {
    decision: (evaluation) => {
      if (!wanted(evaluation)) return undefined;
      const { step, end } = watch('decide', config.fromRequests ? evaluation.traceparent : undefined, evaluation.arrivedMs ?? clock.monotonicMs());
      return { step, end: (record) => end(decisionAttributes(record), record.result.reason !== undefined && OURS.test(record.result.reason)) };
    },
    command: (name, traceparent) => watch(name, traceparent, clock.monotonicMs()),
    stats: exporter.stats,
    close: exporter.close,
  };
};
