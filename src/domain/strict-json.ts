/**
 * JSON from outside, read in one way only: an object or array with two members of one name, a member `__proto__`, a number
 * that is not finite (`1e400`), an unpaired surrogate, or a nesting deeper than the cap is refused, because another reader
 * might understand it otherwise.
 */
import type { JsonValue } from './json.ts';

export const JSON_DEPTH_MAX = 32;

const WHITESPACE = /[ \t\n\r]*/y;
// eslint-disable-next-line no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

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
  if (text.includes('\\') || text.includes('__proto__') || LONE_SURROGATE.test(text) || !isShallow(text, depthMax)) return undefined;
  try {
    const value = JSON.parse(text) as JsonValue;
    return JSON.stringify(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
};

/** The value, or `undefined` when the text is not JSON or can be understood in more than one way. Never throws. */
export const parseStrictJson = (text: string, depthMax = JSON_DEPTH_MAX): JsonValue | undefined => {
  const plain = parsePlain(text, depthMax);
  if (plain !== undefined) return plain;
  let at = 0;
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
    const raw = match(STRING);
    if (raw === undefined) return undefined;
    const value = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
    return LONE_SURROGATE.test(value) ? undefined : value;
  };
  const members = (depth: number): JsonValue | undefined => {
    const object: Record<string, JsonValue> = {};
    if (skip('}')) return object;
    do {
      match(WHITESPACE);
      const name = string();
      if (name === undefined || name === '__proto__' || Object.hasOwn(object, name) || !skip(':')) return undefined;
      const value = read(depth);
      if (value === undefined) return undefined;
      object[name] = value;
    } while (skip(','));
    return skip('}') ? object : undefined;
  };
  const items = (depth: number): JsonValue | undefined => {
    const list: JsonValue[] = [];
    if (skip(']')) return list;
    do {
      const value = read(depth);
      if (value === undefined) return undefined;
      list.push(value);
    } while (skip(','));
    return skip(']') ? list : undefined;
  };
  const read = (depth: number): JsonValue | undefined => {
    match(WHITESPACE);
    if (depth > depthMax) return undefined;
    if (text[at] === '"') return string();
    if (skip('{')) return members(depth + 1);
    if (skip('[')) return items(depth + 1);
    const scalar = match(SCALAR);
    if (scalar === undefined) return undefined;
    const value = JSON.parse(scalar) as number | boolean | null;
    return typeof value === 'number' && !Number.isFinite(value) ? undefined : value;
  };
  const value = read(1);
  match(WHITESPACE);
  return at === text.length ? value : undefined;
};
