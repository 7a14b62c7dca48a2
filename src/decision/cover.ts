/** Condition 2: does a revocation or suspension cover the request as such: its credential, workload, issuer, PEP or realm? */
import { coversCredential, type CredentialAge } from '../domain/ending.ts';
import type { Facts } from '../domain/facts.ts';
import { endingRef, type RecordRef } from '../domain/grant-refs.ts';
import type { Reason } from '../domain/reasons.ts';
import { workloadSelectors, type Selector, type SelectorKind } from '../domain/selector.ts';
import type { Evaluation, Identity } from './evaluation.ts';

const parseKey = (key: string): Selector => {
  const colon = key.indexOf(':');
  return { kind: key.slice(0, colon) as SelectorKind, value: key.slice(colon + 1) };
};

const surroundings = (evaluation: Evaluation): readonly Selector[] => [
  { kind: 'realm', value: evaluation.realm },
  ...(evaluation.pep.id === undefined ? [] : [{ kind: 'pep', value: evaluation.pep.id } as const]),
];

const issuersBehind = (actsFor: Identity['actsFor']): readonly Selector[] => (actsFor?.issuers ?? []).map((value): Selector => ({ kind: 'issuer', value }));

/** Those for whom it acts, and who acted before: what ended for any of them ended for all. */
const behind = ({ actsFor }: Identity): readonly Selector[] =>
  actsFor === undefined ? [] : [...[actsFor.subject, ...actsFor.priorActors, ...actsFor.alsoKnownAs].flatMap(workloadSelectors), ...issuersBehind(actsFor)];

/** Without its credential. */
const standsFor = (identity: Identity): readonly Selector[] => [
  ...workloadSelectors(identity.workload),
  ...behind(identity),
  { kind: 'issuer', value: identity.issuer },
];

/** Realms, gateways, prefixes, trust domains and issuers are those of many identities: one reference for all of them. */
const shared = new Map<string, RecordRef>();
const SHARED_MAX = 1_000;

const sharedRef = (selector: Selector): RecordRef => {
  const made = endingRef(selector);
  const known = shared.get(made.id);
  if (known !== undefined) return known;
  if (shared.size >= SHARED_MAX) shared.clear();
  shared.set(made.id, made);
  return made;
};

/** Everything to look up before any grant is known. */
export const coveringSelectors = (evaluation: Evaluation, identity: Identity | undefined): readonly Selector[] =>
  identity === undefined ? surroundings(evaluation) : [...surroundings(evaluation), ...identity.credential.selectors.map(parseKey), ...standsFor(identity)];

interface Covering {
  readonly realm: string;
  readonly pep: string | undefined;
  readonly refs: readonly RecordRef[];
}

/** By identity object, which authenticators keep for as long as they remember the credential. */
const lastCovering = new WeakMap<Identity, Covering>();

/** The records that hold their endings. Made once for as long as an identity comes through the same gateway. */
export const coveringRefs = (evaluation: Evaluation, identity: Identity | undefined): readonly RecordRef[] => {
  if (identity === undefined) return surroundings(evaluation).map(endingRef);
  const { realm, pep: { id: pep } } = evaluation;
  const last = lastCovering.get(identity);
  if (last?.realm === realm && last.pep === pep) return last.refs;
  // The credential's names are selector keys as they are; the same texts take no room of their own.
  const named = identity.credential.selectors.map((id): RecordRef => ({ kind: 'ending', id }));
  const stands = standsFor(identity).map((selector) => (selector.value === identity.workload ? endingRef(selector) : sharedRef(selector)));
  // `concat` makes a list of that size, where a literal of spreads has room for as many again.
  const refs = surroundings(evaluation).map(sharedRef).concat(named, stands);
  lastCovering.set(identity, { realm, pep, refs });
  return refs;
};

/** Those of them that also cover every grant of the question, by position. */
export const grantSelectorsOf = (evaluation: Evaluation, identity: Identity): readonly Selector[] => [
  ...surroundings(evaluation), { kind: 'issuer', value: identity.issuer }, ...issuersBehind(identity.actsFor),
];

const reasons: Record<'revoked' | 'suspended', (kind: SelectorKind) => Reason> = {
  revoked: (kind) => (kind === 'realm' ? 'realm.revoked' : kind === 'pep' ? 'pep.revoked' : kind.startsWith('workload') ? 'subject.revoked' : 'credential.revoked'),
  suspended: (kind) => (kind === 'realm' ? 'realm.suspended' : kind === 'pep' ? 'pep.suspended' : kind.startsWith('workload') ? 'subject.suspended' : 'credential.suspended'),
};

const ageOf = (identity: Identity | undefined): CredentialAge | undefined => {
  if (identity === undefined) return undefined;
  const { issuedAt, expiresAt, maxAgeMs } = identity.credential;
  if (expiresAt === undefined || (issuedAt === undefined && maxAgeMs === undefined)) return undefined;
  return { expiresAt, maxAgeMs: maxAgeMs ?? (0 as CredentialAge['maxAgeMs']), ...(issuedAt === undefined ? {} : { issuedAt }) };
};

/** A credential named itself is covered whenever it was issued: ids are never used again. */
const namesItself = (kind: SelectorKind): boolean => kind === 'credential' || kind === 'certificate';

export const coverFault = (evaluation: Evaluation, identity: Identity | undefined, facts: Facts, skewMs: number): Reason | undefined => {
  if (facts.endings.size === 0) return undefined;
  const age = ageOf(identity);
  for (const { id } of coveringRefs(evaluation, identity)) {
    const ending = facts.endings.get(id);
    if (ending === undefined) continue;
    const selector = parseKey(id);
    if (namesItself(selector.kind) && ending.revocation !== undefined) return 'credential.revoked';
    const coverage = coversCredential(ending, age, skewMs);
    if (coverage !== undefined) return reasons[coverage](selector.kind);
  }
  return undefined;
};
