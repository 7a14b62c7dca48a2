/**
 * What a peer's certificate says: its one URI name, its life, and the selectors that a revocation may name it by. The chain was
 * verified by the gateway that passes it on.
 */
import { X509Certificate, createHash } from 'node:crypto';
import type { Instant } from '../domain/instant.ts';
import { isInstant } from '../domain/instant.ts';
import { canonicalSerial } from '../domain/lifecycle/canonical-selector.ts';
import { certificateBySerial, certificateBySpki, selectorKey } from '../domain/selector.ts';
import { CERTIFICATE_CHARS_MAX } from './limits.ts';

export interface CertificateFacts {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  readonly isAuthority: boolean;
  readonly notBefore: Instant;
  readonly notAfter: Instant;
  /** Distinguished name of its issuer as RFC 2253 writes it (`openssl x509 -issuer -nameopt RFC2253`). */
  readonly issuer: string;
  /** Hex, lower case, whole bytes; otherwise as openssl prints it. Negative ones, which RFC 5280 forbids, are refused. */
  readonly serial: string;
  readonly sha256: Buffer;
  readonly selectors: readonly string[];
}

const ONE_CERTIFICATE = /^\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*$/;
const ALTERNATIVE_NAME = /(?:^|, )([A-Za-z0-9 ]+):((?:[^",\\]|\\.)*|"(?:[^"\\]|\\.)*")(?=$|, )/y;

/** Node's text of the subject alternative names, taken apart; names that need quoting are left as they are. */
const alternativeNames = (text: string): readonly (readonly [string, string])[] | undefined => {
  const names: [string, string][] = [];
  ALTERNATIVE_NAME.lastIndex = 0;
  while (ALTERNATIVE_NAME.lastIndex < text.length) {
    const match = ALTERNATIVE_NAME.exec(text);
    if (match === null || match[0] === '') return undefined;
    names.push([match[1] ?? '', match[2] ?? '']);
  }
  return names;
};

/** Node writes one RDN a line, most general first; openssl's RFC 2253 the reverse of all, and anything but ASCII as hex pairs. */
const rfc2253 = (lines: string): string =>
  lines.split('\n').reverse().map((line) => line.split(' + ').reverse().join('+')).join(',')
    .replaceAll(/[\u0080-\u{10ffff}]+/gu, (text) => [...Buffer.from(text)].map((byte) => `\\${byte.toString(16).toUpperCase()}`).join(''));

/** The facts of exactly one PEM certificate (URL-encoded as Envoy passes it, or plain), or `undefined`. Never throws. */
export const readCertificate = (pem: string): CertificateFacts | undefined => {
  if (pem.length > CERTIFICATE_CHARS_MAX) return undefined;
  try {
    const text = pem.includes('%') ? decodeURIComponent(pem) : pem;
    if (!ONE_CERTIFICATE.test(text)) return undefined;
    const certificate = new X509Certificate(text);
    const [notBefore, notAfter] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
    const names = alternativeNames(certificate.subjectAltName ?? '');
    if (!isInstant(notBefore) || !isInstant(notAfter) || names === undefined) return undefined;
    const issuer = rfc2253(certificate.issuer);
    const serial = canonicalSerial(certificate.serialNumber);
    if (serial === undefined) return undefined;
    const spki = createHash('sha256').update(certificate.publicKey.export({ type: 'spki', format: 'der' })).digest('hex');
    return {
      uris: names.filter(([type]) => type === 'URI').map(([, name]) => name),
      dns: names.filter(([type]) => type === 'DNS').map(([, name]) => name),
      isAuthority: certificate.ca,
      notBefore,
      notAfter,
      issuer,
      serial,
      sha256: createHash('sha256').update(certificate.raw).digest(),
      selectors: [certificateBySerial(issuer, serial), certificateBySpki(spki)].map((value) => selectorKey({ kind: 'certificate', value })),
    };
  } catch {
    return undefined;
  }
};
