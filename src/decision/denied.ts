import type { Reason } from '../domain/reasons.ts';

/** Reasons that a store may give itself. */
const OWN: readonly unknown[] = ['facts.regressed', 'facts.restored'] satisfies readonly Reason[];

/** What a store that can't be read, or one that lost endings and says so, comes down to. */
export const storeDenied = (error: unknown): Denied => {
  if (error instanceof Denied) return error;
  const reason = (error as { readonly reason?: unknown } | undefined)?.reason;
  return new Denied(OWN.includes(reason) ? (reason as Reason) : 'facts.unavailable', error);
};

/** Thrown by a step to end the pipeline with a denial; never leaves `decide`. */
export class Denied extends Error {
  override readonly name = 'Denied';
  readonly reason: Reason;
  /** For operators. */
  readonly detail: string | undefined;

  constructor(reason: Reason, cause?: unknown) {
    // A denial is an answer like any other. Its stack would tell nobody anything, and takes longer than many a step.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(reason);
    Error.stackTraceLimit = stackTraceLimit;
    this.reason = reason;
    this.detail = cause === undefined ? undefined : (cause instanceof Error ? cause.message : typeof cause === 'string' ? cause : 'not an Error').slice(0, 500);
  }
}
