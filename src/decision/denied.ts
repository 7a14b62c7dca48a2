import type { Reason } from '../domain/reasons.ts';

/** Thrown by a step to end the pipeline with a denial; never leaves `decide`. */
export class Denied extends Error {
  override readonly name = 'Denied';
  readonly reason: Reason;
  /** For operators. */
  readonly detail: string | undefined;

  constructor(reason: Reason, cause?: unknown) {
    super(reason);
    this.reason = reason;
    this.detail = cause === undefined ? undefined : (cause instanceof Error ? cause.message : typeof cause === 'string' ? cause : 'not an Error').slice(0, 500);
  }
}
