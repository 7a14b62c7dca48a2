/**
 * Credentials for the workloads of a story: real tokens with real signatures, verified like any other. One key of this process
 * alone signs for every trust domain and issuer that the story names; a running Curfew knows neither.
 */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { identityConfig, type IssuerConfig } from '../identity/config.ts';
import { issuerHostAndPath } from '../identity/id-template.ts';
import type { JsonObject } from '../domain/json.ts';
import { parseSpiffeId } from '../domain/spiffe-id.ts';
import type { Instant } from '../domain/instant.ts';

export const AUDIENCE = 'curfew';
export const TTL_MS_MAX = 24 * 3_600_000;
const KID = 'timeline';

/** Who a token is for. */
export interface Subject {
  readonly id: string;
  /** Of an `oidc:` id, where it is not the id without its last segment. */
  readonly issuer?: string | undefined;
  readonly claims?: JsonObject | undefined;
  readonly ttl?: number | undefined;
}

interface Origin {
  readonly kind: 'spiffe' | 'oidc';
  /** Trust domain, or issuer URL. */
  readonly name: string;
  readonly claims: JsonObject;
}

/** Where an id comes from; `undefined` when it is neither a SPIFFE ID nor an `oidc:` id that an issuer could build. */
export const originOf = ({ id, issuer }: Subject): Origin | undefined => {
  const spiffe = parseSpiffeId(id);
  if (spiffe !== undefined) return spiffe.path === '' ? undefined : { kind: 'spiffe', name: spiffe.trustDomain, claims: { sub: id } };
  const cut = id.lastIndexOf('/');
  if (!id.startsWith('oidc:') || cut < 6) return undefined;
  const name = issuer ?? `https://${id.slice(5, cut)}`;
  try {
    const prefix = `oidc:${issuerHostAndPath(name)}/`;
    const sub = decodeURIComponent(id.slice(prefix.length));
    return id === `${prefix}${encodeURIComponent(sub)}` ? { kind: 'oidc', name, claims: { iss: name, sub } } : undefined;
  } catch {
    return undefined;
  }
};

export interface Credential {
  readonly token: string;
  readonly issuer: string;
  readonly jti: string;
}

export interface TestIssuer {
  /** Configurations that accept what `mint` signs. */
  readonly issuers: readonly IssuerConfig[];
  mint(subject: Subject, jti: string, now: Instant): Credential;
}

const encode = (value: JsonObject): string => Buffer.from(JSON.stringify(value)).toString('base64url');

let pair: { readonly privateKey: KeyObject; readonly publicKey: KeyObject } | undefined;

/** Throws on an id that has no origin. */
const originFor = (subject: Subject): Origin => {
  const origin = originOf(subject);
  if (origin === undefined) throw new Error(`${subject.id} is neither a SPIFFE ID nor an oidc: id of its issuer`);
  return origin;
};

/** `subjects`: all that the story names. */
export const createTestIssuer = (subjects: readonly Subject[]): TestIssuer => {
  pair ??= generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { privateKey, publicKey } = pair;
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  const key = { kty: kty ?? '', crv: crv ?? '', x: x ?? '', y: y ?? '', kid: KID };
  const origins = new Map(subjects.map(originFor).map((origin) => [`${origin.kind} ${origin.name}`, origin]));
  const common = { audiences: [AUDIENCE], maxCredentialAgeMs: TTL_MS_MAX };
  const issuers = [...origins.values()].map(({ kind, name }): IssuerConfig => {
    if (kind === 'oidc') {
      const [issuer] = identityConfig.parse({ issuers: [{ kind, issuer: name, keys: { jwks: { keys: [{ ...key, use: 'sig' }] } }, ...common }] }).issuers;
      return issuer as IssuerConfig;
    }
    // A name that configuration files may have, in place of the one that only development has.
    const [issuer] = identityConfig.parse({ issuers: [{ kind, trustDomain: 'any.example', bundle: { jwks: { keys: [{ ...key, use: 'jwt-svid' }] } }, ...common }] }).issuers;
    return { ...(issuer as Extract<IssuerConfig, { kind: 'spiffe' }>), trustDomain: name };
  });
  return {
    issuers,
    mint: (subject, jti, now) => {
      const origin = originFor(subject);
      const issuedAt = Math.floor(now / 1_000);
      const expiresAt = Math.min(issuedAt + TTL_MS_MAX / 1_000, Math.ceil((now + (subject.ttl ?? TTL_MS_MAX)) / 1_000));
      const body = `${encode({ alg: 'ES256', kid: KID, typ: 'JWT' })}.${encode({ ...subject.claims, ...origin.claims, aud: AUDIENCE, iat: issuedAt, exp: expiresAt, jti })}`;
      const signature = sign('sha256', Buffer.from(body), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
      return { token: `${body}.${signature}`, jti, issuer: origin.kind === 'spiffe' ? `spiffe://${origin.name}` : origin.name };
    },
  };
};
