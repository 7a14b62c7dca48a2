/**
 * Rules of reviews: sorted by somebody whom it does not concern; overdue, it stops the person and the entitlement, in one commit with the
 * alert. And what is told once: that emergency access is used too often, or was not tried for too long.
 */
import { alertRef, raise, withAlerts, type Alert } from '../alert.ts';
import { endingRef, grantRef } from '../grant-refs.ts';
import type { Instant } from '../instant.ts';
import type { JsonObject } from '../json.ts';
import { drillRef, openReviewRef, readReview, REVIEW_OUTCOMES, reviewRecipients, reviewRef, reviewTold, stoppedBy, type Review, type ReviewOutcome } from '../review.ts';
import { invalid, refuse, type Actor, type Change, type Loaded, type Rule } from './change.ts';
import { suspensionParts, suspensionRef } from './ending-rules.ts';
import { graceEndNeeds } from './grace-given.ts';
import { isPerson, textFault } from './fields.ts';

export interface CloseReview {
  readonly grant: string;
  readonly outcome: ReviewOutcome;
  readonly note: string;
  /** Persons and teams the operator is or belongs to, beside the actor's own id. */
  readonly persons: readonly string[];
  /** Development: the only operator there is may review its own. */
  readonly anybody: boolean;
}

const asJson = (value: object): JsonObject => value as unknown as JsonObject;
const reviewOf = (loaded: Loaded, grant: string): Review | undefined => readReview(loaded.record(reviewRef(grant))?.value);

const reviewerFault = (review: Review, { persons, anybody }: CloseReview, actor: Actor): string | undefined => {
  if (anybody) return undefined;
  if (!isPerson(actor.id)) return 'this account is not configured as a person, so it may belong to one whom the review concerns';
  const names = new Set([actor.id, ...persons, ...(actor.names ?? [])]);
  if ([...review.owners, review.issuedBy].some((person) => names.has(person))) return 'the review concerns you; another person must do it';
  return review.by === undefined || names.has(review.by) ? undefined : `this review is for ${review.by}`;
};

export const closeReview = (command: CloseReview, actor: Actor): Rule => ({
  ends: false,
  needs: (loaded) => {
    const entitlement = reviewOf(loaded, command.grant)?.entitlement;
    return [reviewRef(command.grant), ...(entitlement === undefined ? [] : [drillRef(entitlement)])];
  },
  judge: (loaded, now) => {
    const review = reviewOf(loaded, command.grant);
    if (review === undefined) return refuse('not-found', 'there is no review of this grant: it is no emergency access, or was not used');
    const fault = textFault(command.note);
    if (fault !== undefined) return invalid([{ path: '/note', message: fault }]);
    if (!REVIEW_OUTCOMES.includes(command.outcome)) return invalid([{ path: '/outcome', message: `must be one of ${REVIEW_OUTCOMES.join(', ')}` }]);
    if (review.state !== 'open') return refuse('state', 'the review is closed already');
    const barred = reviewerFault(review, command, actor);
    if (barred !== undefined) return refuse('not-permitted', barred);
    const closed: Review = { ...review, state: 'closed', outcome: command.outcome, note: command.note, closedBy: actor.id, closedAt: now.latest };
    const drill = command.outcome === 'drill' && review.entitlement !== undefined ? [{ key: drillRef(review.entitlement), value: { version: 1, entitlement: review.entitlement, lastAt: review.usedAt } }] : [];
    const change: Change = {
      puts: [{ key: reviewRef(review.grant), value: asJson(closed) }, ...drill],
      drops: [openReviewRef(review.grant)],
      events: [{ type: 'emergency.reviewed', about: [reviewRef(review.grant), grantRef(review.grant)], ending: false, data: { review: asJson(closed), by: actor.id } }],
      reply: { review: asJson(closed) },
    };
    const misused = raise('break-glass.misused', review.grant, now.latest, { ...reviewTold(closed), note: command.note, by: actor.id }, reviewRecipients(closed));
    return { ok: true, change: command.outcome === 'misuse' ? withAlerts(change, [misused]) : change };
  },
});

/** Stops what an overdue review stops, once. */
export const overdueReview = (grant: string, settleMs: number, actor: Actor): Rule => {
  const stops = (review: Review) => stoppedBy(review).map((selector, index) => ({ id: `${grant}-review-${index + 1}`, selector, reason: `the review of emergency access ${grant} is overdue`, settleMs }));
  return {
    ends: true,
    needs: (loaded) => {
      const review = reviewOf(loaded, grant);
      return [reviewRef(grant), ...(review === undefined ? [] : stops(review).flatMap(({ id, selector }) => [endingRef(selector), suspensionRef(id), ...graceEndNeeds(loaded, selector)]))];
    },
    judge: (loaded, now) => {
      const review = reviewOf(loaded, grant);
      if (review === undefined || review.state !== 'open' || review.stopped !== undefined) return refuse('state', 'there is nothing to stop');
      if (now.latest < review.dueAt) return refuse('state', 'the review is not due yet');
      const parts = stops(review).flatMap((command) => suspensionParts(command, loaded, actor) ?? []);
      const stopped: Review = { ...review, stopped: parts.map(({ id }) => id) };
      const change: Change = {
        puts: [{ key: reviewRef(grant), value: asJson(stopped) }, ...parts.flatMap(({ puts }) => puts)],
        events: [
          { type: 'emergency.overdue', about: [reviewRef(grant), grantRef(grant)], ending: false, data: { review: asJson(stopped), by: actor.id } },
          ...parts.map(({ event }) => event),
        ],
        reply: { review: asJson(stopped) },
      };
      return { ok: true, change: withAlerts(change, [raise('break-glass.review-overdue', grant, now.latest, reviewTold(review), reviewRecipients(review))]) };
    },
  };
};

/** Raises an alert that has no change to come with; one of this id that is there already stays the only one. */
export const raiseOnce = (make: (now: Instant) => Alert, actor: Actor): Rule => {
  const { id } = make(0 as Instant);
  return {
    ends: false,
    needs: () => [alertRef(id)],
    judge: (loaded, now) => {
      const record = loaded.record(alertRef(id));
      if (record !== undefined) return { ok: true, unchanged: { sequence: record.modified.sequence, reply: {} } };
      const change: Change = { puts: [], events: [{ type: 'alert.raised', about: [alertRef(id)], ending: false, data: { by: actor.id } }], reply: {} };
      return { ok: true, change: withAlerts(change, [make(now.latest)]) };
    },
  };
};

export interface Drill {
  readonly entitlement: string;
  /** From when on it counts: the last drill, or when the entitlement was first seen. */
  readonly lastAt?: Instant;
  readonly since?: Instant;
}

export const readDrill = (value: JsonObject | undefined): Drill | undefined =>
  value !== undefined && value['version'] === 1 && typeof value['entitlement'] === 'string' ? (value as unknown as Drill) : undefined;

/** Notes that the entitlement is there: from now on its drills are counted. */
export const noteEntitlement = (entitlement: string, actor: Actor): Rule => ({
  ends: false,
  needs: () => [drillRef(entitlement)],
  judge: (loaded, now) => {
    const record = loaded.record(drillRef(entitlement));
    if (record !== undefined) return { ok: true, unchanged: { sequence: record.modified.sequence, reply: {} } };
    const value = { version: 1, entitlement, since: now.latest };
    return { ok: true, change: { puts: [{ key: drillRef(entitlement), value }], events: [{ type: 'emergency.known', about: [drillRef(entitlement)], ending: false, data: { entitlement, by: actor.id } }], reply: {} } };
  },
});
