/** `io.jwt.decode`: reads a token and proves nothing. Curfew's own identity check is what makes claims trustworthy. */
import { isUtf8 } from 'node:buffer';
import { readRegoValue, type RegoObject, type RegoValue } from '../rego/value.ts';
import { base64UrlBytes } from './encoding.ts';
import { notServed } from '../rego/not-served.ts';
import { fail, isArray, isObject, string } from './operands.ts';
import type { Builtins } from './builtin.ts';

const NESTED_MAX = 8;

const wellFormed = (value: RegoValue): RegoValue => {
  if (typeof value === 'string') return Buffer.from(value).toString();
  if (isArray(value)) return value.map(wellFormed);
  return isObject(value) ? new Map([...value].map(([name, inner]) => [wellFormed(name), wellFormed(inner)])) : value;
};

/** As Go reads JSON: what is not Unicode becomes U+FFFD. */
const jsonObject = (bytes: Uint8Array): RegoObject => {
  const text = isUtf8(bytes) ? Buffer.from(bytes).toString('utf8') : notServed('a token that is not UTF-8');
  // First as JSON, since Rego's notation is wider; then again with every digit kept.
  JSON.parse(text);
  const value = wellFormed(readRegoValue(text));
  return isObject(value) ? value : fail('not an object');
};

const decode = (token: string, left: number): RegoValue => {
  const parts = token.split('.');
  if (parts.length !== 3) return fail('not a JWT of three parts');
  if (left <= 0) return notServed('tokens in tokens in tokens');
  const [head, body, signature] = parts.map(base64UrlBytes) as [Buffer, Buffer, Buffer];
  const header = jsonObject(head);
  if (header.has('enc')) return fail('a JWE is not served');
  const contentType = header.get('cty');
  if (contentType !== undefined && string(contentType) === 'JWT') return decode((isUtf8(body) ? body.toString('utf8') : notServed('a token that is not UTF-8')).replace(/^["']+|["']+$/g, ''), left - 1);
  return [header, jsonObject(body), signature.toString('hex')];
};

export const tokenBuiltins: Builtins = { 'io.jwt.decode': ([token]) => decode(string(token), NESTED_MAX) };
