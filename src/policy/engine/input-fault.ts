/** What can't be given to a policy without changing it on the way, or would overrun the module's stack or its tables. */
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { bucketsFor, hashOf } from './shapes.ts';

/**
 * `undefined` when every number is finite and nothing is nested deeper than `depthMax`; otherwise a predicate. Runs on every
 * decision: loops without closures or arrays of entries, about a microsecond a kilobyte.
 */
export const valueFault = (value: JsonValue | undefined, depthMax: number): string | undefined => {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'has a number that is not finite';
  if (typeof value !== 'object' || value === null) return undefined;
  if (depthMax <= 0) return 'is nested too deeply';
  if (Array.isArray(value)) {
    const items = value as readonly JsonValue[];
    for (let index = 0; index < items.length; index += 1) {
      const fault = valueFault(items[index], depthMax - 1);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  for (const name in value as JsonObject) {
    const fault = valueFault((value as JsonObject)[name], depthMax - 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
};

const LONE_SURROGATE = /(?<!\\)(?:\\\\)*\\ud[89a-f][0-9a-f]{2}/;

/** `undefined` when the text, as `JSON.stringify` made it, is well-formed Unicode: only lone surrogates are written as `\ud...`. */
export const textFault = (text: string): string | undefined =>
  text.includes('\\ud') && LONE_SURROGATE.test(text) ? 'has a string that is not well-formed Unicode' : undefined;

/** Objects with fewer members cost little, however their names are chosen. */
const CROWD_MEMBERS_MIN = 512;
/** Names that are not chosen to meet hardly ever are more than ten. */
const CROWD_MAX = 64;

const isCrowded = (names: readonly string[]): boolean => {
  const buckets = bucketsFor(names.length);
  const held = new Map<number, number>();
  return names.some((name) => {
    const bucket = hashOf(Buffer.from(name).toString('latin1')) % buckets;
    const count = (held.get(bucket) ?? 0) + 1;
    held.set(bucket, count);
    return count > CROWD_MAX;
  });
};

/**
 * `undefined`, or a predicate for an object whose names are chosen so that a module's table is one long list: 8,000 of them
 * would take it seconds. Recurses: the depth has been looked at before.
 */
export const namesFault = (value: JsonValue | undefined): string | undefined => {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value)) {
    const names = Object.keys(value);
    if (names.length >= CROWD_MEMBERS_MIN && isCrowded(names)) return 'has an object whose names collide';
  }
  for (const inner of Object.values(value as JsonObject)) {
    const fault = namesFault(inner);
    if (fault !== undefined) return fault;
  }
  return undefined;
};
