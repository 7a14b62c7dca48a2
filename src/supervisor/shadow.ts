/**
 * A candidate policy in the shadow of the active one: judges decisions that have left, in a thread of its own, and tells where
 * it would have answered differently. Never part of an answer.
 *
 * Guaranteed: an answer waits for nothing here but for one more reference in a list; the list is bounded; the thread gives way
 * to the deciding one and is ended when an evaluation takes too long or too much memory; over time it gets no more than its
 * share of one processor, and a candidate that is stopped again and again is given up. Not guaranteed: that every decision is
 * judged; those that are not are counted.
 */
import { sameUnderMasks } from '../audit/redact.ts';
import type { Clock } from '../decision/ports.ts';
import type { DecisionRecord } from '../decision/record.ts';
import { askAgain, recordedAnswer, recordedOutcome, rejudge, sameAnswer, type Answer, type AskedAgain, type Envelope } from '../decision/rejudge.ts';
import type { LoadPolicyOptions } from '../policy/load-policy.ts';
import { startTrial, type Trial, type TrialAnswer } from '../policy/trial/trial.ts';
import { errorText, type Log } from '../telemetry/log.ts';
import type { MetricsJson } from '../telemetry/metrics.ts';
import { createShadowMetrics, type ShadowResult } from '../telemetry/shadow-metrics.ts';

