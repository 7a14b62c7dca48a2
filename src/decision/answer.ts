/** From what the pipeline concluded, or from what stopped it, to the decision. */
import { plus, type Instant } from '../domain/instant.ts';
import { formatPosition } from '../domain/position.ts';
import type { Reason } from '../domain/reasons.ts';
import { Denied } from './denied.ts';
import type { Allow, Deny, Evaluation } from './evaluation.ts';
import { denialIsWellFormed } from './guard.ts';
import type { DecisionLimits } from './ports.ts';
import type { Conclusion, Progress } from './progress.ts';
import { EMPTY_SHAPING } from './verdict.ts';

const common = (evaluation: Evaluation, progress: Progress, decidedAt: Instant) => ({
  id: evaluation.id,
  realm: evaluation.realm,
  decidedAt,
  policyRevision: progress.policy?.revision ?? '',
  ...(progress.identity === undefined ? {} : { workload: progress.identity.workload }),
  ...(evaluation.rule === undefined || progress.result === undefined ? {} : { result: progress.result }),
  ...(progress.facts === undefined ? {} : { position: formatPosition(progress.facts.position) }),
});

/** `decidedAt` is the instant of the re-check. */
export const allowing = (evaluation: Evaluation, progress: Progress, conclusion: Conclusion, decidedAt: Instant, limits: DecisionLimits): Allow => {
  const { relied, standing, validUntil, verdict, wouldDeny } = conclusion;
  const maxStreamMs = evaluation.question?.stream?.maxMs;
  return {
    ...common(evaluation, progress, decidedAt),
    allow: true,
    shaping: verdict.shaping,
    validUntil,
    cacheUntil: Math.min(validUntil, progress.lease?.leaseEnds ?? validUntil, plus(decidedAt, Math.min(verdict.maxCacheMs ?? 0, limits.pepCacheMaxMs))) as Instant,
    ...(relied === undefined ? {} : { grant: relied.fact.grant.id }),
    ...(standing === undefined ? {} : { standing: standing.id }),
    ...(maxStreamMs === undefined ? {} : { maxStreamMs }),
    ...(wouldDeny === undefined ? {} : { wouldDeny }),
  };
};

export const denying = (evaluation: Evaluation, progress: Progress, error: unknown): Deny => {
  const reason: Reason = error instanceof Denied ? error.reason : 'decision.failed';
  progress.detail = error instanceof Denied ? error.detail : 'unexpected failure';
  const shaping = denialIsWellFormed(progress.denial) ? progress.denial : EMPTY_SHAPING;
  return {
    ...common(evaluation, progress, progress.now.latest), allow: false, reason, shaping,
    ...(progress.nearest === undefined ? {} : { grant: progress.nearest }),
  };
};
