/**
 * OPA's documents by path. A path that is an entrypoint is evaluated; one below an entrypoint is a part of its value; else the bundle's
 * data may have it. What neither has is undefined: also packages of a bundle that was compiled without entrypoints for them.
 */
import type { Policy, PolicyOutcome } from '../decision/ports.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { Engine } from './engine/engine.ts';

const UNDEFINED: PolicyOutcome = { kind: 'undefined' };
const INDEX = /^(?:0|[1-9][0-9]{0,8})$/;

const partOf = (document: JsonValue, steps: readonly string[]): PolicyOutcome => {
  let value: JsonValue | undefined = document;
  for (const step of steps) {
    if (Array.isArray(value)) value = INDEX.test(step) ? (value as readonly JsonValue[])[Number(step)] : undefined;
    else value = isJsonObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
    if (value === undefined) return UNDEFINED;
  }
  return value === undefined ? UNDEFINED : { kind: 'value', value };
};

export const createDocuments = (engine: Pick<Engine, 'entrypoints' | 'evaluate'>, data: JsonObject): NonNullable<Policy['document']> => {
  const known = new Set(engine.entrypoints);
  return (path, input, now) => {
    if (known.has(path)) return engine.evaluate(path, input, now);
    const steps = path.split('/');
    for (let count = steps.length - 1; count > 0; count -= 1) {
      const above = steps.slice(0, count).join('/');
      if (!known.has(above)) continue;
      const outcome = engine.evaluate(above, input, now);
      return outcome.kind === 'value' ? partOf(outcome.value, steps.slice(count)) : outcome;
    }
    return partOf(data, steps);
  };
};
