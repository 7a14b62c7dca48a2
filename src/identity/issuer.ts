/**
 * One configured issuer, ready to judge tokens: which type of token it issues, for whom, and which workload its claims name.
 * A token finds its issuer by what it says of itself, unverified; whatever it says, only that issuer's own keys and rules count.
 */
import type { JsonObject } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';
import { parseSpiffeId } from '../domain/spiffe-id.ts';
import { claimsMatch } from './claim-match.ts';
import type { Algorithm, IssuerConfig, OidcConfig, SpiffeConfig } from './config.ts';
import { buildId } from './id-template.ts';
import type { KeySource } from './key-source.ts';
import { AUDIENCES_MAX } from './limits.ts';
import type { UnverifiedToken } from './token.ts';
import type { TokenReview } from './token-review.ts';

export interface Issuer {
  readonly config: IssuerConfig;
  /** What records, selectors and events call it: `spiffe://<trust domain>` or the OIDC issuer. */
  readonly name: string;
  readonly kind: 'jwt-svid' | 'oidc';
  readonly keys: KeySource;
  /** Asks the issuer whether a verified token still counts. */
  readonly review?: TokenReview;
  readonly algorithms: ReadonlySet<string>;
  servesRealm(realm: string): boolean;
  /** Is this type of token a credential of this issuer? */
  acceptsType(token: UnverifiedToken): boolean;
  /** The workload of verified claims, or `undefined` when they don't name one that this issuer may vouch for. */
  workloadOf(claims: JsonObject): string | undefined;
}

const common = (config: IssuerConfig, keys: KeySource) => ({
  config,
  keys,
  algorithms: new Set<string>(config.algorithms),
  servesRealm: (realm: string): boolean => config.realms === undefined || config.realms.includes(realm),
});

const SVID_HEADER: ReadonlySet<string> = new Set(['alg', 'kid', 'typ']);

/** JWT-SVID, sections 2 and 3: no header but alg, kid and typ; `sub` is an ID of this very trust domain. */
const spiffeIssuer = (config: SpiffeConfig, keys: KeySource): Issuer => ({
  ...common(config, keys),
  name: `spiffe://${config.trustDomain}`,
  kind: 'jwt-svid',
  acceptsType: ({ header, typ }) =>
    (typ === undefined || typ === 'JWT' || typ === 'JOSE') && Object.keys(header).every((member) => SVID_HEADER.has(member)),
  workloadOf: ({ sub }) =>
    typeof sub === 'string' && parseSpiffeId(sub)?.trustDomain === config.trustDomain ? sub : undefined,
});

const oidcIssuer = (config: OidcConfig, keys: KeySource, review: TokenReview | undefined): Issuer => {
  const types = new Set(config.types.map((type) => type.toLowerCase()));
  return {
    ...common(config, keys),
    name: config.issuer,
    kind: 'oidc',
    ...(review === undefined ? {} : { review }),
    acceptsType: ({ typ }) => typ === undefined || types.has(typ.toLowerCase().replace(/^application\//, '')),
    workloadOf: (claims) =>
      claims['iss'] === config.issuer && claimsMatch(claims, config.match) ? buildId(config.id, config.issuer, claims) : undefined,
  };
};

export const issuerOf = (config: IssuerConfig, keys: KeySource, review?: TokenReview): Issuer =>
  config.kind === 'spiffe' ? spiffeIssuer(config, keys) : oidcIssuer(config, keys, review);

export interface Issuers {
  readonly all: readonly Issuer[];
  ofToken(token: UnverifiedToken, realm: string): Issuer | undefined;
  ofTrustDomain(trustDomain: string, realm: string): Issuer | undefined;
  named(name: string, realm: string): Issuer | undefined;
}

export const issuersOf = (all: readonly Issuer[]): Issuers => {
  const byName = new Map<string, Issuer[]>();
  for (const one of all) byName.set(one.name, [...(byName.get(one.name) ?? []), one]);
  const named = (name: string, realm: string) => byName.get(name)?.find((one) => one.servesRealm(realm));
  const ofTrustDomain = (trustDomain: string, realm: string) => named(`spiffe://${trustDomain}`, realm);
  return {
    all,
    named,
    ofTrustDomain,
    ofToken: ({ claims: { iss, sub } }, realm) => {
      // An OIDC issuer by `iss` first; a JWT-SVID need not have one and belongs to the trust domain of its `sub`.
      const oidc = typeof iss === 'string' ? named(iss, realm) : undefined;
      if (oidc?.kind === 'oidc') return oidc;
      const id = typeof sub === 'string' ? parseSpiffeId(sub) : undefined;
      return id === undefined ? undefined : ofTrustDomain(id.trustDomain, realm);
    },
  };
};

/** The audiences of verified claims, when one of them is accepted; else why not. */
export const audienceOf = (claims: JsonObject, accepted: readonly string[]): readonly string[] | Reason => {
  const { aud } = claims;
  const listed = typeof aud === 'string' ? [aud] : aud;
  if (!Array.isArray(listed) || listed.length > AUDIENCES_MAX) return 'credential.audience';
  if (!listed.every((one): one is string => typeof one === 'string')) return 'credential.audience';
  return listed.some((one) => accepted.includes(one)) ? listed : 'credential.audience';
};

export const isAlgorithm = (issuer: Issuer, alg: string): alg is Algorithm => issuer.algorithms.has(alg);
