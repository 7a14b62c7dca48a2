/**
 * JSON from outside, read in one way only: an object or array with two members of one name, a member `__proto__`, a number
 * that is not finite (`1e400`), an unpaired surrogate, or a nesting deeper than the cap is refused, because another reader
 * might understand it otherwise.
 */
import { isWellFormed, type JsonValue } from './json.ts';

export const JSON_DEPTH_MAX = 32;

const WHITESPACE = /[ \t\n\r]*/y;
// eslint-disable-next-line no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
/** Of a member's name, as far as it is told. */
const NAME_TOLD_CHARS = 64;

/** Of a text without any backslash, in which every quote begins or ends a string. */
const isShallow = (text: string, depthMax: number): boolean => {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      at = text.indexOf('"', at + 1);
      if (at === -1) return false;
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth >= depthMax) return false;
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return true;
};

/**
 * The value of a text that is written the one way in which JSON.stringify writes it: then no member was dropped and no number
 * changed, since they would be missing. `undefined`: it may be written in another way.
 */
const parsePlain = (text: string, depthMax: number): JsonValue | undefined => {
  if (text.includes('\\') || text.includes('__proto__') || !isWellFormed(text) || !isShallow(text, depthMax)) return undefined;
  try {
    const value = JSON.parse(text) as JsonValue;
    return JSON.stringify(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
};

/** What is wrong with a text, and where. */
export interface JsonFault {
  /** JSON Pointer of the innermost value that was begun; `` is the whole text. */
  readonly path: string;
  /** Both from 1, in UTF-16 code units. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

type Read = { readonly value: JsonValue } | { readonly fault: { readonly path: readonly (string | number)[]; readonly at: number; readonly message: string } };

const NOT_JSON = 'is not JSON';
const SURROGATE = 'has an unpaired surrogate';

const INTEGER = /^-?\d+$/;

/** A double holds 9007199254740992 and not the number after it: whoever reads integers would see another one. */
const isExact = (scalar: string, value: number): boolean => Number.isSafeInteger(value) || !INTEGER.test(scalar) || (scalar.length <= INTEGER_CHARS_MAX && BigInt(scalar) === BigInt(value));
/** Longer ones are not looked at, and no number that anybody counts with. */
const INTEGER_CHARS_MAX = 400;

const readLong = (text: string, depthMax: number, exact: boolean): Read => {
  let at = 0;
  const path: (string | number)[] = [];
  let fault: Extract<Read, { fault: unknown }>['fault'] | undefined;
  const fail = (message: string, where = at): undefined => {
    // Names count up to a bound: they come from outside, and the message goes out again.
    fault ??= { path: path.map((step) => (typeof step === 'string' ? step.slice(0, NAME_TOLD_CHARS) : step)), at: where, message };
    return undefined;
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const skip = (character: string): boolean => {
    match(WHITESPACE);
    if (text[at] !== character) return false;
    at += 1;
    return true;
  };
  const string = (): string | undefined => {
    const from = at;
    const raw = match(STRING);
    if (raw === undefined) return fail(NOT_JSON);
    const value = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
    return isWellFormed(value) ? value : fail(SURROGATE, from);
  };
  const members = (depth: number): JsonValue | undefined => {
    const object: Record<string, JsonValue> = {};
    if (skip('}')) return object;
    do {
      match(WHITESPACE);
      const from = at;
      const name = string();
      if (name === undefined) return undefined;
      path.push(name);
      if (name === '__proto__') return fail('must not be named __proto__', from);
      if (Object.hasOwn(object, name)) return fail('is given twice', from);
      if (!skip(':')) return fail(NOT_JSON);
      const value = read(depth);
      if (value === undefined) return undefined;
      object[name] = value;
      path.pop();
    } while (skip(','));
    return skip('}') ? object : fail(NOT_JSON);
  };
  const items = (depth: number): JsonValue | undefined => {
    const list: JsonValue[] = [];
    if (skip(']')) return list;
    do {
      path.push(list.length);
      const value = read(depth);
      if (value === undefined) return undefined;
      list.push(value);
      path.pop();
    } while (skip(','));
    return skip(']') ? list : fail(NOT_JSON);
  };
  const read = (depth: number): JsonValue | undefined => {
    match(WHITESPACE);
    if (depth > depthMax) return fail(`is nested deeper than ${depthMax}`);
    if (text[at] === '"') return string();
    if (skip('{')) return members(depth + 1);
    if (skip('[')) return items(depth + 1);
    const from = at;
    const scalar = match(SCALAR);
    if (scalar === undefined) return fail(NOT_JSON);
    const value = JSON.parse(scalar) as number | boolean | null;
    if (typeof value !== 'number') return value;
    if (!Number.isFinite(value)) return fail('is a number beyond range', from);
    return exact && !isExact(scalar, value) ? fail('is an integer that is not kept exactly', from) : value;
  };
  const value = read(1);
  match(WHITESPACE);
  if (value !== undefined && at === text.length) return { value };
  fail(NOT_JSON);
  return { fault: fault ?? { path: [], at, message: NOT_JSON } };
};

export interface StrictJsonRules {
  readonly depthMax?: number | undefined;
  /** Integers that a double does not hold are refused too: for what somebody else reads as well, who may hold them. */
  readonly exactIntegers?: boolean;
}

/** The value, or `undefined` when the text is not JSON or can be understood in more than one way. Never throws. */
export const parseStrictJson = (text: string, { depthMax = JSON_DEPTH_MAX, exactIntegers = false }: StrictJsonRules = {}): JsonValue | undefined => {
  const plain = parsePlain(text, depthMax);
  if (plain !== undefined) return plain;
  const read = readLong(text, depthMax, exactIntegers);
  return 'value' in read ? read.value : undefined;
};

/** Of a text that `parseStrictJson` refuses: what is wrong with it, and where. `undefined` of any other. */
export const strictJsonFault = (text: string, depthMax = JSON_DEPTH_MAX): JsonFault | undefined => {
  const read = readLong(text, depthMax, false);
  if ('value' in read) return undefined;
  const { path, at, message } = read.fault;
  const before = text.slice(0, at);
  return {
    path: path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    line: before.split('\n').length,
    column: at - before.lastIndexOf('\n'),
    message,
  };
};
