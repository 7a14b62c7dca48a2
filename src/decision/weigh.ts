/** Conditions 2 and 3 for grants: which of them count for the question, and which one explains it best when none does. */
import { judgeGrant, type Circumstances, type Use } from '../domain/judge-grant.ts';
import type { Reason } from '../domain/reasons.ts';
import { specificity } from '../domain/scope.ts';
import { grantSelectorsOf } from './cover.ts';
import type { Evaluation, Question } from './evaluation.ts';
import type { LiveGrant } from './input.ts';
import { isNearer, type FailedGrant } from './nearest.ts';
import type { Progress } from './progress.ts';

interface Ranked extends LiveGrant {
  readonly rank: number;
}

const mostSpecificFirst = (a: Ranked, b: Ranked): number =>
  b.rank - a.rank || b.fact.grant.expiresAt - a.fact.grant.expiresAt || (a.fact.grant.id < b.fact.grant.id ? -1 : 1);

/** Fills `live` (most specific first, then latest end, then id), `faults` and `nearest`; gives the reason of a denial for want of a grant. */
export const weigh = (evaluation: Evaluation, question: Question, progress: Progress, claimed: boolean): Reason => {
  const { facts, identity, now, policy } = progress;
  if (facts === undefined || identity === undefined) return 'grant.none';
  const use: Use = {
    action: question.action, resource: question.resource, audience: identity.audience, pep: evaluation.pep.id,
    source: question.source, confirmed: identity.confirmed, claimed,
  };
  const at: Circumstances = {
    now, facts, selectors: grantSelectorsOf(evaluation, identity), entitlementExists: (id) => policy?.entitlement(id) !== undefined,
  };
  const live: Ranked[] = [];
  let nearest: FailedGrant | undefined;
  for (const group of [facts.grants, facts.ended]) {
    for (const fact of group) {
      const judged = judgeGrant(fact, use, at);
      if (judged.live) {
        live.push({ fact, until: judged.until, rank: specificity(fact.grant.scopes, question.action, question.resource) });
        continue;
      }
      progress.faults.set(fact.grant.id, judged.reason);
      const candidate = { fact, reason: judged.reason };
      if (isNearer(candidate, nearest)) nearest = candidate;
    }
  }
  if (live.length > 1) live.sort(mostSpecificFirst);
  progress.live = live;
  if (nearest !== undefined && nearest.reason !== 'grant.none') {
    progress.nearest = nearest.fact.grant.id;
    return nearest.reason;
  }
  return facts.malformed > 0 ? 'grant.malformed' : 'grant.none';
};
