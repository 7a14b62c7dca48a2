/** Hex, base64url and URL queries. A result that is not UTF-8 is not served: it could not be given back unchanged. */
import { isUtf8 } from 'node:buffer';
import type { RegoValue } from '../rego/value.ts';
import { notServed } from '../rego/not-served.ts';
import { collection, fail, object, string } from './operands.ts';
import { compareStrings, sortedUnique } from '../rego/order.ts';
import type { Builtins } from './builtin.ts';

const utf8 = (bytes: Uint8Array): string => (isUtf8(bytes) ? Buffer.from(bytes).toString('utf8') : notServed('a string that is not UTF-8'));

/** Base64url as OPA takes it: padding may be left out, line breaks don't count. */
export const base64UrlBytes = (text: string): Buffer => {
  let padded = text;
  if (!text.endsWith('=')) {
    const missing = [0, undefined, 2, 1][Buffer.byteLength(text) % 4];
    if (missing === undefined) return fail('not base64url');
    padded += '='.repeat(missing);
  }
  const digits = padded.replace(/[\r\n]/g, '');
  return digits.length % 4 === 0 && /^[A-Za-z0-9_-]*={0,2}$/.test(digits) ? Buffer.from(digits, 'base64url') : fail('not base64url');
};

const hexBytes = (text: string): Buffer => (/^(?:[0-9a-fA-F]{2})*$/.test(text) ? Buffer.from(text, 'hex') : fail('not hex'));

/** Go's QueryEscape. */
const escape = (text: string): string =>
  Array.from(Buffer.from(text), (byte) => {
    const char = String.fromCharCode(byte);
    if (/[A-Za-z0-9_.~-]/.test(char)) return char;
    return char === ' ' ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');

const unescape = (text: string): string => {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return fail('bad percent encoding');
  const bytes: number[] = [];
  for (const [piece] of text.matchAll(/%[0-9a-fA-F]{2}|\+|[^%+]+/g)) {
    if (piece.startsWith('%')) bytes.push(Number.parseInt(piece.slice(1), 16));
    else bytes.push(...Buffer.from(piece === '+' ? ' ' : piece));
  }
  return utf8(Uint8Array.from(bytes));
};

const encodeObject = (value: RegoValue | undefined): string =>
  [...object(value)]
    .map(([name, values]) => {
      const list = typeof values === 'string' ? [values] : values instanceof Set ? sortedUnique(values as Iterable<RegoValue>) : collection(values);
      return [string(name), list.map(string)] as const;
    })
    .toSorted(([a], [b]) => compareStrings(a, b))
    .flatMap(([name, list]) => list.map((item) => `${escape(name)}=${escape(item)}`))
    .join('&');

/** Go refuses more, and so the whole query. */
const QUERY_PARTS_MAX = 10_000;

const decodeObject = (query: string): ReadonlyMap<string, readonly string[]> => {
  const found = new Map<string, string[]>();
  const parts = query.split('&');
  if (parts.length > QUERY_PARTS_MAX) return fail('too many parts');
  for (const part of parts) {
    if (part.includes(';')) return fail('a semicolon does not separate');
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = unescape(at === -1 ? part : part.slice(0, at));
    const value = at === -1 ? '' : unescape(part.slice(at + 1));
    found.set(name, [...(found.get(name) ?? []), value]);
  }
  return found;
};

export const encodingBuiltins: Builtins = {
  'hex.encode': ([text]) => Buffer.from(string(text)).toString('hex'),
  'hex.decode': ([text]) => utf8(hexBytes(string(text))),
  'base64url.encode_no_pad': ([text]) => Buffer.from(string(text)).toString('base64url'),
  'urlquery.encode': ([text]) => escape(string(text)),
  'urlquery.decode': ([text]) => unescape(string(text)),
  'urlquery.encode_object': ([value]) => encodeObject(value),
  'urlquery.decode_object': ([query]) => decodeObject(string(query)),
};
