/**
 * A JWKS or SPIFFE bundle as keys to verify with. Only public parts are taken; symmetric keys, unknown types, other uses and
 * weak RSA keys are left out and counted. A key is found by its opaque `kid` within this one set, never by anything else a
 * token says.
 */
import { createHash, createPublicKey } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { isJsonObject } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import type { Algorithm } from './config.ts';
import { JWKS_KEYS_MAX, KID_CHARS_MAX, RSA_BITS_MAX, RSA_BITS_MIN } from './limits.ts';

export interface VerificationKey {
  readonly kid: string | undefined;
  readonly algorithms: readonly Algorithm[];
  readonly key: KeyObject;
}

export interface KeySet {
  /** SHA-256 (hex) of what was taken; equal digests mean equal keys. */
  readonly digest: string;
  readonly size: number;
  readonly ignored: number;
  readonly sequence: number | undefined;
  readonly refreshHintMs: number | undefined;
  find(kid: string | undefined, algorithm: Algorithm): VerificationKey | undefined;
}

/** `workload-api`: only keys for JWT-SVIDs are there, and their use is often left out. */
export type KeyUse = 'jwt-svid' | 'sig' | 'workload-api';

const RSA_ALGORITHMS: readonly Algorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const BY_CURVE = new Map<string, readonly Algorithm[]>([
  ['P-256', ['ES256']], ['P-384', ['ES384']], ['P-521', ['ES512']], ['Ed25519', ['EdDSA', 'Ed25519']],
]);

const publicParts = (jwk: JsonObject): JsonWebKey | undefined => {
  const { kty, crv, x, y, n, e } = jwk;
  if (kty === 'RSA' && typeof n === 'string' && typeof e === 'string' && e.length <= 8) return { kty, n, e };
  if (kty === 'EC' && typeof crv === 'string' && typeof x === 'string' && typeof y === 'string') return { kty, crv, x, y };
  if (kty === 'OKP' && typeof crv === 'string' && typeof x === 'string') return { kty, crv, x };
  return undefined;
};

/** The key a public JWK describes, or `undefined` when it is none to verify with. Private members are never looked at. */
export const publicKeyOf = (jwk: JsonObject): { readonly key: KeyObject; readonly algorithms: readonly Algorithm[]; readonly parts: JsonWebKey } | undefined => {
  const parts = publicParts(jwk);
  if (parts === undefined) return undefined;
  const all = parts.kty === 'RSA' ? RSA_ALGORITHMS : (BY_CURVE.get(parts.crv ?? '') ?? []);
  const algorithms = jwk['alg'] === undefined ? all : all.filter((one) => one === jwk['alg']);
  if (algorithms.length === 0) return undefined;
  try {
    const key = createPublicKey({ key: parts, format: 'jwk' });
    const bits = key.asymmetricKeyDetails?.modulusLength;
    if (parts.kty === 'RSA' && !(bits !== undefined && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX)) return undefined;
    return { key, algorithms, parts };
  } catch {
    return undefined;
  }
};

const useFits = (jwk: JsonObject, use: KeyUse): boolean => {
  const operations = jwk['key_ops'];
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return false;
  if (jwk['use'] === undefined) return use !== 'jwt-svid';
  return jwk['use'] === (use === 'workload-api' ? 'jwt-svid' : use);
};

const naturalNumber = (value: JsonValue | undefined): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;

/** The keys of a document, or why it is not one. */
export const keySetOf = (document: JsonValue | undefined, use: KeyUse): KeySet | string => {
  if (!isJsonObject(document)) return 'is not a JSON object';
  const listed = document['keys'];
  if (!Array.isArray(listed)) return 'has no array `keys`';
  if (listed.length > JWKS_KEYS_MAX) return `has more than ${JWKS_KEYS_MAX} keys`;
  const keys: VerificationKey[] = [];
  const hash = createHash('sha256');
  for (const jwk of listed as readonly JsonValue[]) {
    if (!isJsonObject(jwk) || !useFits(jwk, use)) continue;
    const kid = jwk['kid'];
    if (kid === undefined ? use !== 'sig' : typeof kid !== 'string' || kid.length > KID_CHARS_MAX) continue;
    const found = publicKeyOf(jwk);
    if (found === undefined) continue;
    keys.push({ kid: kid as string | undefined, algorithms: found.algorithms, key: found.key });
    hash.update(JSON.stringify([kid ?? null, found.algorithms, found.parts]));
  }
  const byKid = new Map<string, VerificationKey[]>();
  for (const one of keys) if (one.kid !== undefined) byKid.set(one.kid, [...(byKid.get(one.kid) ?? []), one]);
  const hint = naturalNumber(document['spiffe_refresh_hint']);
  return {
    digest: hash.digest('hex'),
    size: keys.length,
    ignored: listed.length - keys.length,
    sequence: naturalNumber(document['spiffe_sequence']),
    refreshHintMs: hint === undefined || hint === 0 ? undefined : hint * 1000,
    find: (kid, algorithm) => {
      // Without a key id the key must be the only one that fits: no trying around.
      const fitting = (kid === undefined ? keys : (byKid.get(kid) ?? [])).filter((one) => one.algorithms.includes(algorithm));
      return fitting.length === 1 ? fitting[0] : undefined;
    },
  };
};

export const parseKeySet = (text: string, use: KeyUse): KeySet | string => {
  const document = parseStrictJson(text);
  return document === undefined ? 'is not JSON, or JSON that can be read in two ways' : keySetOf(document, use);
};
