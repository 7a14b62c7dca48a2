/**
 * Reviews of emergency access. The first use of a break-glass grant opens one, in the commit that records the use before the answer; it
 * has a due date, and ends as a drill, as real, or as misuse. One that is overdue stops the person and the entitlement.
 */
import type { Grant } from './grant.ts';
import type { RecordRef } from './grant-refs.ts';
import { plus, type Instant } from './instant.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import type { Selector } from './selector.ts';

export const REVIEW_OUTCOMES = ['drill', 'real', 'misuse'] as const;
export type ReviewOutcome = (typeof REVIEW_OUTCOMES)[number];

/** Where a grant names nobody and no time. */
export const REVIEW_WITHIN_MS = 24 * 3_600_000;

/** The value stored under `review/<grant>`: that the grant was used, and what was made of it. */
export interface Review {
  readonly version: 1;
  readonly grant: string;
  readonly workload: string;
  readonly entitlement?: string;
  readonly owners: readonly string[];
  readonly issuedBy: string;
  readonly reference?: string;
  /** Whose task it is; absent: any approver or responder whom it does not concern. */
  readonly by?: string;
  readonly decision: string;
  readonly pep: string | null;
  readonly usedAt: Instant;
  readonly dueAt: Instant;
  readonly state: 'open' | 'closed';
  /** Ids of the suspensions that it placed when it was overdue. */
  readonly stopped?: readonly string[];
  readonly outcome?: ReviewOutcome;
  readonly note?: string;
  readonly closedBy?: string;
  readonly closedAt?: Instant;
}

export const reviewRef = (grant: string): RecordRef => ({ kind: 'review', id: grant });
/** Present while the review is open. */
export const openReviewRef = (grant: string): RecordRef => ({ kind: 'open-review', id: grant });
/** When access by this entitlement was last tried. */
export const drillRef = (entitlement: string): RecordRef => ({ kind: 'drill', id: entitlement });

export const openReview = (grant: Grant, now: Instant, used: { readonly decision: string; readonly pep: string | null }): Review => ({
  version: 1, grant: grant.id, workload: grant.workload, issuedBy: grant.issuedBy, ...used,
  // Who asked for it stands behind it as its owners do, whoever approved.
  owners: [...new Set([...grant.owners, ...(grant.requestedBy === undefined ? [] : [grant.requestedBy])])],
  usedAt: now, dueAt: plus(now, grant.review?.withinMs ?? REVIEW_WITHIN_MS), state: 'open',
  ...(grant.entitlement === undefined ? {} : { entitlement: grant.entitlement }),
  ...(grant.reference === undefined ? {} : { reference: grant.reference }),
  ...(grant.review === undefined ? {} : { by: grant.review.by }),
});

/** What an alert about it says. */
export const reviewTold = (review: Review): JsonObject => ({
  grant: review.grant, workload: review.workload, entitlement: review.entitlement, owners: review.owners, issuedBy: review.issuedBy,
  reference: review.reference, decision: review.decision, pep: review.pep, usedAt: review.usedAt, dueAt: review.dueAt,
});

/** Who hears of it by name. */
export const reviewRecipients = ({ by, owners }: Pick<Review, 'by' | 'owners'>): readonly string[] => [...new Set([...(by === undefined ? [] : [by]), ...owners])];

const isUser = (person: string): boolean => person.startsWith('user:');

/** What an overdue review stops: the entitlement, and the persons behind; where none is known by name, the workload. */
export const stoppedBy = ({ entitlement, owners, issuedBy, workload }: Review): readonly Selector[] => {
  const persons = [...new Set([...owners, issuedBy])].filter(isUser);
  return [
    ...(entitlement === undefined ? [] : [{ kind: 'entitlement', value: entitlement } as const]),
    ...(persons.length === 0 ? [{ kind: 'workload', value: workload } as const] : persons.map((value): Selector => ({ kind: 'owner', value }))),
  ];
};

export const readReview = (value: JsonObject | undefined): Review | undefined =>
  value !== undefined && isJsonObject(value) && value['version'] === 1 && typeof value['grant'] === 'string' && typeof value['dueAt'] === 'number' && Array.isArray(value['owners'])
    ? (value as unknown as Review)
    : undefined;
