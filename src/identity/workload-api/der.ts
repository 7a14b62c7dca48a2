/** Certificates as the Workload API sends them: DER, one after the other. */
import { X509Certificate } from 'node:crypto';

const CERTIFICATES_MAX = 100;
const SEQUENCE = 0x30;

/** Length of the element at `at`, its head included; `undefined` when it is none that ends within the bytes. */
const elementBytes = (bytes: Uint8Array, at: number): number | undefined => {
  const first = bytes[at + 1];
  if (bytes[at] !== SEQUENCE || first === undefined) return undefined;
  const more = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || more > 4) return undefined;
  let length = more === 0 ? first : 0;
  for (let index = 0; index < more; index += 1) length = length * 256 + (bytes[at + 2 + index] ?? Number.NaN);
  const whole = 2 + more + length;
  return at + whole <= bytes.length ? whole : undefined;
};

/** At least one, or `undefined`: then not all of the bytes are certificates. Never throws. */
export const certificatesIn = (bytes: Uint8Array): readonly X509Certificate[] | undefined => {
  const found: X509Certificate[] = [];
  try {
    for (let at = 0; at < bytes.length;) {
      const length = elementBytes(bytes, at);
      if (length === undefined || found.length >= CERTIFICATES_MAX) return undefined;
      found.push(new X509Certificate(bytes.subarray(at, at + length)));
      at += length;
    }
  } catch {
    return undefined;
  }
  return found.length === 0 ? undefined : found;
};

export const pemOf = (certificates: readonly X509Certificate[]): string => certificates.map((one) => one.toString()).join('');

/** A certificate revocation list as PEM. */
export const crlPem = (der: Uint8Array): string => `-----BEGIN X509 CRL-----\n${Buffer.from(der).toString('base64').replaceAll(/(.{64})(?=.)/g, '$1\n')}\n-----END X509 CRL-----\n`;
