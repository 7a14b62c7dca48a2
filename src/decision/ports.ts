/** What the decision needs from the outside; implemented by identity, policy, store, audit and time, joined in compose. */
import type { DurationMs, Instant, TimeInterval } from '../domain/instant.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';
import type { Evaluation, Identity, Presented } from './evaluation.ts';
import type { DecisionRecord } from './record.ts';

/** The one source of time. */
export interface Clock {
  /** Never runs backwards; `trusted` false denies. */
  now(): TimeInterval & { readonly trusted: boolean };
  /** Milliseconds since some start; counts spans, also fractions. */
  monotonicMs(): number;
}

export type Authenticated =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly reason: Reason };

/** Credential to workload. Never throws; a rejected promise is a denial. Synchronous when the credential is remembered. */
export interface Authenticator {
  authenticate(presented: Presented, context: { readonly realm: string; readonly now: TimeInterval }): Authenticated | Promise<Authenticated>;
}

export type PolicyOutcome =
  | { readonly kind: 'value'; readonly value: JsonValue }
  | { readonly kind: 'undefined' }
  | { readonly kind: 'failed'; readonly reason: Extract<Reason, `policy.${string}`>; readonly detail: string };

/** The active bundle. Synchronous, never throws. */
export interface Policy {
  /** Manifest revision, and SHA-256 (hex) of the bundle as loaded. */
  readonly revision: string;
  readonly digest: string;
  /** Evaluates one entrypoint, such as `curfew/access/decision`. `now` is what Rego sees as `time.now_ns`. */
  evaluate(entrypoint: string, input: JsonObject, now: Instant): PolicyOutcome;
  /** The document at a path that the asker named, such as `shop/authz/allow`: an entrypoint, a part of one, or data; else undefined. Absent: entrypoints only. */
  document?(path: string, input: JsonObject, now: Instant): PolicyOutcome;
  /** Entitlement of the active bundle's `data.curfew.entitlements`, if it is there. */
  entitlement(id: string): JsonObject | undefined;
  entitlementIds(): readonly string[];
}

/** Takes records; never throws, never blocks the answer. */
export interface DecisionSink {
  write(record: DecisionRecord): void;
  /** Asked before a decision begins. `undefined`: its record has a place; else resolves to whether it gets one. Absent: always. */
  place?(): Promise<boolean> | undefined;
}

/** The steps of the pipeline, as traces name them. */
export type Step = 'authenticate' | 'gather' | 'evaluate' | 'guard' | 'claim' | 're-check' | 'record';

/** Watches one decision; neither waits nor throws. */
export interface StepWatch {
  /** This step begins; the one before it is over. */
  step(name: Step): void;
  end(record: DecisionRecord): void;
}

/** Evaluations that stopped a worker before. */
export interface Quarantine {
  /** Notes what is about to be evaluated, for the watchdog; false when it must not be evaluated again. */
  enter(evaluation: Evaluation, identity: Identity | undefined): boolean;
  leave(): void;
}

export interface DecisionLimits {
  readonly decisionDeadlineMs: DurationMs;
  readonly maxFactsAgeMs: DurationMs;
  /** Clock differences of issuers, for revocations of credentials. */
  readonly credentialSkewMs: number;
  readonly pepCacheMaxMs: number;
  /** Header, metadata and query names that the configuration lets a policy set on allow although they are protected. */
  readonly policyMaySet: readonly string[];
}
