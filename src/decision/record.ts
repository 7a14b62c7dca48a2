/**
 * What is written down about a decision: enough to replay it (I10), without secrets. Credentials appear as hashes and as
 * verified claims; header values that carry secrets are replaced by `sha256:` and 16 hex characters.
 */
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { Instant, TimeInterval } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import type { ResourceRef } from '../domain/scope.ts';
import type { Protocol } from './evaluation.ts';

export interface DecisionRecord {
  readonly version: 1;
  readonly id: string;
  readonly realm: string;
  readonly protocol: Protocol;
  readonly pep: string | null;
  /** What the decision took for now. */
  readonly now: TimeInterval;
  readonly workload?: string;
  /** With a delegated credential: its subject, and who acted before `workload`, the latest first. */
  readonly onBehalfOf?: { readonly subject: string; readonly priorActors: readonly string[] };
  readonly action?: string;
  readonly resource?: ResourceRef;
  readonly credential?: {
    readonly kind: string;
    readonly issuer: string;
    readonly fingerprint: string;
    readonly issuedAt?: Instant;
    readonly expiresAt?: Instant;
  };
  /** The policy input as evaluated, `curfew` included, secrets replaced; without `curfew` where no policy was asked. */
  readonly input?: JsonObject;
  /** Where secrets were replaced in `input`: JSON Pointers (RFC 6901). Absent: nowhere. */
  readonly masked?: readonly string[];
  readonly policy: {
    readonly revision: string;
    readonly digest: string;
    readonly entrypoint?: string;
    /** What it said about `input`. */
    readonly result?: JsonValue;
    /** Why it said nothing about `input`. */
    readonly fault?: Reason;
  };
  /** The standing entry of the configuration that matched, whether or not it was needed. */
  readonly standing?: { readonly id: string; readonly observe: boolean };
  readonly facts?: {
    readonly position: string;
    readonly endings: { readonly sequence: number; readonly hash: string };
    /** Every grant looked at, with its record's version; `fault` says why it didn't count. */
    readonly grants: readonly { readonly id: string; readonly version: number; readonly fault?: Reason }[];
    readonly tasks: readonly { readonly id: string; readonly version: number; readonly state: string }[];
  };
  readonly result: {
    readonly allow: boolean;
    readonly reason?: Reason;
    readonly grant?: string;
    readonly standing?: string;
    readonly validUntil?: Instant;
    readonly cacheUntil?: Instant;
    readonly wouldDeny?: Reason;
  };
  /** Why, for operators; never on the wire. */
  readonly detail?: string;
  readonly durationUs: number;
  /** From the read of the facts to the re-check, at its start; absent when there was none. */
  readonly factsAgeUs?: number;
  readonly traceparent?: string;
}
