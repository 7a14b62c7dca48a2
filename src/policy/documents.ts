/**
 * OPA's documents by path. A path that is an entrypoint is evaluated; one below an entrypoint is a part of its value; else the bundle's
 * data may have it. What neither has is undefined: also packages of a bundle that was compiled without entrypoints for them. The empty path is all of it.
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

/** A copy in which the value stands at the place; what is beside it stays. */
const placed = (object: JsonObject, [step = '', ...rest]: readonly string[], value: JsonValue): JsonObject => {
  const own = Object.hasOwn(object, step) ? object[step] : undefined;
  const below = rest.length === 0 ? value : placed(isJsonObject(own) ? own : {}, rest, value);
  return Object.fromEntries([...Object.entries(object).filter(([name]) => name !== step), [step, below]]);
};

export const createDocuments = (engine: Pick<Engine, 'entrypoints' | 'evaluate'>, data: JsonObject): NonNullable<Policy['document']> => {
  const known = new Set(engine.entrypoints);
  /** None lies below another one of them. What is OPA's own (`system`) is not among all documents, as it is not for OPA. */
  const highest = engine.entrypoints.filter((one) => one !== 'system' && !one.startsWith('system/') && !engine.entrypoints.some((other) => one.startsWith(`${other}/`)));
  const everything: NonNullable<Policy['document']> = (_path, input, now) => {
    const { system: _own, ...rest } = data;
    let value: JsonObject = rest;
    for (const one of highest) {
      const outcome = engine.evaluate(one, input, now);
      if (outcome.kind === 'value') value = placed(value, one.split('/'), outcome.value);
      else if (outcome.kind !== 'undefined') return outcome;
    }
    return { kind: 'value', value };
  };
  return (path, input, now) => {
    if (path === '') return everything(path, input, now);
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
