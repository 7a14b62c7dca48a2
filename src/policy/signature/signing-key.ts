/** The key that a configuration names, as what verifies with it. Faults name no content. */
import { createPublicKey, createSecretKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readBoundedBytes } from '../../bounded/file.ts';
import type { SigningAlgorithm, SigningKeyConfig } from './config.ts';

const KEY_BYTES_MAX = 65_536;
const SECRET_BYTES_MIN = 32;
const RSA_BITS_MIN = 2_048;
const RSA_BITS_MAX = 8_192;
const CURVES = new Map<SigningAlgorithm, string>([['ES256', 'prime256v1'], ['ES384', 'secp384r1'], ['ES512', 'secp521r1']]);

export type ReadKey = { readonly key: KeyObject } | { readonly fault: string };

const publicKeyIn = (pem: string): KeyObject | undefined => {
  try {
    return pem.includes('-----BEGIN CERTIFICATE-----') ? new X509Certificate(pem).publicKey : createPublicKey(pem);
  } catch {
    return undefined;
  }
};

const fits = (key: KeyObject, algorithm: SigningAlgorithm): boolean => {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (CURVES.has(algorithm)) return key.asymmetricKeyType === 'ec' && namedCurve === CURVES.get(algorithm);
  return key.asymmetricKeyType === 'rsa' && modulusLength !== undefined && modulusLength >= RSA_BITS_MIN && modulusLength <= RSA_BITS_MAX;
};

const keyOf = (bytes: Buffer, algorithm: SigningAlgorithm): ReadKey => {
  const text = bytes.toString('latin1');
  if (algorithm.startsWith('HS')) {
    // A public key is known to everybody; as a secret it would let everybody sign.
    if (text.includes('-----BEGIN')) return { fault: `is PEM and no secret for ${algorithm}` };
    return bytes.length < SECRET_BYTES_MIN ? { fault: `is shorter than ${SECRET_BYTES_MIN} bytes` } : { key: createSecretKey(bytes) };
  }
  if (text.includes('PRIVATE KEY-----')) return { fault: 'holds a private key, which has no place here' };
  const key = publicKeyIn(text);
  if (key === undefined) return { fault: 'is no PEM of a public key or a certificate' };
  return fits(key, algorithm) ? { key } : { fault: `is no key for ${algorithm} (RSA of ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits, or the curve that belongs to it)` };
};

/** Read anew each time, so that a replaced file counts without a restart. */
export const readSigningKey = ({ file, algorithm }: SigningKeyConfig): ReadKey => {
  const read = readBoundedBytes(file, KEY_BYTES_MAX);
  return 'fault' in read ? read : keyOf(read.bytes, algorithm);
};
