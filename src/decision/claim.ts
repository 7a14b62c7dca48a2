/**
 * The `claim` step: one idempotent commit, keyed by the decision's id, for what may happen only once or a limited number of
 * times: a use of a counted grant, a one-time token, a DPoP proof. Nothing to claim is the common case and costs nothing. An
 * unknown outcome denies.
 */
import type { EventType } from '../domain/event-types.ts';
import type { Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import type { RecordRef } from '../domain/grant-refs.ts';
import { grantRef, usesRef } from '../domain/grant-refs.ts';
import type { Reason } from '../domain/reasons.ts';
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

export type ClaimOutcome = { readonly outcome: string };

const once = (id: string, until: Instant): { readonly key: RecordRef; readonly value: JsonObject } => ({
  key: { kind: 'once', id },
  value: { version: 1, until },
});

/** What this decision has to claim, or `undefined` when there is nothing. */
export const claimFor = (evaluation: Evaluation, identity: Identity | undefined, relied: LiveGrant | undefined): ClaimCommit | undefined => {
  const puts = [];
  if (identity?.credential.oneTime !== undefined && identity.credential.expiresAt !== undefined) {
    puts.push(once(`token:${identity.credential.oneTime}`, identity.credential.expiresAt));
  }
  if (identity?.proofOnce !== undefined) puts.push(once(`proof:${identity.proofOnce.id}`, identity.proofOnce.until));
  const grant = relied?.fact.grant;
  const counted = grant?.uses === undefined ? undefined : { key: usesRef(grant.id), max: grant.uses };
  if (puts.length === 0 && counted === undefined) return undefined;
  const by = { decision: evaluation.id, pep: evaluation.pep.id ?? null };
  return {
    realm: evaluation.realm,
    expect: puts.map(({ key }) => ({ key, version: 0 })),
    puts,
    increments: counted === undefined ? [] : [counted],
    events: [
      ...(puts.length === 0 ? [] : [{ type: 'credential.used' as const, about: puts.map(({ key }) => key), ending: false, data: by }]),
      ...(grant === undefined || counted === undefined ? [] : [{ type: 'grant.used' as const, about: [grantRef(grant.id)], ending: false, data: { grant: grant.id, ...by } }]),
    ],
  };
};

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
