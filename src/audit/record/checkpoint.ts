/**
 * A checkpoint says, signed, what a realm's chain was at one sequence: a compact JWS with `typ: curfew-checkpoint+jwt`, the public key
 * in its header (`jwk`, `kid` = its RFC 7638 thumbprint) and the claims `{realm, epoch, sequence, hash, at}`. The key in the header proves that
 * all of it comes from whoever holds that key; who that is, only a key obtained elsewhere proves.
 */
import { calculateJwkThumbprint, CompactSign, compactVerify, decodeProtectedHeader, exportJWK, importJWK, type JWK } from 'jose';
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';

export interface Checkpoint {
  readonly realm: string;
  readonly epoch: string;
  readonly sequence: number;
  readonly hash: string;
  /** Milliseconds since 1970, by the clock of the node that signed. */
  readonly at: number;
}

export interface CheckpointSigner {
  readonly keyId: string;
  readonly publicJwk: JWK;
  sign(checkpoint: Checkpoint): Promise<string>;
}

export type Verified = { readonly ok: true; readonly checkpoint: Checkpoint; readonly keyId: string } | { readonly ok: false; readonly fault: string };

const TYP = 'curfew-checkpoint+jwt';
const ALGORITHMS = ['EdDSA', 'ES256'] as const;
const CHARS_MAX = 8_192;

const algorithmOf = (key: KeyObject): (typeof ALGORITHMS)[number] | undefined => {
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA';
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'ES256' : undefined;
};

/** Throws for a key that is neither Ed25519 nor P-256. */
export const createCheckpointSigner = async (key: KeyObject): Promise<CheckpointSigner> => {
  const alg = algorithmOf(key);
  if (alg === undefined) throw new TypeError('the key that signs checkpoints must be Ed25519 or P-256');
  const publicJwk = await exportJWK(createPublicKey(key));
  const keyId = await calculateJwkThumbprint(publicJwk);
  return {
    keyId, publicJwk,
    sign: ({ realm, epoch, sequence, hash, at }) =>
      new CompactSign(new TextEncoder().encode(JSON.stringify({ realm, epoch, sequence, hash, at })))
        .setProtectedHeader({ alg, typ: TYP, kid: keyId, jwk: publicJwk })
        .sign(key),
  };
};

const readClaims = (payload: Uint8Array): Checkpoint | undefined => {
  const { realm, epoch, sequence, hash, at } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)) as Record<string, unknown>;
  const texts = typeof realm === 'string' && typeof epoch === 'string' && typeof hash === 'string';
  return texts && typeof sequence === 'number' && Number.isSafeInteger(sequence) && typeof at === 'number' ? { realm, epoch, sequence, hash, at } : undefined;
};

/** Of a public key in PEM or as a JWK; `undefined` for anything else. */
export const keyIdOf = async (text: string): Promise<string | undefined> => {
  try {
    const key = createPublicKey(text.trimStart().startsWith('{') ? { key: JSON.parse(text) as JsonWebKey, format: 'jwk' } : text);
    return algorithmOf(key) === undefined ? undefined : await calculateJwkThumbprint(await exportJWK(key));
  } catch {
    return undefined;
  }
};

/** Does the signature hold, by the key in its own header? Never rejects. */
export const verifyCheckpoint = async (jws: string): Promise<Verified> => {
  try {
    if (jws.length > CHARS_MAX) return { ok: false, fault: 'is too long for a checkpoint' };
    const { jwk, kid, typ } = decodeProtectedHeader(jws);
    if (typ !== TYP || jwk === undefined) return { ok: false, fault: 'is no checkpoint' };
    const keyId = await calculateJwkThumbprint(jwk);
    if (kid !== keyId) return { ok: false, fault: 'names another key than it carries' };
    const { payload } = await compactVerify(jws, await importJWK(jwk, jwk.kty === 'OKP' ? 'EdDSA' : 'ES256'), { algorithms: [...ALGORITHMS] });
    const checkpoint = readClaims(payload);
    return checkpoint === undefined ? { ok: false, fault: 'says nothing that can be understood' } : { ok: true, checkpoint, keyId };
  } catch {
    return { ok: false, fault: 'has a signature that does not hold' };
  }
};
