/** The peer that a gateway verified, from `x-forwarded-client-cert`; believed only where the configuration says so (THREATS A5). */
import { X509Certificate } from 'node:crypto';
import type { Peer } from '../../decision/evaluation.ts';
import type { Reason } from '../../domain/reasons.ts';
import { parseXfcc } from '../../identity/xfcc.ts';
import type { PepConfig } from '../config.ts';
import type { HttpRequest } from './request.ts';

export type ClientCertificate =
  /** `x5t`: SHA-256 of the DER certificate, base64url. */
  | { readonly ok: true; readonly peer?: Peer; readonly x5t?: string | undefined }
  | { readonly ok: false; readonly reason: Extract<Reason, 'credential.malformed'> };

const malformed = { ok: false, reason: 'credential.malformed' } as const;

const sha256Of = (pem: string): string | undefined => {
  try {
    return new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
  } catch {
    return undefined;
  }
};

/** Exactly one header line that reads in one way, or none; anything else is a bad credential, which denies. */
export const readClientCertificate = (headers: HttpRequest['headers'], xfcc: PepConfig['xfcc']): ClientCertificate => {
  const lines = headers.get('x-forwarded-client-cert');
  if (xfcc === undefined || lines === undefined) return { ok: true };
  const peer = lines.length === 1 ? parseXfcc(lines[0] as string, xfcc) : undefined;
  if (peer === undefined) return malformed;
  const { certificatePem, certificateSha256 } = peer;
  const computed = certificatePem === undefined ? certificateSha256 : sha256Of(certificatePem);
  if (certificatePem !== undefined && (computed === undefined || (certificateSha256 !== undefined && certificateSha256 !== computed))) return malformed;
  return { ok: true, peer, x5t: computed === undefined ? undefined : Buffer.from(computed, 'hex').toString('base64url') };
};
