/** Which workloads a rule means: one by its id, or all below a SPIFFE path or an issuer's path in whole segments, as `spiffe://prod.example/ci/**`. */
import { workloadFault } from './grant-terms.ts';

const BELOW = '/**';

/** A pattern's fixed part is spelt as ids are, so that it can't miss by spelling. */
export const workloadPatternFault = (pattern: string): string | undefined => {
  if (!pattern.endsWith(BELOW)) return workloadFault(pattern);
  const fixed = pattern.slice(0, -BELOW.length);
  return workloadFault(`${fixed}/x`) === undefined ? undefined : 'must be a workload, or the beginning of one in whole segments followed by /**';
};

export const workloadMatches = (pattern: string, workload: string): boolean =>
  pattern.endsWith(BELOW) ? workload.startsWith(pattern.slice(0, -2)) && workload.length > pattern.length - 2 : workload === pattern;

export const workloadMatchesAny = (patterns: readonly string[] | undefined, workload: string): boolean => (patterns ?? []).some((pattern) => workloadMatches(pattern, workload));
