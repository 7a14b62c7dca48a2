import type { Reason } from '../domain/reasons.ts';

/** What a store that can't be read, or one that lost endings and says so, comes down to. */
export const storeDenied = (error: unknown): Denied =>
  error instanceof Denied ? error : new Denied((error as { readonly reason?: unknown } | undefined)?.reason === 'facts.regressed' ? 'facts.regressed' : 'facts.unavailable', error);

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
