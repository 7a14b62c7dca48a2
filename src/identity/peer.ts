/**
 * A peer that an authenticated gateway verified at its TLS listener, as a workload: a SPIFFE ID of a configured trust domain
 * whose issuer accepts peers. With the certificate at hand its name must be that ID and it must be in time (X509-SVID,
 * sections 2, 3 and 4.1); without it there is no end, and nothing that a revocation could name but the workload itself.
 */
import { hash } from 'node:crypto';
import type { Identity, Peer } from '../decision/evaluation.ts';
import type { DurationMs, Instant, TimeInterval } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import { parseSpiffeId } from '../domain/spiffe-id.ts';
import type { CertificateFacts } from './certificate.ts';
import type { SpiffeConfig } from './config.ts';
import type { Issuers } from './issuer.ts';

const certificateFault = (facts: CertificateFacts, peer: Peer, config: SpiffeConfig, now: TimeInterval): Reason | undefined => {
  if (peer.certificateSha256 !== undefined && peer.certificateSha256.toLowerCase() !== facts.sha256.toString('hex')) return 'credential.malformed';
  if (facts.isAuthority || facts.uris.length !== 1 || facts.uris[0] !== peer.principal) return 'credential.claims';
  if (!(now.earliest >= facts.notBefore + config.leewayMs)) return 'credential.not_yet';
  if (!(now.latest < facts.notAfter - config.leewayMs)) return 'credential.expired';
  return facts.notAfter - facts.notBefore <= config.maxCertificateAgeMs ? undefined : 'credential.too_old';
};

const SHA256_HEX = /^[0-9a-fA-F]{64}$/;

/** `certificate` is what `peer.certificatePem` says, when the peer has one. */
export const identifyPeer = (peer: Peer, certificate: CertificateFacts | undefined, issuers: Issuers, realm: string, now: TimeInterval): Identity | Reason => {
  const id = parseSpiffeId(peer.principal);
  if (id === undefined || id.path === '') return 'subject.malformed';
  const issuer = issuers.ofTrustDomain(id.trustDomain, realm);
  if (issuer?.config.kind !== 'spiffe' || !issuer.config.peers) return 'credential.issuer';
  if (peer.certificatePem !== undefined && certificate === undefined) return 'credential.malformed';
  if (peer.certificateSha256 !== undefined && !SHA256_HEX.test(peer.certificateSha256)) return 'credential.malformed';
  const { config } = issuer;
  const fault = certificate === undefined ? undefined : certificateFault(certificate, peer, config, now);
  if (fault !== undefined) return fault;

  const sha256 = certificate?.sha256 ?? (peer.certificateSha256 === undefined ? undefined : Buffer.from(peer.certificateSha256, 'hex'));
  return {
    workload: peer.principal,
    kind: 'x509',
    issuer: issuer.name,
    audience: [],
    claims: certificate === undefined ? {} : { certificate: { issuer: certificate.issuer, serial: certificate.serial, dns: certificate.dns } },
    credential: {
      selectors: certificate?.selectors ?? [],
      ...(certificate === undefined ? {} : {
        issuedAt: certificate.notBefore,
        notBefore: (certificate.notBefore + config.leewayMs) as Instant,
        expiresAt: (certificate.notAfter - config.leewayMs) as Instant,
        maxAgeMs: config.maxCertificateAgeMs as DurationMs,
      }),
      fingerprint: (sha256?.toString('hex') ?? hash('sha256', peer.principal)).slice(0, 16),
    },
    confirmed: sha256 === undefined ? {} : { x5t: sha256.toString('base64url') },
  };
};
