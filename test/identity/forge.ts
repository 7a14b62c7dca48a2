/** Keys and tokens for tests, signed with node:crypto alone, so that any header and any payload can be put under a signature. */
import { constants, createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';

export interface TestKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  /** Public members only. */
  readonly jwk: JsonWebKey & { kid: string };
}

const CURVES: Record<string, string> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

export const newKey = (alg = 'ES256', kid = 'k1', rsaBits = 2048): TestKey => {
  const curve = CURVES[alg];
  const { privateKey, publicKey } = curve !== undefined
    ? generateKeyPairSync('ec', { namedCurve: curve })
    : alg === 'EdDSA' || alg === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: rsaBits });
  return { kid, alg, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid } };
};

export const svidJwk = (key: TestKey) => ({ ...key.jwk, use: 'jwt-svid' });
export const bundleOf = (...keys: TestKey[]) => ({ keys: keys.map(svidJwk) });
export const jwksOf = (...keys: TestKey[]) => ({ keys: keys.map(({ jwk, alg }) => ({ ...jwk, alg, use: 'sig' })) });

export const b64 = (value: string | Uint8Array): string => Buffer.from(value).toString('base64url');
const part = (value: unknown): string => b64(typeof value === 'string' ? value : JSON.stringify(value));

export const signatureOver = (input: string, { privateKey, alg }: Pick<TestKey, 'privateKey' | 'alg'>): Buffer => {
  if (alg === 'EdDSA' || alg === 'Ed25519') return sign(null, Buffer.from(input), privateKey);
  const digest = `sha${alg.slice(2)}`;
  if (alg.startsWith('ES')) return sign(digest, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return sign(digest, Buffer.from(input), alg.startsWith('PS')
    ? { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : privateKey);
};

/** A compact JWS; header and payload are objects, or their JSON text verbatim. */
export const signed = (header: unknown, payload: unknown, key: Pick<TestKey, 'privateKey' | 'alg'>): string => {
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${b64(signatureOver(input, key))}`;
};

export const hmacSigned = (header: unknown, payload: unknown, secret: string | Buffer): string => {
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
};

export const sha256 = (value: string | Uint8Array, encoding: 'hex' | 'base64url' = 'hex'): string => createHash('sha256').update(value).digest(encoding);

/** Group order of P-256. */
const N = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');

/** The same ES256 token with the signature's other form: `s` -> `n - s`. */
export const complemented = (token: string): string => {
  const at = token.lastIndexOf('.');
  const signature = Buffer.from(token.slice(at + 1), 'base64url');
  const s = N - BigInt(`0x${signature.subarray(32).toString('hex')}`);
  return `${token.slice(0, at)}.${b64(Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]))}`;
};
