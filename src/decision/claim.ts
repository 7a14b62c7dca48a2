/**
 * The `claim` step: one idempotent commit, keyed by the decision's id, for what may happen only once or a limited number of
 * times: a use of a counted grant, a one-time token, a DPoP proof, the first use of emergency access with its alert and its review.
 * Nothing to claim is the common case and costs nothing. An unknown outcome denies.
 */
import { alertPuts, raise } from '../domain/alert.ts';
import type { EventType } from '../domain/event-types.ts';
import type { Grant } from '../domain/grant.ts';
import type { Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import type { RecordRef } from '../domain/grant-refs.ts';
import { grantRef, usesRef } from '../domain/grant-refs.ts';
import type { Reason } from '../domain/reasons.ts';
import { openReview, openReviewRef, reviewRecipients, reviewRef, reviewTold } from '../domain/review.ts';
import type { Evaluation, Identity } from './evaluation.ts';
import type { LiveGrant } from './input.ts';

/** The part of a store's commit that a claim needs. */
export interface ClaimCommit {
  readonly realm: string;
  readonly expect: readonly { readonly key: RecordRef; readonly version: number }[];
  readonly puts: readonly { readonly key: RecordRef; readonly value: JsonObject }[];
  readonly increments: readonly { readonly key: RecordRef; readonly max: number }[];
  readonly events: readonly {
    readonly type: EventType;
    readonly about: readonly RecordRef[];
    readonly ending: boolean;
    readonly data: JsonObject;
  }[];
}

export type ClaimOutcome = { readonly outcome: string; readonly key?: RecordRef };

const once = (id: string, until: Instant): { readonly key: RecordRef; readonly value: JsonObject } => ({
  key: { kind: 'once', id },
  value: { version: 1, until },
});

/** The first use of emergency access: it is heard of, and will be looked at. */
const firstUse = (grant: Grant, now: Instant, by: { readonly decision: string; readonly pep: string | null }) => {
  const review = openReview(grant, now, by);
  const alert = raise('break-glass.used', grant.id, now, reviewTold(review), [...new Set([...reviewRecipients(review), ...(grant.review?.alerts ?? [])])]);
  return {
    expect: [{ key: reviewRef(grant.id), version: 0 }],
    puts: [{ key: reviewRef(grant.id), value: review as unknown as JsonObject }, { key: openReviewRef(grant.id), value: { version: 1 } }, ...alertPuts(alert)],
    events: [{ type: 'emergency.used' as const, about: [grantRef(grant.id), reviewRef(grant.id)], ending: false, data: { grant: grant.id, alerts: [alert.id], ...by } }],
  };
};

const NOTHING = { expect: [], puts: [], events: [] };

/** What this decision has to claim, or `undefined` when there is nothing. */
export const claimFor = (evaluation: Evaluation, identity: Identity | undefined, relied: LiveGrant | undefined, now: Instant): ClaimCommit | undefined => {
  const puts = [];
  if (identity?.credential.oneTime !== undefined && identity.credential.expiresAt !== undefined) {
    puts.push(once(`token:${identity.credential.oneTime}`, identity.credential.expiresAt));
  }
  if (identity?.proofOnce !== undefined) puts.push(once(`proof:${identity.proofOnce.id}`, identity.proofOnce.until));
  const grant = relied?.fact.grant;
  const counted = grant?.uses === undefined ? undefined : { key: usesRef(grant.id), max: grant.uses };
  const emergency = grant?.model === 'break-glass' && relied?.fact.used !== true;
  if (puts.length === 0 && counted === undefined && !emergency) return undefined;
  const by = { decision: evaluation.id, pep: evaluation.pep.id ?? null };
  const first = grant !== undefined && emergency ? firstUse(grant, now, by) : NOTHING;
  return {
    realm: evaluation.realm,
    expect: [...puts.map(({ key }) => ({ key, version: 0 })), ...first.expect],
    puts: [...puts, ...first.puts],
    increments: counted === undefined ? [] : [counted],
    events: [
      ...(puts.length === 0 ? [] : [{ type: 'credential.used' as const, about: puts.map(({ key }) => key), ending: false, data: by }]),
      ...(grant === undefined || counted === undefined ? [] : [{ type: 'grant.used' as const, about: [grantRef(grant.id)], ending: false, data: { grant: grant.id, ...by } }]),
      ...first.events,
    ],
  };
};

/** Another decision recorded the first use in between; nothing of this claim happened, and the next one finds it recorded. */
export const firstUseTaken = ({ outcome, key }: ClaimOutcome): boolean => outcome === 'conflict' && key?.kind === 'review';

/** `undefined` when the claim is ours. */
export const claimFault = ({ outcome }: ClaimOutcome): Reason | undefined => {
  switch (outcome) {
    case 'committed':
      return undefined;
    case 'conflict':
      return 'credential.replayed';
    case 'exhausted':
      return 'grant.uses_exhausted';
    default:
      return 'claim.unknown';
  }
};
