/** The builtins that this engine serves, and the ones it never will. A name in neither is not served either. */
import type { Instant } from '../../domain/instant.ts';
import type { RegoValue } from '../engine/rego-value.ts';

export interface BuiltinContext {
  /** The decision's time; the same all through one evaluation. */
  readonly now: Instant;
}

/** `undefined`, or any exception but a RangeError, makes the expression undefined, as an error does in OPA. */
export type Builtin = (args: readonly RegoValue[], context: BuiltinContext) => RegoValue | undefined;

/** Builtins by their name in Rego. */
export type Builtins = Readonly<Record<string, Builtin>>;

const timeBuiltins: Builtins = { 'time.now_ns': (_args, { now }) => BigInt(now) * 1_000_000n };

const served: ReadonlyMap<string, Builtin> = new Map([timeBuiltins].flatMap((family) => Object.entries(family)));

const IMPURE = 'its answer depends on more than the input, so that a decision could not be replayed';
const refused: ReadonlyMap<string, string> = new Map([
  ['http.send', `a decision does not wait for other servers, and ${IMPURE}`],
  ['net.lookup_ip_addr', `a decision does not wait for name servers, and ${IMPURE}`],
  ['opa.runtime', `${IMPURE}; it also shows the environment`],
  ['rand.intn', IMPURE],
  ['uuid.rfc4122', IMPURE],
]);

export const builtinNamed = (name: string): Builtin | undefined => served.get(name);

/** Why a builtin is not served, as part of a sentence. */
export const whyNotServed = (name: string): string => refused.get(name) ?? 'not served by this engine';
