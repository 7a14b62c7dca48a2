/** From what the pipeline concluded, or from what stopped it, to the decision. */
import { plus, type Instant } from '../domain/instant.ts';
import { formatPosition } from '../domain/position.ts';
import type { Reason } from '../domain/reasons.ts';
import { Denied } from './denied.ts';
import type { Decision, Evaluation } from './evaluation.ts';
import { denialIsWellFormed } from './guard.ts';
import type { DecisionLimits } from './ports.ts';
import type { Conclusion, Progress } from './progress.ts';
import { observable, standingHolds } from './standing.ts';
import { EMPTY_SHAPING } from './verdict.ts';

const common = (evaluation: Evaluation, progress: Progress) => ({
  id: evaluation.id,
  realm: evaluation.realm,
  decidedAt: progress.now.latest,
  policyRevision: progress.policy?.revision ?? '',
  ...(progress.identity === undefined ? {} : { workload: progress.identity.workload }),
  ...(progress.facts === undefined ? {} : { position: formatPosition(progress.facts.position) }),
});

export const allowing = (evaluation: Evaluation, progress: Progress, conclusion: Conclusion, limits: DecisionLimits): Decision => {
  const decidedAt = progress.now.latest;
  const { relied, standing, validUntil, verdict } = conclusion;
  const maxStreamMs = evaluation.question?.stream?.maxMs;
  return {
    ...common(evaluation, progress),
    allow: true,
    shaping: verdict.shaping,
    validUntil,
    cacheUntil: Math.min(validUntil, plus(decidedAt, Math.min(verdict.maxCacheMs ?? 0, limits.pepCacheMaxMs))) as Instant,
    ...(relied === undefined ? {} : { grant: relied.fact.grant.id }),
    ...(standing === undefined ? {} : { standing: standing.id }),
    ...(maxStreamMs === undefined ? {} : { maxStreamMs }),
  };
};

export const denying = (evaluation: Evaluation, progress: Progress, error: unknown): Decision => {
  const reason: Reason = error instanceof Denied ? error.reason : 'decision.failed';
  progress.detail = error instanceof Denied ? error.detail : 'unexpected failure';
  const { standing } = progress;
  if (standing?.observe === true && standingHolds(standing, progress.now) && observable(reason, standing) && evaluation.question !== undefined) {
    const until = Math.min(standing.end, progress.identity?.credential.expiresAt ?? standing.end) as Instant;
    return {
      ...common(evaluation, progress), allow: true, shaping: EMPTY_SHAPING, standing: standing.id, wouldDeny: reason,
      validUntil: until, cacheUntil: progress.now.latest,
    };
  }
  const shaping = denialIsWellFormed(progress.denial) ? progress.denial : EMPTY_SHAPING;
  return {
    ...common(evaluation, progress), allow: false, reason, shaping,
    ...(progress.nearest === undefined ? {} : { grant: progress.nearest }),
  };
};
