/**
 * Selectors: what a revocation or suspension names. Each selector has one injective key; a decision looks up the keys of
 * everything it relies on, so an ending costs one write however many grants it covers.
 */
import { parseSpiffeId } from './spiffe-id.ts';

export const SELECTOR_KINDS = [
  'grant', 'task', 'entitlement', 'owner', 'approver', 'bundle-revision',
  'workload', 'workload-prefix', 'issuer', 'trust-domain', 'pep', 'realm',
  'credential', 'certificate',
] as const;
export type SelectorKind = (typeof SELECTOR_KINDS)[number];

/** `value` in canonical text form; see `credentialValue` and `certificateValue` for the two that are composed. */
export interface Selector {
  readonly kind: SelectorKind;
  readonly value: string;
}

/** Injective: kinds contain no `:`, so the first one ends the kind. */
export const selectorKey = (selector: Selector): string => `${selector.kind}:${selector.value}`;

/** Two ways to name one JWT: by issuer and `jti`, or by the SHA-256 (hex) of its signing input. JSON keeps the pair injective. */
export const credentialByJti = (issuer: string, jti: string): string => `jti:${JSON.stringify([issuer, jti])}`;
export const credentialByHash = (sha256Hex: string): string => `sha256:${sha256Hex}`;
/** A certificate by issuer distinguished name and serial (hex, lower case), or by SHA-256 (hex) of its public key info. */
export const certificateBySerial = (issuer: string, serialHex: string): string => `serial:${JSON.stringify([issuer, serialHex])}`;
export const certificateBySpki = (sha256Hex: string): string => `spki:${sha256Hex}`;

/** The trust domain of a SPIFFE ID, else `undefined`. */
export const trustDomainOf = (workload: string): string | undefined => parseSpiffeId(workload)?.trustDomain;

/** Every prefix of a SPIFFE ID in whole path segments, itself included: `spiffe://td/a/b` gives `spiffe://td`, `.../a`, `.../a/b`. */
export const workloadPrefixes = (workload: string): readonly string[] => {
  const id = parseSpiffeId(workload);
  if (id === undefined) return [];
  const prefixes = [`spiffe://${id.trustDomain}`];
  for (const segment of id.path.split('/').slice(1)) prefixes.push(`${prefixes[prefixes.length - 1]}/${segment}`);
  return prefixes;
};

/** Selectors that cover an identity as such: its grants by position and its credentials by time. */
export const workloadSelectors = (workload: string): readonly Selector[] => {
  const trustDomain = trustDomainOf(workload);
  return [
    { kind: 'workload', value: workload },
    ...workloadPrefixes(workload).map((value): Selector => ({ kind: 'workload-prefix', value })),
    ...(trustDomain === undefined ? [] : [{ kind: 'trust-domain', value: trustDomain } as const]),
  ];
};
