/**
 * Endings: the recorded facts that take access away by selector. One record per selector holds its latest revocation and the
 * suspensions that stand on it. Revocation is final; a suspension ends when it is lifted.
 */
import type { DurationMs, Instant } from './instant.ts';

export interface Suspension {
  readonly id: string;
  readonly placedBy: string;
  readonly reason: string;
}

/**
 * Endings up to here may have been dropped from the realm's store, because nothing that they covered was left. Whatever is as old as
 * this counts as covered all the same, so that dropping them let nothing through that they would have stopped.
 */
export interface Floor {
  readonly sequence: number;
  readonly at: Instant;
}

/** The value stored under `ending/<selector key>`. */
export interface EndingRecord {
  readonly version: 1;
  readonly selector: string;
  /** Id of the latest revocation; where and when it happened is in `revokedAt` and `revokedSequence`. */
  readonly revocation?: string;
  readonly suspensions: readonly Suspension[];
  /** Of the realm; stands on the record of its own selector, which every decision reads. */
  readonly floor?: Floor;
  /** Of the realm, beside the floor: epochs before a restore whose grants count all the same, because what had ended since is known. */
  readonly honours?: readonly string[];
}

/** What a decision knows about one selector. `revokedSequence` and `revokedAt` stand for the latest revocation. */
export interface Ending {
  readonly selector: string;
  readonly revocation?: string;
  readonly revokedSequence?: number;
  readonly revokedAt?: Instant;
  readonly suspensions: readonly Suspension[];
  readonly floor?: Floor;
  readonly honours?: readonly string[];
}

/** When a credential came to be, as far as it says so. */
export interface CredentialAge {
  readonly issuedAt?: Instant;
  readonly expiresAt: Instant;
  /** `exp - iat` of its issuer is bounded by this, so a credential without `iat` is at most this old at `exp`. */
  readonly maxAgeMs: DurationMs;
}

export type Coverage = 'revoked' | 'suspended' | undefined;

/** Does the ending cover a grant with this root? A root that is not a number counts as covered. */
export const coversGrant = (ending: Ending | undefined, root: number): Coverage => {
  if (ending === undefined) return undefined;
  if (ending.suspensions.length > 0) return 'suspended';
  if (ending.floor !== undefined && !(root > ending.floor.sequence)) return 'revoked';
  if (ending.revocation === undefined) return undefined;
  const after = ending.revokedSequence !== undefined && root > ending.revokedSequence;
  return after ? undefined : 'revoked';
};

/**
 * Does the ending cover a credential? One that was issued up to `skewMs` after the revocation is covered: clocks of issuers
 * differ from ours. Without `iat` it is covered as long as it could still stem from before.
 */
export const coversCredential = (ending: Ending | undefined, age: CredentialAge | undefined, skewMs: number): Coverage => {
  if (ending === undefined) return undefined;
  if (ending.suspensions.length > 0) return 'suspended';
  // An asserted identity without any instant is not covered as a credential; its grants are.
  if (age === undefined) return undefined;
  const earliestIssue = age.issuedAt ?? age.expiresAt - age.maxAgeMs;
  if (ending.floor !== undefined && !(earliestIssue > ending.floor.at + skewMs)) return 'revoked';
  if (ending.revocation === undefined) return undefined;
  if (ending.revokedAt === undefined) return 'revoked';
  return earliestIssue > ending.revokedAt + skewMs ? undefined : 'revoked';
};
