/** How `curfew serve` and `curfew dev` end, for scripts; beside the codes that every command has (`cli/exit-codes.ts`). */
export const EXIT = {
  ok: 0,
  /** The configuration is not valid. */
  configuration: 1,
  /** Something it needs is not there or does not work. */
  failed: 2,
  /** An address to listen on can't be had. */
  portInUse: 4,
  /** Another supervisor uses the same store. */
  instanceRunning: 5,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
