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
import { textFault, valueFault } from './input-fault.ts';
import { numberFault } from './number-fault.ts';
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
  /** `text` is `JSON.stringify(input)`, where the caller has it already. */
  evaluate(entrypoint: string, input: JsonValue, now: Instant, text?: string): PolicyOutcome;
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

const failed = (reason: 'policy.error' | 'policy.malformed', detail: string): PolicyOutcome => ({ kind: 'failed', reason, detail });

/** Is the text, as UTF-8, longer than `most` bytes? */
const exceeds = (text: string, most: number): boolean => text.length * 3 > most && Buffer.byteLength(text) > most;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 500);

/**
 * The result set `{{"result": value}}` as JSON. Most results have no sets in them: then only the outer braces are not JSON,
 * and the short way is ten times faster.
 */
/** A result set as JSON; sets are sorted arrays. Throws on what is neither JSON nor Rego. */
export const parseResults = (text: string): unknown => {
  if (text.startsWith('{{')) {
    try {
      return JSON.parse(`[${text.slice(1, -1)}]`);
    } catch {
      // A set inside, or a key that is no string.
    }
  }
  return JSON.parse(jsonText(readRegoValue(text)));
};

/** What a result set, as Rego text, means: exactly one result is a value. */
export const outcomeOf = (text: string): PolicyOutcome => {
  const results = parseResults(text);
  if (!Array.isArray(results)) return failed('policy.malformed', 'the policy gave no result set');
  if (results.length === 0) return { kind: 'undefined' };
  if (results.length > 1) return failed('policy.malformed', `the policy gave ${results.length} results`);
  const [first] = results as readonly JsonObject[];
  const value = first?.['result'];
  if (value === undefined) return failed('policy.malformed', 'the policy gave a result without a value');
  const fault = valueFault(value, RESULT_DEPTH_MAX) ?? numberFault(text);
  return fault === undefined ? { kind: 'value', value } : failed('policy.malformed', `the result ${fault}`);
};

/** Throws when the module, its builtins or its data don't fit. */
export const createEngine = (options: Omit<InstanceOptions, 'memoryBytesMax'>, limits: EngineLimits): Engine => {
  const make = (): PolicyInstance => createInstance({ ...options, memoryBytesMax: limits.memoryBytesMax });
  let current: PolicyInstance | undefined = make();
  const mark = Math.max(limits.memoryBytesMark, current.memoryBytes());
  const { entrypoints } = current;

  let givenUp = 0;

  const run = (id: number, inputText: string, now: Instant): string => {
    const instance = (current ??= make());
    // Put back only when all went well.
    current = undefined;
    givenUp += 1;
    const text = instance.evaluate(id, inputText, now);
    if (instance.memoryBytes() <= mark) {
      current = instance;
      givenUp -= 1;
    }
    return text;
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
    evaluate(entrypoint, input, now, known) {
      const id = entrypoints.get(entrypoint);
      if (id === undefined) return failed('policy.error', `the bundle has no entrypoint ${entrypoint}`);
      try {
        const depthFault = valueFault(input, limits.inputDepthMax);
        if (depthFault !== undefined) return failed('policy.error', `the input ${depthFault}`);
        const inputText = known ?? JSON.stringify(input);
        const fault = exceeds(inputText, limits.inputBytesMax) ? `is larger than ${limits.inputBytesMax} bytes` : textFault(inputText);
        if (fault !== undefined) return failed('policy.error', `the input ${fault}`);
        const text = run(id, inputText, now);
        if (exceeds(text, limits.resultBytesMax)) return failed('policy.malformed', `the result is larger than ${limits.resultBytesMax} bytes`);
        return outcomeOf(text);
      } catch (error) {
        return failed('policy.error', messageOf(error));
      }
    },
  };
};
