/** Exit codes of `curfew`; documented in its help. */
export const EXIT = {
  ok: 0,
  /** Wrong usage, or the server refused the command (4xx). */
  refused: 1,
  /** The server can't be reached, is not ready, or does not know the outcome (5xx), or whether what ended is enforced. */
  unavailable: 2,
  /** `explain` says deny. */
  denied: 3,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
