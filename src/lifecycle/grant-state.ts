/** A grant's state for people, by the same pure function as decisions use. */
import type { Facts, GrantFact } from '../domain/facts.ts';
import type { Grant } from '../domain/grant.ts';
import { endingRef, grantRefs, type RecordRef } from '../domain/grant-refs.ts';
import type { TimeInterval } from '../domain/instant.ts';
import { judgeStanding, type Circumstances } from '../domain/judge-grant.ts';
import { workloadSelectors, type Selector } from '../domain/selector.ts';
import type { GrantState } from './view.ts';
import { workloadIssuers } from './workload-issuers.ts';

/** Selectors that cover every grant of a question in its realm, as far as they can be known without one. */
export const surroundings = (grant: Grant): readonly Selector[] => [
  { kind: 'realm', value: grant.realm },
  ...workloadIssuers(grant.workload).map((value): Selector => ({ kind: 'issuer', value })),
];

export const stateRefs = (grant: Grant): readonly RecordRef[] => [...grantRefs(grant), ...[...workloadSelectors(grant.workload), ...surroundings(grant)].map(endingRef)];

const stateOf = (fact: GrantFact, at: Circumstances): GrantState => {
  if (fact.usesLeft !== undefined && !(fact.usesLeft > 0)) return { state: 'ended', endedBecause: 'grant.uses_exhausted' };
  const judged = judgeStanding(fact, at);
  if (judged.live) return { state: 'active' };
  if (judged.reason !== 'grant.not_yet') return { state: 'ended', endedBecause: judged.reason };
  // Not begun: what would be said of it had it begun now?
  const begun = judgeStanding({ ...fact, grant: { ...fact.grant, notBefore: at.now.earliest } }, at);
  return begun.live ? { state: 'scheduled' } : { state: 'ended', endedBecause: begun.reason };
};

export const grantState = (fact: GrantFact, facts: Facts, now: TimeInterval, entitlementExists: (id: string) => boolean): GrantState =>
  stateOf(fact, { now, facts, selectors: surroundings(fact.grant), entitlementExists });
