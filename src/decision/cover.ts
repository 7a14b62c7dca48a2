/** Condition 2: does a revocation or suspension cover the request as such: its credential, workload, issuer, PEP or realm? */
import { coversCredential, type CredentialAge } from '../domain/ending.ts';
import type { Facts } from '../domain/facts.ts';
import { endingRef, type RecordRef } from '../domain/grant-refs.ts';
import type { Reason } from '../domain/reasons.ts';
import { workloadSelectors, type Selector, type SelectorKind } from '../domain/selector.ts';
import { isSegment, parseSpiffeId, SPIFFE_ID_MAX } from '../domain/spiffe-id.ts';
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

/** Realms, gateways, prefixes, trust domains and issuers are those of many identities: one reference for all of them, found by their values. */
const shared = new Map<SelectorKind, Map<string, RecordRef>>();
const SHARED_MAX = 1_000;

const sharedRef = (kind: SelectorKind, value: string): RecordRef => {
  let refs = shared.get(kind);
  if (refs === undefined) shared.set(kind, (refs = new Map<string, RecordRef>()));
  let ref = refs.get(value);
  if (ref === undefined) {
    ref = endingRef({ kind, value });
    if (refs.size >= SHARED_MAX) refs.clear();
    refs.set(value, ref);
  }
  return ref;
};

/** Of the folder that a SPIFFE ID lies in: its prefixes and trust domain, the same for all its workloads. */
const folders = new Map<string, readonly RecordRef[]>();

/** As `workloadSelectors`, as references; thousands of workloads take no room of their own for them. */
const workloadRefs = (workload: string): readonly RecordRef[] => {
  const slash = workload.lastIndexOf('/');
  const folder = workload.slice(0, slash);
  const known = isSegment(workload.slice(slash + 1)) && workload.length <= SPIFFE_ID_MAX ? folders.get(folder) : undefined;
  if (known !== undefined) return known.concat(endingRef({ kind: 'workload', value: workload }), endingRef({ kind: 'workload-prefix', value: workload }));
  const selectors = workloadSelectors(workload);
  const id = parseSpiffeId(workload);
  if (id !== undefined && id.path !== '') {
    if (folders.size >= SHARED_MAX) folders.clear();
    folders.set(folder, selectors.filter(({ value }) => value !== workload).map(({ kind, value }) => sharedRef(kind, value)));
  }
  return selectors.map(endingRef);
};

/** Everything to look up before any grant is known. */
export const coveringSelectors = (evaluation: Evaluation, identity: Identity | undefined): readonly Selector[] =>
  identity === undefined ? surroundings(evaluation) : [...surroundings(evaluation), ...identity.credential.selectors.map(parseKey), ...standsFor(identity)];

/** The records that hold their endings. Made anew each time: to keep them for each credential takes more room than all else that is kept of it. */
export const coveringRefs = (evaluation: Evaluation, identity: Identity | undefined): readonly RecordRef[] => {
  const refs = surroundings(evaluation).map(({ kind, value }) => sharedRef(kind, value));
  if (identity === undefined) return refs;
  // The credential's names are selector keys as they are.
  for (const id of identity.credential.selectors) refs.push({ kind: 'ending', id });
  refs.push(...workloadRefs(identity.workload), sharedRef('issuer', identity.issuer));
  for (const selector of behind(identity)) refs.push(endingRef(selector));
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
