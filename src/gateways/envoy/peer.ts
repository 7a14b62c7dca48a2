/** The peer that Envoy verified at its TLS listener. Believed only from an enforcement point that proved itself. */
import { createHash } from 'node:crypto';
import type { Peer } from '../../decision/evaluation.ts';
import type { AttributePeer } from './check-request.ts';

const PEM = /^\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/;
const CERTIFICATE_CHARS_MAX = 65_536;

const pemOf = ({ certificate }: AttributePeer): string | undefined => {
  if (certificate === undefined || certificate.length > CERTIFICATE_CHARS_MAX) return undefined;
  try {
    return decodeURIComponent(certificate);
  } catch {
    return undefined;
  }
};

export const peerOf = (source: AttributePeer | undefined): Peer | undefined => {
  if (source?.principal === undefined) return undefined;
  const certificatePem = pemOf(source);
  return { principal: source.principal, ...(certificatePem === undefined ? {} : { certificatePem }) };
};

/** SHA-256 of the DER certificate, base64url; only where Envoy passes the certificate on. */
export const thumbprintOf = (peer: Peer | undefined): string | undefined => {
  const body = PEM.exec(peer?.certificatePem ?? '')?.[1];
  return body === undefined ? undefined : createHash('sha256').update(Buffer.from(body, 'base64')).digest('base64url');
};
