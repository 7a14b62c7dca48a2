/** Who an operator is and what they may do, as their credential was verified. */
import type { Role } from '../domain/lifecycle/roles.ts';

export interface Principal {
  /** `development`: the operator token of development. `bootstrap`: the first start's, which configures operators only. */
  readonly kind: 'operator' | 'development' | 'bootstrap';
  /** `user:...` where the account is mapped to a person, else the account itself. */
  readonly id: string;
  readonly roles: readonly Role[];
  readonly groups: readonly string[];
  /** Every id under which this person could be named in a record: their own, their account's, their teams'. */
  readonly persons: readonly string[];
  /** The clock is not trusted: the token is in time by the time of this process, which may be wrong. Only what `worksUntimed` is open to it. */
  readonly untimed?: true;
}

/** A bearer token to a principal of this realm; `undefined` for anything that is not valid now. Never throws. */
export type AuthenticateOperator = (token: string, realm: string) => Promise<Principal | undefined>;
