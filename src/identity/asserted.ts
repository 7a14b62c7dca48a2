/**
 * A workload that an authenticated enforcement point asserts: the canonical id of an issuer that is configured for the realm. Nothing
 * proves it but that enforcement point's word, so it has no end and no instant of its own: revocations of credentials don't cover it
 * (those of its workload and issuer cover its grants), suspensions do. Whether the enforcement point may say so is judged before.
 */
import { hash } from 'node:crypto';
import type { Identity } from '../decision/evaluation.ts';
import { isOidcId, WORKLOAD_CHARS_MAX } from '../domain/lifecycle/fields.ts';
import type { Reason } from '../domain/reasons.ts';
import { parseSpiffeId } from '../domain/spiffe-id.ts';
import { issuerHostAndPath } from './id-template.ts';
import type { Issuer, Issuers } from './issuer.ts';

/** The longest host and path that the id begins with; templates begin with it as well. */
const oidcIssuerOf = (workload: string, { all }: Issuers, realm: string): Issuer | undefined => {
  const rated = all.flatMap((issuer) => {
    if (issuer.config.kind !== 'oidc' || !issuer.servesRealm(realm)) return [];
    const beginning = `oidc:${issuerHostAndPath(issuer.config.issuer)}/`;
    return workload.startsWith(beginning) ? [{ issuer, length: beginning.length }] : [];
  });
  return rated.toSorted((a, b) => b.length - a.length)[0]?.issuer;
};

export const identifyAsserted = (workload: string, issuers: Issuers, realm: string): Identity | Reason => {
  const id = parseSpiffeId(workload);
  const canonical = id === undefined ? isOidcId(workload) : id.path !== '';
  if (!canonical || workload.length > WORKLOAD_CHARS_MAX) return 'subject.malformed';
  const issuer = id === undefined ? oidcIssuerOf(workload, issuers, realm) : issuers.ofTrustDomain(id.trustDomain, realm);
  if (issuer === undefined) return 'credential.issuer';
  return {
    workload, kind: 'asserted', issuer: issuer.name, audience: [], claims: {},
    credential: { selectors: [], fingerprint: hash('sha256', workload).slice(0, 16) },
    confirmed: {},
  };
};
