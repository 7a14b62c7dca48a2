/**
 * A compact JWS, taken apart before anything in it is believed. One spelling only: canonical base64url (no padding, no spare
 * bits), strict JSON, caps on every part. So the text of header and payload is one-to-one with what is signed, and its
 * SHA-256 names the token however its signature is spelled.
 */
import { hash } from 'node:crypto';
import type { JsonObject } from '../domain/json.ts';
import { isJsonObject } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { CLAIMS_MEMBERS_MAX, HEADER_CHARS_MAX, HEADER_MEMBERS_MAX, KID_CHARS_MAX, TOKEN_CHARS_MAX } from './limits.ts';

export interface UnverifiedToken {
  readonly header: JsonObject;
  readonly alg: string;
  readonly kid: string | undefined;
  readonly typ: string | undefined;
  readonly claims: JsonObject;
  /** SHA-256 (hex) of `header.payload` as presented. */
  readonly signingInputSha256: string;
}

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const objectIn = (part: string, membersMax: number): JsonObject | undefined => {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) return undefined;
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return undefined;
  }
  const value = parseStrictJson(text);
  return isJsonObject(value) && Object.keys(value).length <= membersMax ? value : undefined;
};

const optionalText = (value: unknown): value is string | undefined => value === undefined || typeof value === 'string';

/** The parts, or `undefined` when this is not a well-formed token. Header members that ask for more than we do (`crit`) refuse it. */
export const readToken = (token: string): UnverifiedToken | undefined => {
  if (token.length > TOKEN_CHARS_MAX) return undefined;
  const parts = COMPACT.exec(token);
  if (parts === null) return undefined;
  const [, encodedHeader, encodedClaims, signature] = parts as unknown as [string, string, string, string];
  if (encodedHeader.length > HEADER_CHARS_MAX) return undefined;
  if (Buffer.from(signature, 'base64url').toString('base64url') !== signature) return undefined;
  const header = objectIn(encodedHeader, HEADER_MEMBERS_MAX);
  if (header === undefined || Object.hasOwn(header, 'crit')) return undefined;
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string' || !optionalText(kid) || !optionalText(typ)) return undefined;
  if (kid !== undefined && kid.length > KID_CHARS_MAX) return undefined;
  const claims = objectIn(encodedClaims, CLAIMS_MEMBERS_MAX);
  if (claims === undefined) return undefined;
  return { header, alg, kid, typ, claims, signingInputSha256: hash('sha256', `${encodedHeader}.${encodedClaims}`) };
};
