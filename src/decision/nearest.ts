/**
 * Which grant explains a denial best: one that covers the question before one that is for something else or somewhere else,
 * and of several the one issued last, because that is the access its owner thinks of.
 */
import type { GrantFact } from '../domain/facts.ts';
import type { Reason } from '../domain/reasons.ts';

const distance = (reason: Reason): number => (reason === 'grant.none' ? 2 : reason === 'grant.condition' || reason === 'grant.binding' ? 1 : 0);

export interface FailedGrant {
  readonly fact: GrantFact;
  readonly reason: Reason;
}

export const isNearer = (candidate: FailedGrant, than: FailedGrant | undefined): boolean => {
  if (than === undefined) return true;
  const difference = distance(than.reason) - distance(candidate.reason);
  return difference !== 0 ? difference > 0 : candidate.fact.grant.issuedAt > than.fact.grant.issuedAt;
};
