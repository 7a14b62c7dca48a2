/** Texts as parts of keys and hashes, injective; and under what an idempotency key is remembered: the same in every store, so that a realm can be moved with what was done in it. */
import { createHash } from 'node:crypto';

const PLAIN_UNITS_MAX = 256;
export const REALM_UNITS_MAX = 64;
const SURROGATE = /[\ud800-\udfff]/;

const PLAIN = 0;
const HASHED = 1;

/** Texts longer than this are hashed; in UTF-8 each unit is at most three bytes. */
export const isPlainText = (text: string, unitsMax: number): boolean => text.length <= unitsMax && !SURROGATE.test(text);

/** A text that something follows: with its length, or the digest of one that is long or not well-formed. */
export const textPart = (text: string, unitsMax = PLAIN_UNITS_MAX): Buffer => {
  if (!isPlainText(text, unitsMax)) return Buffer.concat([Buffer.from([HASHED]), createHash('sha256').update(text, 'utf16le').digest()]);
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([Buffer.from([PLAIN, bytes.length >> 8, bytes.length & 0xff]), bytes]);
};

export const idempotencyHash = (realm: string, scope: string, key: string): Buffer =>
  createHash('sha256').update(Buffer.concat([textPart(realm, REALM_UNITS_MAX), textPart(scope), textPart(key)])).digest();
