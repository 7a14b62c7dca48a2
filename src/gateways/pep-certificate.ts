/** What identifies an enforcement point in its client certificate. The listener has verified the chain already. */
import type { X509Certificate } from 'node:crypto';
import type { PepCertificate } from './pep.ts';

/** Node writes names that could be misread in quotes (JSON); those are no identity here. */
const ALTERNATIVE_NAME = /(?:^|, )(URI|DNS):([^",]+)(?=, |$)/g;

export const pepCertificateOf = (certificate: X509Certificate): PepCertificate => ({
  sans: [...(certificate.subjectAltName ?? '').matchAll(ALTERNATIVE_NAME)].map((match) => match[2] as string),
  sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
});
