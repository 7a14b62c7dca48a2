/**
 * The deciding thread's side of the watchdog: notes what is about to be evaluated, and refuses what stopped a worker before.
 * With `reportFd` undefined nothing watches, and only the quarantine works: for tests that show what the watchdog is for.
 */
import { Worker } from 'node:worker_threads';
import type { Quarantine } from '../../decision/ports.ts';
import { fingerprintOf, logFingerprint, workloadPart } from './fingerprint.ts';
import { allocateWatch, EVALUATION, LOOP_TURNS, TEXT_BYTES, viewWatch, type WatchThreadData } from './layout.ts';
import type { QuarantineList } from './quarantine.ts';

export interface Watchdog extends Quarantine {
  /** As `enter`, for the rules of the decision log about a decision of this workload. */
  enterLog(realm: string, workload: string | undefined): boolean;
  replace(list: QuarantineList): void;
  size(): number;
  /** From now on the loop is watched. Call it when the start is over. */
  watch(): void;
  close(): Promise<void>;
}

const TICK_MS_MAX = 20;

export const createWatchdog = (options: { readonly evaluationBudgetMs: number; readonly reportFd: number | undefined }): Watchdog => {
  const memory = allocateWatch();
  const { header, text } = viewWatch(memory);
  const encoder = new TextEncoder();
  const tickMs = Math.max(1, Math.min(TICK_MS_MAX, Math.floor(options.evaluationBudgetMs / 10)));
  let evaluations: ReadonlySet<string> = new Set();
  let workloads: ReadonlySet<string> = new Set();
  let thread: Worker | undefined;
  let timer: NodeJS.Timeout | undefined;

  const begin = (fingerprint: string): true => {
    const { written } = encoder.encodeInto(fingerprint, text);
    Atomics.store(header, TEXT_BYTES, written);
    const before = Atomics.load(header, EVALUATION);
    Atomics.store(header, EVALUATION, before % 2 === 1 ? before + 2 : before + 1);
    return true;
  };
  return {
    enterLog: (realm, workload) => {
      const fingerprint = logFingerprint(realm, workload);
      return !evaluations.has(fingerprint) && begin(fingerprint);
    },
    enter: (evaluation, identity) => {
      const fingerprint = fingerprintOf(evaluation, identity);
      if (evaluations.size > 0) {
        if (evaluations.has(fingerprint) || workloads.has(workloadPart(evaluation.realm, identity?.workload))) return false;
      }
      return begin(fingerprint);
    },
    leave: () => {
      const before = Atomics.load(header, EVALUATION);
      if (before % 2 === 1) Atomics.store(header, EVALUATION, before + 1);
    },
    replace: (list) => {
      evaluations = new Set(list.evaluations);
      workloads = new Set(list.workloads);
    },
    size: () => evaluations.size + workloads.size,
    watch: () => {
      const { reportFd, evaluationBudgetMs } = options;
      if (reportFd === undefined || thread !== undefined) return;
      timer = setInterval(() => Atomics.add(header, LOOP_TURNS, 1), tickMs).unref();
      const workerData: WatchThreadData = { memory, tickMs, evaluationBudgetMs, reportFd };
      thread = new Worker(new URL('./watch-thread.js', import.meta.url), {
        workerData,
        execArgv: [],
        resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
      });
      thread.unref();
      // Without its watchdog a worker does not decide.
      thread.once('error', (error) => {
        throw error;
      });
    },
    close: async () => {
      clearInterval(timer);
      await thread?.terminate();
    },
  };
};
