/** What this engine leaves out of a builtin that it serves. */

/**
 * OPA has a value here and this engine hasn't. It ends the evaluation as failed: undefined would be another answer than OPA's,
 * and `not` would make it true.
 */
export class NotServed extends Error {}

export const notServed = (what: string): never => {
  throw new NotServed(`not served: ${what}`);
};
