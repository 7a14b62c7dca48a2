/**
 * JSON that has one reading only: no member twice in an object, no number beyond what a double holds (`1e400`), nesting bounded.
 * `JSON.parse` takes the last of two equal members, other parsers the first; what was judged must be what the backend reads.
 */
import type { JsonValue } from '../domain/json.ts';

export type StrictJson =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly fault: 'malformed' | 'ambiguous' | 'too-deep' };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NUMBER_CHARS = /[-+0-9.eE]*/y;

/** Index of the closing quote of the string that opens at `start`; the text is valid JSON. */
const stringEnd = (text: string, start: number): number => {
  let at = start + 1;
  while (text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
};

/** Walks valid JSON text once. */
const faultOf = (text: string, maxDepth: number): 'ambiguous' | 'too-deep' | undefined => {
  /** Per open bracket: the names seen, or `undefined` for an array. */
  const open: (Set<string> | undefined)[] = [];
  let wantsName = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === '"') {
      const end = stringEnd(text, at);
      const names = open.at(-1);
      if (wantsName && names !== undefined) {
        const raw = text.slice(at + 1, end);
        const name = raw.includes('\\') ? (JSON.parse(text.slice(at, end + 1)) as string) : raw;
        if (names.has(name)) return 'ambiguous';
        names.add(name);
        wantsName = false;
      }
      at = end;
    } else if (char === '{' || char === '[') {
      if (open.length >= maxDepth) return 'too-deep';
      open.push(char === '{' ? new Set() : undefined);
      wantsName = char === '{';
    } else if (char === '}' || char === ']') {
      open.pop();
      wantsName = false;
    } else if (char === ',') {
      wantsName = open.at(-1) !== undefined;
    } else if (char === '-' || (char >= '0' && char <= '9')) {
      NUMBER_CHARS.lastIndex = at;
      const [digits = ''] = NUMBER_CHARS.exec(text) ?? [];
      if (!Number.isFinite(Number(digits))) return 'ambiguous';
      at += digits.length - 1;
    }
  }
  return undefined;
};

export const parseStrictJson = (text: string, maxDepth: number): StrictJson => {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    return { ok: false, fault: 'malformed' };
  }
  const fault = faultOf(text, maxDepth);
  return fault === undefined ? { ok: true, value } : { ok: false, fault };
};
