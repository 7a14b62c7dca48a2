/** Which grant explains a denial best: the one that failed on the condition closest to an allow, then the one that ends last. */
import type { GrantFact } from '../domain/facts.ts';
import type { Reason } from '../domain/reasons.ts';

/** From far to near. A grant for something else says little; one that was just revoked says it all. */
const NEARNESS: readonly Reason[] = [
  'grant.none', 'grant.condition', 'grant.expired', 'grant.not_yet', 'grant.entitlement', 'grant.recertification', 'grant.ancestor',
  'grant.binding', 'grant.uses_exhausted', 'task.missing', 'task.deadline', 'task.heartbeat', 'task.closed', 'task.paused',
  'grant.revoked', 'grant.suspended',
];

export interface FailedGrant {
  readonly fact: GrantFact;
  readonly reason: Reason;
}

export const isNearer = (candidate: FailedGrant, than: FailedGrant | undefined): boolean => {
  if (than === undefined) return true;
  const difference = NEARNESS.indexOf(candidate.reason) - NEARNESS.indexOf(than.reason);
  return difference !== 0 ? difference > 0 : candidate.fact.grant.expiresAt > than.fact.grant.expiresAt;
};
