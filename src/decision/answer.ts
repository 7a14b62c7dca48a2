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

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Of both kinds of decision. Members that are not always there are assigned: on every decision, spreads cost more than all the rest. */
const complete = (decision: Writable<Allow> | Writable<Deny>, evaluation: Evaluation, progress: Progress): void => {
  if (progress.identity !== undefined) decision.workload = progress.identity.workload;
  if (evaluation.rule !== undefined && progress.result !== undefined) decision.result = progress.result;
  if (progress.facts !== undefined) decision.position = formatPosition(progress.facts.position);
};

/** `decidedAt` is the instant of the re-check. */
export const allowing = (evaluation: Evaluation, progress: Progress, conclusion: Conclusion, decidedAt: Instant, limits: DecisionLimits): Allow => {
  const { relied, standing, validUntil, verdict, wouldDeny } = conclusion;
  const maxStreamMs = evaluation.question?.stream?.maxMs;
  const allow: Writable<Allow> = {
    id: evaluation.id,
    realm: evaluation.realm,
    decidedAt,
    policyRevision: progress.policy?.revision ?? '',
    allow: true,
    shaping: verdict.shaping,
    validUntil,
    cacheUntil: Math.min(validUntil, progress.lease?.leaseEnds ?? validUntil, plus(decidedAt, Math.min(verdict.maxCacheMs ?? 0, limits.pepCacheMaxMs))) as Instant,
  };
  complete(allow, evaluation, progress);
  if (relied !== undefined) allow.grant = relied.fact.grant.id;
  if (standing !== undefined) allow.standing = standing.id;
  if (maxStreamMs !== undefined) allow.maxStreamMs = maxStreamMs;
  if (wouldDeny !== undefined) allow.wouldDeny = wouldDeny;
  return allow;
};

export const denying = (evaluation: Evaluation, progress: Progress, error: unknown): Deny => {
  const reason: Reason = error instanceof Denied ? error.reason : 'decision.failed';
  progress.detail = error instanceof Denied ? error.detail : 'unexpected failure';
  const shaping = denialIsWellFormed(progress.denial) ? progress.denial : EMPTY_SHAPING;
  const deny: Writable<Deny> = {
    id: evaluation.id, realm: evaluation.realm, decidedAt: progress.now.latest, policyRevision: progress.policy?.revision ?? '', allow: false, reason, shaping,
  };
  complete(deny, evaluation, progress);
  if (progress.nearest !== undefined) deny.grant = progress.nearest;
  return deny;
};