export interface ShadowOptions {
  readonly entrypoint: string;
  readonly load: LoadPolicyOptions;
  /** Wall time of one evaluation. */
  readonly budgetMs: number;
  /** Of the decisions, 0 to 1. */
  readonly sample: number;
  /** Of one processor, 0 to 1. */
  readonly processorShare: number;
  readonly envelope: (pep: string | null) => Envelope;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Shadow {
  /** A decision whose answer has left. */
  offer(record: DecisionRecord): void;
  /** The candidate; `undefined`: none from now on. */
  replace(bundle: Uint8Array | undefined): Promise<void>;
  metrics(): Promise<MetricsJson>;
  close(): Promise<void>;
}

const QUEUE_MAX = 256;
/** What waits holds on to its request; the body is the only part of it that may be large. */
const BODY_CHARS_MAX = 65_536;
const BATCH_MAX = 16;
const PAUSE_MS_MIN = 5;
const LOAD_MS_MAX = 30_000;
const HEAP_MEGABYTES_MAX = 64;
/** In a row: then a candidate is given up. */
const STOPPED_MAX = 10;
const LOGGED_A_MINUTE = 10;
const MINUTE_MS = 60_000;

const labelOf = (answer: Answer): string => (answer.allow ? (answer.wouldDeny === undefined ? 'allow' : `allow, would deny ${answer.wouldDeny}`) : (answer.reason ?? ''));

const bodyChars = ({ input }: DecisionRecord): number => {
  const { attributes } = (input ?? {}) as { readonly attributes?: { readonly request?: { readonly http?: { readonly body?: unknown; readonly rawBody?: unknown } } } };
  const { body, rawBody } = attributes?.request?.http ?? {};
  return (typeof body === 'string' ? body.length : 0) + (typeof rawBody === 'string' ? rawBody.length : 0);
};

interface Waiting {
  readonly record: DecisionRecord;
  readonly asked: AskedAgain;
}

export const createShadow = (options: ShadowOptions): Shadow => {
  const { clock, log, entrypoint } = options;
  const metrics = createShadowMetrics();
  let trial: Trial | undefined;
  let queue: DecisionRecord[] = [];
  let running = false;
  let stopped = 0;
  let logged = { sinceMs: 0, count: 0, suppressed: 0 };
  let wake: (() => void) | undefined;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const tell = (record: DecisionRecord, before: Answer, after: Answer, revision: string): void => {
    const now = clock.monotonicMs();
    if (now - logged.sinceMs >= MINUTE_MS) {
      if (logged.suppressed > 0) log.info('more answers of the shadow policy differed than were logged', { revision, count: logged.suppressed });
      logged = { sinceMs: now, count: 0, suppressed: 0 };
    }
    if (logged.count >= LOGGED_A_MINUTE) logged.suppressed += 1;
    else {
      logged.count += 1;
      log.info('the shadow policy would have answered differently', {
        decision: record.id, active: labelOf(before), candidate: labelOf(after), grant: before.grant, candidateGrant: after.grant, revision,
      });
    }
  };

  const compare = ({ record, asked }: Waiting, { outcome, stopped: ended }: TrialAnswer, revision: string): void => {
    if (ended === true) return metrics.skipped.inc({ cause: 'stopped' });
    const after = rejudge(record, asked, outcome, options.envelope(record.pep));
    const said = recordedOutcome(record);
    if (after === undefined || said === undefined) return;
    const before = recordedAnswer(record);
    const agree = said.kind === outcome.kind && (said.kind !== 'value' || (outcome.kind === 'value' && sameUnderMasks(said.value, outcome.value)));
    const result: ShadowResult = !sameAnswer(before, after) ? 'different' : agree ? 'same' : 'other_result';
    const reason = (answer: Answer): string => (answer.allow ? 'allow' : (answer.reason ?? 'none'));
    metrics.compared.inc({ result, active: reason(before), candidate: reason(after) });
    if (result === 'different') tell(record, before, after, revision);
  };

  const drop = (candidate: Trial): Promise<void> => {
    if (trial === candidate) {
      trial = undefined;
      queue = [];
      metrics.bundle.reset();
    }
    return candidate.close();
  };

  /** Judges what waits, a few at a time; resolves when nothing waits. */
  const work = async (candidate: Trial): Promise<void> => {
    let batch = 1;
    while (trial === candidate && queue.length > 0) {
      const taken = queue.slice(0, batch).flatMap((record): readonly Waiting[] => {
        const asked = askAgain(record, candidate.hasEntitlement);
        return asked === undefined ? [] : [{ record, asked }];
      });
      queue = queue.slice(batch);
      const fromMs = clock.monotonicMs();
      const answers = await candidate.ask(taken.map(({ asked: { input, now } }) => ({ entrypoint, input, now })));
      answers.forEach((answer, index) => compare(taken[index] as Waiting, answer, candidate.revision));
      const anyStopped = answers.some((answer) => answer.stopped === true);
      stopped = anyStopped ? stopped + 1 : 0;
      // One at a time while it is doubtful; what was ended has burnt a whole budget.
      batch = anyStopped ? 1 : Math.min(BATCH_MAX, batch * 2);
      if (stopped >= STOPPED_MAX) {
        log.error('the shadow policy is given up until there is another one: its evaluations do not end', { revision: candidate.revision, stopped });
        return drop(candidate);
      }
      await pause(Math.max(PAUSE_MS_MIN, (clock.monotonicMs() - fromMs) * (1 / options.processorShare - 1)));
    }
  };

  const start = (candidate: Trial): void => {
    if (running) return;
    running = true;
    // Not in the tick of an answer.
    setImmediate(() => {
      work(candidate)
        .catch((error: unknown) => {
          // It was replaced meanwhile.
          if (trial !== candidate) return undefined;
          log.error('the shadow policy is given up until there is another one', { revision: candidate.revision, detail: errorText(error) });
          return drop(candidate);
        })
        .finally(() => {
          running = false;
          if (trial !== undefined && queue.length > 0) start(trial);
        });
    });
  };

  const offer = (record: DecisionRecord): void => {
    // Nothing that happens here may reach who decides.
    if (trial === undefined || record.input?.['curfew'] === undefined || record.policy.fault === 'policy.quarantined') return;
    if (options.sample < 1 && !(Math.random() < options.sample)) return;
    if (queue.length >= QUEUE_MAX) return metrics.skipped.inc({ cause: 'busy' });
    if (bodyChars(record) > BODY_CHARS_MAX) return metrics.skipped.inc({ cause: 'large' });
    queue.push(record);
    start(trial);
  };

  const replace = async (bundle: Uint8Array | undefined): Promise<void> => {
    if (trial !== undefined) await drop(trial);
    wake?.();
    if (bundle === undefined) return;
    try {
      const { load, budgetMs } = options;
      const next = await startTrial(bundle, { load, budgetMs, loadTimeoutMs: LOAD_MS_MAX, heapMegabytesMax: HEAP_MEGABYTES_MAX, background: true });
      // Another one may have come meanwhile.
      if (trial !== undefined) await drop(trial);
      trial = next;
      stopped = 0;
      // What was counted belongs to another candidate.
      metrics.compared.reset();
      metrics.skipped.reset();
      metrics.bundle.set({ revision: next.revision, digest: next.digest }, 1);
    } catch (error) {
      log.error('the shadow policy can not be loaded', { detail: errorText(error) });
    }
  };

  let replacing: Promise<void> = Promise.resolve();
  const inTurn = (bundle: Uint8Array | undefined): Promise<void> => (replacing = replacing.then(() => replace(bundle)));
  return { offer, replace: inTurn, metrics: metrics.json, close: () => inTurn(undefined) };
};
