/** Grants: issued access. Never without an end, an owner and a justification. Immutable once committed; state is computed. */
import type { Instant } from './instant.ts';
import type { Scope } from './scope.ts';

export const MODELS = ['time-boxed', 'jit', 'break-glass'] as const;
export type Model = (typeof MODELS)[number];

/** Where and for whom the grant counts. An absent member does not restrict; a present one must contain the value asked. */
export interface Conditions {
  /** Audiences of the presented credential. */
  readonly audience?: readonly string[];
  /** Ids of enforcement points. */
  readonly pep?: readonly string[];
  /** CIDR blocks of the end client's address as the PEP reports it. */
  readonly source?: readonly string[];
}

/** The grant counts only with a credential whose proof of possession was checked for this key. */
export interface Binding {
  /** SHA-256 of the client certificate, base64url (RFC 8705 `x5t#S256`). */
  readonly x5t?: string;
  /** JWK thumbprint of the DPoP key (RFC 7638). */
  readonly jkt?: string;
}

export interface Approval {
  readonly id: string;
  readonly approver: string;
  readonly sequence: number;
}

/** What a grant rests on, and what every ancestor in a delegation rests on: the part that endings can cover. */
export interface GrantCore {
  readonly id: string;
  readonly workload: string;
  readonly scopes: readonly Scope[];
  readonly conditions: Conditions;
  readonly binding?: Binding;
  readonly notBefore: Instant;
  readonly expiresAt: Instant;
  readonly model: Model;
  readonly task?: string;
  readonly entitlement?: string;
  /** Every owner since issue, the current one last. */
  readonly owners: readonly string[];
  readonly approvals: readonly Approval[];
  /** Revision of the bundle under which it was issued. */
  readonly bundleRevision: string;
  /** Grants that this one follows by extension, the first one first; an ending of any of them covers it. */
  readonly lineage?: readonly string[];
  /** Recertification falls due here; overdue denies. */
  readonly recertifyBy?: Instant;
}

export interface Grant extends GrantCore {
  readonly version: 1;
  readonly realm: string;
  /** Epoch of the store that issued it; another epoch does not honour it. */
  readonly epoch: string;
  /**
   * Least position among its access request, the approvals it used and its parent's root. Absent for a direct issue, whose
   * root is its own commit (the record's `created` stamp).
   */
  readonly root?: number;
  readonly issuedBy: string;
  readonly issuedAt: Instant;
  readonly direct: boolean;
  /** The access request that it was issued for. */
  readonly request?: string;
  /** Who asked for it. */
  readonly requestedBy?: string;
  readonly justification: string;
  readonly reference?: string;
  /** How often it may be used; absent means as often as wanted. The count lives in a record of its own. */
  readonly uses?: number;
  readonly tier: string;
  /** Break-glass: who looks at its use afterwards, by when, and who else hears of it. */
  readonly review?: { readonly by: string; readonly withinMs: number; readonly alerts: readonly string[] };
  /** Ancestors of a delegated grant, nearest first, as they were at delegation. Empty for others. */
  readonly chain: readonly GrantCore[];
}
