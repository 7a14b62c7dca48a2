/** What can't be given to a policy without changing it on the way, or would overrun the module's stack. */
import type { JsonObject, JsonValue } from '../../domain/json.ts';

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
