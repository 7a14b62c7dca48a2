/** How long allows may be in use: what whoever ends access waits for. */

export interface Longest {
  /** An answer may rest on facts for so long, in milliseconds. */
  readonly factsAgeMs: number;
  /** An enforcement point may reuse it for so long after. */
  readonly pepCacheMs: number;
}

/** `undefined`: of none. */
export const longestOf = (all: readonly Longest[]): Longest | undefined =>
  all.length === 0 ? undefined : { factsAgeMs: Math.max(...all.map(({ factsAgeMs }) => factsAgeMs)), pepCacheMs: Math.max(...all.map(({ pepCacheMs }) => pepCacheMs)) };
