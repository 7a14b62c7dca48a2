/**
 * Standing entries: the one exception to "no allow without a live grant", written out in the configuration with an owner, a
 * reason and an end. Every use is counted and reported by the entry's id.
 */
import type { Instant, TimeInterval } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import { scopesCover, type Scope } from '../domain/scope.ts';
import type { Evaluation, Question } from './evaluation.ts';
import type { Conclusion, Progress } from './progress.ts';
import { EMPTY_SHAPING } from './verdict.ts';

export interface StandingEntry {
  readonly id: string;
  readonly match: {
    readonly realms?: readonly string[] | undefined;
    readonly peps?: readonly string[] | undefined;
    readonly scopes: readonly Scope[];
  };
  readonly identity: 'required' | 'optional';
  /** Decide in full, answer allow, count what would have been denied. */
  readonly observe: boolean;
  readonly owner: string;
  readonly reason: string;
  readonly end: Instant;
}

export const findStanding = (entries: readonly StandingEntry[], evaluation: Evaluation, question: Question): StandingEntry | undefined =>
  entries.find(
    ({ match }) =>
      (match.realms === undefined || match.realms.includes(evaluation.realm)) &&
      (match.peps === undefined || (evaluation.pep.id !== undefined && match.peps.includes(evaluation.pep.id))) &&
      scopesCover(match.scopes, question.action, question.resource),
  );

export const standingHolds = (entry: StandingEntry, now: TimeInterval): boolean => now.latest < entry.end;

/** What `observe` lets through: missing access and a policy's no. Never a bad credential, an ending of the realm, or doubt about facts or time. */
export const observable = (reason: Reason, entry: Pick<StandingEntry, 'identity'>): boolean =>
  reason.startsWith('grant.') || reason.startsWith('task.') || reason.startsWith('policy.') || reason === 'obligation.unsupported' ||
  (reason === 'credential.missing' && entry.identity === 'optional');

/** What an entry with `observe` lets through in place of a denial, as far as it may; it is re-checked like every other allow. */
export const observing = ({ standing, identity, now }: Pick<Progress, 'standing' | 'identity' | 'now'>, reason: Reason): Conclusion | undefined => {
  if (standing?.observe !== true || !observable(reason, standing)) return undefined;
  const validUntil = Math.min(standing.end, identity?.credential.expiresAt ?? standing.end) as Instant;
  return now.latest < validUntil ? { standing, validUntil, verdict: { yes: true, shaping: EMPTY_SHAPING }, wouldDeny: reason } : undefined;
};
