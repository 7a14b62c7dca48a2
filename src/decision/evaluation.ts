/** What is asked and by whom: the words of one evaluation, after an adapter has decoded its protocol. */
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { DurationMs, Instant } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import type { ResourceRef } from '../domain/scope.ts';
import type { Turn } from './loop-turns.ts';

export type Protocol = 'forward-auth' | 'ext-authz-http' | 'ext-authz-grpc' | 'self-service' | 'explain' | 'authzen' | 'opa' | 'kubernetes';

/** The enforcement point that asks. Anonymous ones may only ask with a credential that Curfew verifies itself. */
export interface Pep {
  /** `undefined`: it did not prove who it is. */
  readonly id: string | undefined;
  /** Obligation types it can carry out. */
  readonly obligations: readonly string[];
}

/** What the end client presented, not yet believed. */
export type Presented =
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'bearer'; readonly token: string; readonly proof?: ProofOfPossession }
  /** An identity that an authenticated gateway has verified at its TLS listener. */
  | { readonly kind: 'peer'; readonly peer: Peer }
  /** A workload that an authenticated enforcement point names, within what it may assert. */
  | { readonly kind: 'asserted'; readonly workload: string };

/** What came along to prove possession of the key that a token's `cnf` names. */
export interface ProofOfPossession {
  /** DPoP headers, verbatim; exactly one is acceptable. */
  readonly dpop?: { readonly proofs: readonly string[]; readonly method: string; readonly url: string };
  /** SHA-256 of the client's certificate, base64url, as an authenticated gateway verified it. */
  readonly x5t?: string;
}

export interface Peer {
  /** The gateway's word for the peer: URI SAN, else DNS SAN, else subject. */
  readonly principal: string;
  /** The peer's certificate, PEM, where the gateway passes it on. */
  readonly certificatePem?: string;
  /** SHA-256 of the DER certificate, hex, where only that is known (XFCC `Hash`). */
  readonly certificateSha256?: string;
}

/** The access asked for. */
export interface Question {
  readonly action: string;
  readonly resource: ResourceRef;
  /** AuthZEN's context and the like; input to policy only. */
  readonly context?: JsonObject;
  /** The request opens a stream; allowed only with a bound on its length. */
  readonly stream?: { readonly maxMs: DurationMs | undefined };
  /** Address of the end client as the PEP reports it. */
  readonly source?: string;
}

export interface Evaluation {
  /** Decision id, a UUID made when the evaluation arrived. */
  readonly id: string;
  readonly realm: string;
  readonly protocol: Protocol;
  readonly pep: Pep;
  readonly presented: Presented;
  /** The identity that the listener does not use as its subject source; input to policy, never a replacement. */
  readonly otherPeer?: Peer;
  /** Absent only when `refused` says why there is none. */
  readonly question?: Question;
  /** The adapter found the question unacceptable: a denial with this reason, decided and recorded like every other. */
  readonly refused?: Reason;
  /** The protocol's own policy input (opa-envoy-plugin's document, AuthZEN entities). A member `curfew` is refused by the adapter. */
  readonly input: JsonObject;
  /** W3C trace context, carried through. */
  readonly traceparent?: string;
  /**
   * The rule that is asked, as a path, where the question names one (OPA, a route of Envoy); absent: the configured one. With OPA its
   * result may be any value under a standing entry: data, not a decision.
   */
  readonly rule?: string;
  /** What the protocol can't carry to the gateway; an allow that asks for it is denied with `obligation.unsupported`. */
  readonly unable?: Unable;
  /**
   * When the transport sends what is written. Absent: at once. `turn`: with the event loop's turn, which is this question's; `another`: the same, and it has none yet.
   * `read`: at the end of the read that brought the question, as long as nothing was waited for; after a wait like `another`.
   */
  readonly sentWith?: Turn | 'another';
  /** On the decision's monotonic clock, where the question had to wait before it was taken apart. */
  readonly arrivedMs?: number;
}

