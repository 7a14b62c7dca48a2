/**
 * Evaluates one policy, one question at a time. Guarantees: never throws; an instance that threw, or whose memory has grown
 * past the mark, is never used again; memory has a maximum; exactly one result is a value. It does not bound time: WASM
 * can't be interrupted in its own thread, which is why a supervisor watches the process.
 */
import { randomUUID } from 'node:crypto';
import type { Instant } from '../../domain/instant.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import type { PolicyOutcome } from '../../decision/ports.ts';
import { createInstance, type InstanceOptions, type PolicyInstance } from './instance.ts';
import { namesFault, textFault, valueFault } from './input-fault.ts';
import { hasNumber, numberFault } from './number-fault.ts';
import { withMarkers } from './planted.ts';
import { jsonText } from '../rego/json.ts';
import { readRegoValue } from '../rego/value.ts';

export interface EngineLimits {
  /** The most an instance may hold, data included. */
  readonly memoryBytesMax: number;
  /** Past this an instance is replaced after its evaluation. */
  readonly memoryBytesMark: number;
  readonly inputBytesMax: number;
  readonly inputDepthMax: number;
  readonly resultBytesMax: number;
}

export interface Engine {
  readonly entrypoints: readonly string[];
  evaluate(entrypoint: string, input: JsonValue, now: Instant): PolicyOutcome;
  /**
   * Does the outcome depend on what stands at these places of the input (JSON Pointers)? True also when it can't be told. For
   * tools, not for decisions: an instance of its own.
   */
  readsAt(entrypoint: string, input: JsonObject, places: readonly string[], now: Instant): boolean;
  /** How many instances were given up so far, because they threw or had grown. */
  replaced(): number;
}

/** Deeper than an input may be, since results carry inputs. */
const RESULT_DEPTH_MAX = 256;

/** The input can't be given to a policy unchanged. */
class InputFault extends Error {
  constructor(fault: string) {
    super(`the input ${fault}`);
  }
}

const failed = (reason: 'policy.error' | 'policy.malformed', detail: string): PolicyOutcome => ({ kind: 'failed', reason, detail });

/** Is the text, as UTF-8, longer than `most` bytes? */
const exceeds = (text: string, most: number): boolean => text.length * 3 > most && Buffer.byteLength(text) > most;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 500);

/**
 * The result set `{{"result": value}}` as JSON, where nothing but its outer braces is not JSON: no set and no key that is no
 * string inside. Most results are like this, and this way is ten times faster.
 */
const plainResults = (text: string): unknown => {
  if (!text.startsWith('{{')) return undefined;
  try {
    return JSON.parse(`[${text.slice(1, -1)}]`);
  } catch {
    return undefined;
  }
};

/** A result set as JSON; sets are sorted arrays. Throws on what is neither JSON nor Rego. */
export const parseResults = (text: string): unknown => plainResults(text) ?? JSON.parse(jsonText(readRegoValue(text)));

/** What a result set, as Rego text, means: exactly one result is a value. */
export const outcomeOf = (text: string): PolicyOutcome => {
  const plain = plainResults(text);
  const results = plain ?? parseResults(text);
  if (!Array.isArray(results)) return failed('policy.malformed', 'the policy gave no result set');
  if (results.length === 0) return { kind: 'undefined' };
  if (results.length > 1) return failed('policy.malformed', `the policy gave ${results.length} results`);
  const [first] = results as readonly JsonObject[];
  const value = first?.['result'];
  if (value === undefined) return failed('policy.malformed', 'the policy gave a result without a value');
  const exact = plain !== undefined && !hasNumber(value);
  const fault = valueFault(value, RESULT_DEPTH_MAX) ?? (exact ? undefined : numberFault(text));
  return fault === undefined ? { kind: 'value', value } : failed('policy.malformed', `the result ${fault}`);
};

/** Throws when the module, its builtins or its data don't fit. */
export const createEngine = (options: Pick<InstanceOptions, 'module' | 'memoryPages' | 'dataText' | 'resolveBuiltins'>, limits: EngineLimits): Engine => {
  const { memoryBytesMax, inputBytesMax, inputDepthMax } = limits;
  const make = (): PolicyInstance => createInstance({ ...options, memoryBytesMax, inputBytesMax, inputDepthMax });
  let current: PolicyInstance | undefined = make();
  const mark = Math.max(limits.memoryBytesMark, current.memoryBytes());
  const { entrypoints } = current;

  let givenUp = 0;

  /** Throws `InputFault` for an input that can't be given unchanged. */
  const checkedText = (input: JsonValue): string => {
    const depthFault = valueFault(input, inputDepthMax);
    if (depthFault !== undefined) throw new InputFault(depthFault);
    const text = JSON.stringify(input);
    const fault = exceeds(text, inputBytesMax) ? `is larger than ${inputBytesMax} bytes` : (textFault(text) ?? namesFault(input));
    if (fault !== undefined) throw new InputFault(fault);
    return text;
  };

  const run = (id: number, input: JsonValue, now: Instant): string => {
    const instance = (current ??= make());
    // Put back only when all went well.
    current = undefined;
    givenUp += 1;
    let whole = false;
    try {
      const text = instance.evaluate(id, input, () => checkedText(input), now);
      whole = instance.memoryBytes() <= mark;
      return text;
    } catch (error) {
      // Found before anything was evaluated.
      whole = error instanceof InputFault;
      throw error;
    } finally {
      if (whole) {
        current = instance;
        givenUp -= 1;
      }
    }
  };

  let observed: PolicyInstance | undefined;
  const markerPrefix = `masked ${randomUUID()} `;

  const readsAt: Engine['readsAt'] = (entrypoint, input, places, now) => {
    const id = entrypoints.get(entrypoint);
    const markers = places.map((_, index) => `${markerPrefix}${index}.`);
    const planted = withMarkers(input, places, (index) => markers[index] ?? '');
    if (id === undefined || planted === undefined) return true;
    const instance = observed ?? make();
    observed = undefined;
    try {
      const reads = instance.reads(id, JSON.stringify(planted), markers, now);
      if (reads !== true && instance.memoryBytes() <= mark) observed = instance;
      return reads ?? true;
    } catch {
      // It failed without them.
      return false;
    }
  };

  return {
    readsAt,
    entrypoints: [...entrypoints.keys()],
    replaced: () => givenUp,
    evaluate(entrypoint, input, now) {
      const id = entrypoints.get(entrypoint);
      if (id === undefined) return failed('policy.error', `the bundle has no entrypoint ${entrypoint}`);
      try {
        const text = run(id, input, now);
        if (exceeds(text, limits.resultBytesMax)) return failed('policy.malformed', `the result is larger than ${limits.resultBytesMax} bytes`);
        return outcomeOf(text);
      } catch (error) {
        return failed('policy.error', messageOf(error));
      }
    },
  };
};
