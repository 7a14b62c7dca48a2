/**
 * DPoP proofs (RFC 9449, section 4.3): made for this request, this token and lately, by the holder of a key. Checked anew at
 * every request; that a proof was not seen before is for the caller to record, by `once`.
 */
import { hash } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import type { ProofOfPossession } from '../decision/evaluation.ts';
import { plus } from '../domain/instant.ts';
import type { Instant, TimeInterval } from '../domain/instant.ts';
import { isJsonObject } from '../domain/json.ts';
import { ALGORITHMS } from './config.ts';
import type { IdentityConfig } from './config.ts';
import { publicKeyOf } from './key-set.ts';
import { DPOP_JTI_CHARS_MAX } from './limits.ts';
import { signatureHolds } from './signature.ts';
import { readToken } from './token.ts';
import { numericDate } from './token-time.ts';

export interface ProvedKey {
  /** RFC 7638 thumbprint, SHA-256, base64url. */
  readonly jkt: string;
  readonly once: { readonly id: string; readonly until: Instant };
}

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];
// eslint-disable-next-line no-control-regex
const UNFIT_FOR_URI = /[\\\u0000-\u0020\u007f-\uffff]/;

/**
 * A request URI without query and fragment, normalised as RFC 3986 sections 6.2.2 and 6.2.3 say: case of scheme, host and percent
 * triplets, needlessly encoded letters, default port, dot segments.
 */
export const comparableUri = (text: string): string | undefined => {
  if (UNFIT_FOR_URI.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if ((url.protocol !== 'https:' && url.protocol !== 'http:') || url.username !== '' || url.password !== '') return undefined;
  const path = url.pathname.replaceAll(/%[0-9A-Fa-f]{2}/g, (triplet) => {
    const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
    return /[A-Za-z0-9._~-]/.test(character) ? character : triplet.toUpperCase();
  });
  return `${url.origin}${path}`;
};

/** The key that the one proof proves, or `undefined` when there is not exactly one, or it is not for this request. */
export const verifyProof = async (
  dpop: NonNullable<ProofOfPossession['dpop']>,
  token: string,
  now: TimeInterval,
  limits: IdentityConfig['dpop'],
): Promise<ProvedKey | undefined> => {
  const [raw, ...more] = dpop.proofs;
  const proof = raw === undefined || more.length > 0 ? undefined : readToken(raw);
  if (raw === undefined || proof === undefined || proof.typ !== 'dpop+jwt') return undefined;
  const { jwk } = proof.header;
  if (!isJsonObject(jwk) || PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) return undefined;
  const algorithm = ALGORITHMS.find((one) => one === proof.alg);
  const found = publicKeyOf(jwk);
  if (algorithm === undefined || found?.algorithms.includes(algorithm) !== true) return undefined;

  const { jti, htm, htu, iat, ath, exp } = proof.claims;
  if (typeof jti !== 'string' || jti === '' || jti.length > DPOP_JTI_CHARS_MAX) return undefined;
  if (htm !== dpop.method || typeof htu !== 'string') return undefined;
  const asked = comparableUri(dpop.url);
  if (asked === undefined || comparableUri(htu) !== asked) return undefined;
  if (ath !== hash('sha256', token, 'base64url')) return undefined;
  const made = numericDate(iat);
  if (made === undefined || !(made <= now.earliest + limits.aheadMs && now.latest < made + limits.maxAgeMs)) return undefined;
  if (exp !== undefined && !(now.latest < (numericDate(exp) ?? 0))) return undefined;
  if (!(await signatureHolds(raw, found.key, algorithm))) return undefined;

  const jkt = await calculateJwkThumbprint(found.key, 'sha256');
  // Another node's clock may accept it a little longer than this one: kept past its end by the same allowance.
  const until = plus(made, limits.maxAgeMs + limits.aheadMs);
  return { jkt, once: { id: hash('sha256', JSON.stringify(['dpop', jkt, jti])), until } };
};