export interface Unable {
  readonly removeHeaders: boolean;
  /** Set or remove query parameters. */
  readonly query: boolean;
  /** Header names, lower case, that can't be set on allow; `any`: none can. */
  readonly headers: ReadonlySet<string> | 'any';
}

/** On whose behalf a delegated credential is used (`act`): they give nothing, and each of them can end it. */
export interface ActsFor {
  /** The credential's subject. */
  readonly subject: string;
  /** Who acted before the one who acts now, the latest first. */
  readonly priorActors: readonly string[];
  /** Issuers of actors, beside the credential's own. */
  readonly issuers: readonly string[];
  /** Other ids of any of them, by which something may have been ended. */
  readonly alsoKnownAs: readonly string[];
}

/** A verified workload and the credential that proved it. */
export interface Identity {
  /** Canonical URI of the workload; with a delegated credential, of the actor that uses it. */
  readonly workload: string;
  readonly actsFor?: ActsFor;
  readonly kind: 'jwt-svid' | 'oidc' | 'x509' | 'asserted';
  readonly issuer: string;
  readonly audience: readonly string[];
  /** Verified claims, without the raw token; input to policy. */
  readonly claims: JsonObject;
  readonly credential: {
    /** Selector keys that name this credential (jti, signing-input hash, certificate), without those of its workload. */
    readonly selectors: readonly string[];
    readonly issuedAt?: Instant;
    readonly notBefore?: Instant;
    /** Always there for tokens and certificates; absent only for an asserted identity, and for a peer of which the gateway passed on nothing but its name. */
    readonly expiresAt?: Instant;
    /** Bound on `exp - iat` of its issuer; with `expiresAt`. */
    readonly maxAgeMs?: DurationMs;
    /** Short hash of the credential for records: SHA-256, hex, first 16 characters. */
    readonly fingerprint: string;
    /** Set when the issuer's tokens may be used once: the id that `claim` records, kept until `expiresAt`. */
    readonly oneTime?: string;
  };
  /** Keys whose possession was proved for this request. */
  readonly confirmed: { readonly x5t?: string; readonly jkt?: string };
  /** A DPoP proof's `jti`, to be seen once; recorded by `claim` until `until`. */
  readonly proofOnce?: { readonly id: string; readonly until: Instant };
}

/** What the policy asked to change on the way out; checked by the guard before it gets here. */
export interface Shaping {
  /** To the upstream on allow, to the client on deny. */
  readonly headers: readonly (readonly [string, string])[];
  /** To the client on allow. */
  readonly responseHeaders: readonly (readonly [string, string])[];
  readonly removeHeaders: readonly string[];
  readonly setQuery: readonly (readonly [string, string])[];
  readonly removeQuery: readonly string[];
  /** Denials only. */
  readonly body?: string;
  /** Denials only; 4xx. */
  readonly httpStatus?: number;
  readonly metadata?: JsonObject;
  readonly obligations: readonly JsonObject[];
  readonly reasons?: JsonValue;
}

interface DecisionBase {
  readonly id: string;
  readonly realm: string;
  readonly decidedAt: Instant;
  readonly workload?: string;
  readonly shaping: Shaping;
  readonly policyRevision: string;
  /** Position of the facts, formatted; absent when none were read. */
  readonly position?: string;
  /** What the rule said, where the evaluation names one; on a denial also what the guard did not let stand. */
  readonly result?: JsonValue;
}

export interface Allow extends DecisionBase {
  readonly allow: true;
  /** The grant relied on; absent under a standing entry. */
  readonly grant?: string;
  readonly standing?: string;
  /** Earliest instant at which time alone makes a condition false. */
  readonly validUntil: Instant;
  /** Until when a PEP may reuse the answer; `decidedAt` means not at all. */
  readonly cacheUntil: Instant;
  /** Streams end no later than this after they began. */
  readonly maxStreamMs?: DurationMs;
  /** `observe: true` let it through; this is why it would have been denied. */
  readonly wouldDeny?: Reason;
}

export interface Deny extends DecisionBase {
  readonly allow: false;
  readonly reason: Reason;
  /** The nearest grant that did not count. */
  readonly grant?: string;
}

export type Decision = Allow | Deny;
