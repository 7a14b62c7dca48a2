/**
 * Operator credentials to principals. Roles come from the groups of the token, or of the people source where that says which they are, and from
 * the operator's record in the realm; an account that no person is configured for stays an account, and is nobody's approver. One that was a
 * person's and was taken from them is nobody's: what came with the person, and by groups, is gone.
 */
import type { Authenticator, Clock } from '../decision/ports.ts';
import { coversCredential } from '../domain/ending.ts';
import type { DurationMs } from '../domain/instant.ts';
import { isJsonObject, type JsonValue } from '../domain/json.ts';
import { operatorRef, readOperatorRoles } from '../domain/lifecycle/operator-rules.ts';
import { isPerson } from '../domain/lifecycle/fields.ts';
import { accountRef, personRef, readPerson, readTarget } from '../domain/lifecycle/directory.ts';
import { ROLES, type Role } from '../domain/lifecycle/roles.ts';
import { readEnding } from '../domain/records.ts';
import { selectorKey } from '../domain/selector.ts';
import type { Identity } from '../decision/evaluation.ts';
import { StoreUnavailable, type Store, type StoredRecord } from '../store/port.ts';
import type { OperatorsConfig } from './config.ts';
import type { AuthenticateOperator, Principal } from './principal.ts';
import { holdsToken, type HeldToken } from './token-file.ts';

export const DEVELOPMENT_OPERATOR = 'user:developer';
const GROUPS_MAX = 500;

const groupsOf = (identity: Identity, claim: string): readonly string[] => {
  const value: JsonValue | undefined = isJsonObject(identity.claims) && Object.hasOwn(identity.claims, claim) ? identity.claims[claim] : undefined;
  return Array.isArray(value) ? value.filter((group): group is string => typeof group === 'string').slice(0, GROUPS_MAX) : [];
};

const uniqueRoles = (roles: readonly Role[]): readonly Role[] => ROLES.filter((role) => roles.includes(role));

/** Development: one token with every role. */
export const developmentOperator = (held: HeldToken, clock: Pick<Clock, 'now'>): AuthenticateOperator => async (token) =>
  holdsToken(held, token, clock.now().latest)
    ? { kind: 'development', id: DEVELOPMENT_OPERATOR, roles: ROLES, groups: [], persons: [DEVELOPMENT_OPERATOR] }
    : undefined;

/** The credential of the first start; it ends, and configures operators only. */
export const bootstrapOperator = (held: HeldToken, clock: Pick<Clock, 'now'>): AuthenticateOperator => async (token) =>
  holdsToken(held, token, clock.now().latest)
    ? { kind: 'bootstrap', id: 'bootstrap', roles: ['configurer'], groups: [], persons: ['bootstrap'] }
    : undefined;

export interface OidcOperatorDeps {
  readonly authenticator: Authenticator;
  readonly config: OperatorsConfig;
  readonly clock: Clock;
  readonly store: Pick<Store, 'read'>;
  /** Clock differences of issuers, for revocations. */
  readonly credentialSkewMs: number;
}

/** What names the endings of this credential, its account and its issuer. */
const endingKeys = ({ workload, issuer, credential: { selectors } }: Identity): readonly string[] =>
  [...selectors, selectorKey({ kind: 'workload', value: workload }), selectorKey({ kind: 'issuer', value: issuer })];

/** Was one of them revoked, or the account suspended? A suspended issuer or realm does not lock operators out: someone must be able to lift it. */
const isEnded = ({ credential: { issuedAt, expiresAt, maxAgeMs, selectors } }: Identity, records: readonly (StoredRecord | undefined)[], credentialSkewMs: number): boolean =>
  records.some((record) => {
    if (record === undefined) return false;
    const ending = readEnding(record.value);
    if (ending === undefined) return true;
    const { key, marked } = record;
    const suspensions = key.id.startsWith('issuer:') ? [] : ending.suspensions;
    if (selectors.includes(key.id)) return ending.revocation !== undefined;
    const age = expiresAt === undefined ? undefined : { expiresAt, maxAgeMs: maxAgeMs ?? (0 as DurationMs), ...(issuedAt === undefined ? {} : { issuedAt }) };
    return coversCredential({ ...ending, suspensions, ...(marked === undefined ? {} : { revokedAt: marked.at, revokedSequence: marked.sequence }) }, age, credentialSkewMs) !== undefined;
  });

export const oidcOperator = ({ authenticator, config, clock, store, credentialSkewMs }: OidcOperatorDeps): AuthenticateOperator => async (token, realm) => {
  const now = clock.now();
  const result = await authenticator.authenticate({ kind: 'bearer', token }, { realm, now });
  if (!result.ok) return undefined;
  const { identity } = result;
  // A person commands by a credential of its own: nobody approves on its behalf.
  if (identity.actsFor !== undefined) return undefined;
  if (identity.kind !== 'oidc' || !config.issuers.includes(identity.issuer) || !identity.audience.includes(config.audience)) return undefined;
  if (!(now.latest < (identity.credential.expiresAt ?? 0))) return undefined;
  const { workload } = identity;
  const configured = config.persons[workload] ?? workload;
  // At once: of reads that follow one another each waits for the processor again, here and at a server.
  const [link, ...first] = await store.read(realm, [accountRef(workload), personRef(configured), operatorRef(configured), ...endingKeys(identity).map((id) => ({ kind: 'ending', id }))]);
  if (isEnded(identity, first.slice(2), credentialSkewMs)) return undefined;
  const linked = readTarget(link?.value);
  const dropped = link !== undefined && linked === undefined;
  const id = linked ?? (dropped ? workload : configured);
  const [directory, record] = id === configured ? first : await store.read(realm, [personRef(id), operatorRef(id)]);
  // The configuration may name a person of whom the directory knows that it is gone.
  const listed = linked !== undefined || isPerson(id) ? readPerson(directory?.value) : undefined;
  if ((linked !== undefined || (directory !== undefined && isPerson(id))) && !(listed?.active === true && listed.id === id)) return undefined;
  const groups = dropped ? [] : (listed?.groups ?? groupsOf(identity, config.groupsClaim));
  const given = groups.flatMap((group) => {
    const entry = Object.hasOwn(config.groups, group) ? config.groups[group] : undefined;
    return entry !== undefined && (entry.realms === undefined || entry.realms.includes(realm)) ? [entry] : [];
  });
  const roles = uniqueRoles([...given.flatMap((entry) => entry.roles), ...readOperatorRoles(record?.value)]);
  const accounts = Object.keys(config.persons).filter((account) => config.persons[account] === id);
  const persons = [...new Set([id, workload, ...accounts, ...(listed?.accounts ?? []), ...(listed?.teams ?? []), ...given.flatMap(({ team }) => team ?? [])])];
  const principal: Principal = { kind: 'operator', id, roles, groups, persons, ...(now.trusted ? {} : { untimed: true }) };
  return principal;
};

/**
 * The first that knows the token. A failure of one counts as not knowing it; but when none knows it and one could not look into the
 * store, that is said (it rejects): a good credential is not told that it is bad. Only a credential that verified gets that far.
 */
export const firstOf = (ways: readonly AuthenticateOperator[]): AuthenticateOperator => async (token, realm) => {
  let unread: StoreUnavailable | undefined;
  for (const way of ways) {
    try {
      const principal = await way(token, realm);
      if (principal !== undefined) return principal;
    } catch (error) {
      if (error instanceof StoreUnavailable) unread = error;
    }
  }
  if (unread !== undefined) throw unread;
  return undefined;
};
