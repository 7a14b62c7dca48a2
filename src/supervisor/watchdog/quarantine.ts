/**
 * Evaluations that stopped a worker, and workloads with several such. The book is kept by the supervisor, which sends its list
 * to every worker; it counts until another bundle is active, because another policy may evaluate the same question in time.
 */
import { workloadPartOf } from './fingerprint.ts';

export interface QuarantineList {
  readonly evaluations: readonly string[];
  readonly workloads: readonly string[];
}

export interface QuarantineBook {
  /** Notes an evaluation that stopped a worker; says what is new. */
  add(fingerprint: string, nowMs: number): 'evaluation' | 'workload';
  clear(): void;
  list(): QuarantineList;
}

export const EVALUATIONS_MAX = 1_000;
export const WORKLOADS_MAX = 1_000;
export const WORKLOAD_STRIKES = 3;
const STRIKES_WITHIN_MS = 60_000;

const keepNewest = (set: Set<string>, value: string, max: number): void => {
  set.delete(value);
  set.add(value);
  for (const oldest of set) {
    if (set.size <= max) break;
    set.delete(oldest);
  }
};

export const createQuarantineBook = (): QuarantineBook => {
  const evaluations = new Set<string>();
  const workloads = new Set<string>();
  let strikes: { readonly workload: string; readonly atMs: number }[] = [];

  return {
    add: (fingerprint, nowMs) => {
      // Known already: it was on its way to another worker when the first one was stopped.
      const again = evaluations.has(fingerprint);
      keepNewest(evaluations, fingerprint, EVALUATIONS_MAX);
      const workload = workloadPartOf(fingerprint);
      if (workload === undefined || again) return 'evaluation';
      strikes = [...strikes.filter(({ atMs }) => nowMs - atMs < STRIKES_WITHIN_MS), { workload, atMs: nowMs }].slice(-EVALUATIONS_MAX);
      // With the book full, its oldest entries fall out; whoever fills it is then kept out as a whole.
      const full = evaluations.size >= EVALUATIONS_MAX;
      if (!full && strikes.filter((strike) => strike.workload === workload).length < WORKLOAD_STRIKES) return 'evaluation';
      keepNewest(workloads, workload, WORKLOADS_MAX);
      return 'workload';
    },
    clear: () => {
      evaluations.clear();
      workloads.clear();
      strikes = [];
    },
    list: () => ({ evaluations: [...evaluations], workloads: [...workloads] }),
  };
};
