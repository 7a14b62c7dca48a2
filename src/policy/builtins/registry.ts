/** The builtins that this engine serves, and the ones it never will. A name in neither is not served either. */
import type { Builtin, Builtins } from './builtin.ts';
import { collectionBuiltins } from './collections.ts';
import { cryptoBuiltins } from './crypto.ts';
import { encodingBuiltins } from './encoding.ts';
import { netBuiltins } from './net.ts';
import { regexBuiltins } from './regex.ts';
import { semverBuiltins } from './semver.ts';
import { stringBuiltins } from './strings.ts';
import { timeBuiltins } from './time/time.ts';
import { tokenBuiltins } from './tokens.ts';
import { unitBuiltins } from './units.ts';
import { uuidBuiltins } from './uuid.ts';

const families: readonly Builtins[] = [
  collectionBuiltins,
  cryptoBuiltins,
  encodingBuiltins,
  netBuiltins,
  regexBuiltins,
  semverBuiltins,
  stringBuiltins,
  timeBuiltins,
  tokenBuiltins,
  unitBuiltins,
  uuidBuiltins,
];

const served: ReadonlyMap<string, Builtin> = new Map(families.flatMap((family) => Object.entries(family)));

const IMPURE = 'its answer depends on more than the input, so that a decision could not be replayed';
const refused: ReadonlyMap<string, string> = new Map([
  ['http.send', `a decision does not wait for other servers, and ${IMPURE}`],
  ['net.lookup_ip_addr', `a decision does not wait for name servers, and ${IMPURE}`],
  ['opa.runtime', `${IMPURE}; it also shows the environment`],
  ['rand.intn', IMPURE],
  ['uuid.rfc4122', IMPURE],
]);

/** Names of all builtins that are served, besides those that the compiler builds into the module. */
export const servedBuiltins = (): readonly string[] => [...served.keys()];

export const builtinNamed = (name: string): Builtin | undefined => served.get(name);

/** Never served, however it could be. */
export const isRefused = (name: string): boolean => refused.has(name);

/** Why a builtin is not served, as part of a sentence. */
export const whyNotServed = (name: string): string => refused.get(name) ?? 'not served by this engine';
