/**
 * JSON written as bytes into one growing buffer. What comes out is what `JSON.stringify` gives, with everything invisible escaped, as
 * UTF-8: a line of it can't forge another one or repaint a terminal. Most strings are plain and are copied character by
 * character, without an intermediate text.
 */
import { escapeInvisible } from '../domain/invisible.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';

export interface JsonBytes {
  /** Bytes written so far. */
  readonly length: number;
  /** The bytes between two lengths; valid until something is written or dropped. */
  view(from: number, to: number): Buffer;
  /** Forgets what was written after this length. */
  rewind(length: number): void;
  /** ASCII that is JSON already. */
  raw(text: string): void;
  string(text: string): void;
  value(value: JsonValue | undefined): void;
}

const BYTES_MIN = 65_536;
/** A buffer that grew beyond is given back when it is empty. */
const BYTES_KEPT_MAX = 1_048_576;

/** 1: is written as it is. */
const PLAIN = new Uint8Array(128).fill(1, 0x20, 0x7f);
PLAIN[0x22] = 0;
PLAIN[0x5c] = 0;

/** How a member begins: the first of an object, and a later one. */
export interface MemberText {
  readonly first: string;
  readonly next: string;
}

const names = new Map<string, MemberText>();
const NAMES_MAX = 2_000;
const NAME_CHARS_MAX = 128;

const jsonOf = (text: string): string => escapeInvisible(JSON.stringify(text));

/** Remembered for names that come again and again. */
export const memberText = (name: string): MemberText => {
  let text = names.get(name);
  if (text === undefined) {
    const json = jsonOf(name);
    text = { first: `{${json}:`, next: `,${json}:` };
    if (names.size >= NAMES_MAX) names.clear();
    if (name.length <= NAME_CHARS_MAX) names.set(name, text);
  }
  return text;
};

export const createJsonBytes = (): JsonBytes => {
  let bytes = Buffer.allocUnsafeSlow(BYTES_MIN);
  let length = 0;

  const reserve = (more: number): void => {
    if (length + more <= bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(bytes.length * 2, length + more));
    bytes.copy(larger, 0, 0, length);
    bytes = larger;
  };

  /** UTF-8 of a text; ASCII is copied on the way to finding out. */
  const encoded = (json: string): void => {
    reserve(json.length * 3);
    const into = bytes;
    const at = length;
    for (let index = 0; index < json.length; index += 1) {
      const code = json.charCodeAt(index);
      if (code > 0x7e) {
        length = at + into.write(json, at, 'utf8');
        return;
      }
      into[at + index] = code;
    }
    length = at + json.length;
  };

  const string = (text: string): void => {
    reserve(text.length + 2);
    const into = bytes;
    let at = length;
    into[at] = 0x22;
    at += 1;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      // Beyond the table there is nothing, which is not 1 either.
      if (PLAIN[code] !== 1) return encoded(jsonOf(text));
      into[at] = code;
      at += 1;
    }
    into[at] = 0x22;
    length = at + 1;
  };

  const list = (items: readonly JsonValue[]): void => {
    encoded('[');
    for (let index = 0; index < items.length; index += 1) {
      if (index > 0) encoded(',');
      value(items[index] ?? null);
    }
    encoded(']');
  };

  const object = (members: JsonObject): void => {
    let empty = true;
    for (const name in members) {
      const member = members[name];
      if (member === undefined) continue;
      const text = memberText(name);
      encoded(empty ? text.first : text.next);
      empty = false;
      value(member);
    }
    encoded(empty ? '{}' : '}');
  };

  const value = (given: JsonValue | undefined): void => {
    if (typeof given === 'string') string(given);
    else if (typeof given === 'number') encoded(Number.isFinite(given) ? String(given) : 'null');
    else if (typeof given === 'boolean') encoded(given ? 'true' : 'false');
    else if (given === null || given === undefined) encoded('null');
    else if (Array.isArray(given)) list(given as readonly JsonValue[]);
    else object(given as JsonObject);
  };

  return {
    get length() {
      return length;
    },
    view: (from, to) => bytes.subarray(from, to),
    rewind: (to) => {
      length = to;
      if (to === 0 && bytes.length > BYTES_KEPT_MAX) bytes = Buffer.allocUnsafeSlow(BYTES_MIN);
    },
    raw: encoded, string, value,
  };
};
