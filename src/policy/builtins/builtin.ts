/** What a builtin is. */
import type { Instant } from '../../domain/instant.ts';
import type { RegoValue } from '../rego/value.ts';

/** The same object all through one evaluation, and another one for the next. */
export interface BuiltinContext {
  /** The decision's time; the same all through one evaluation. */
  readonly now: Instant;
}

/** `undefined`, or an exception other than NotServed and RangeError, makes the expression undefined, as an error does in OPA. */
export type Builtin = (args: readonly RegoValue[], context: BuiltinContext) => RegoValue | undefined;

/** Builtins by their name in Rego. */
export type Builtins = Readonly<Record<string, Builtin>>;
