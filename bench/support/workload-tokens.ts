/** A trust domain of the bench: one ES256 key, its bundle, and JWT-SVIDs for the workloads of filled stores. */
import { createHash, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import type { IssuerConfig } from '../../src/identity/config.ts';
import { workloadOf } from './fill-store.ts';

export const TRUST_DOMAIN = 'bench.local';
export const AUDIENCE = 'curfew';
const TTL_S = 3_000;

export interface BenchIssuer {
  /** JWKS text, as a SPIFFE bundle has it. */
  readonly jwks: string;
  /** A token for one workload by its index, made once and kept. */
  tokenOf(workload: number): string;
  /** The same key, and tokens of their own from now on. */
  renewed(): BenchIssuer;
}

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

const mint = (key: KeyObject, kid: string, workload: string, now: number): string => {
  const issuedAt = Math.floor(now / 1_000) - 1;
  const claims = { sub: workload, aud: [AUDIENCE], iat: issuedAt, exp: issuedAt + TTL_S, jti: randomUUID() };
  const signingInput = `${base64url({ alg: 'ES256', kid, typ: 'JWT' })}.${base64url(claims)}`;
  return `${signingInput}.${sign('sha256', Buffer.from(signingInput), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
};

export const createBenchIssuer = (): BenchIssuer => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = publicKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url').slice(0, 16);
  const jwks = JSON.stringify({ keys: [{ ...jwk, kid, use: 'jwt-svid' }] });
  return issuing(privateKey, kid, jwks);
};

const issuing = (privateKey: KeyObject, kid: string, jwks: string): BenchIssuer => {
  const tokens = new Map<number, string>();
  return {
    jwks,
    renewed: () => issuing(privateKey, kid, jwks),
    tokenOf: (workload) => {
      let token = tokens.get(workload);
      if (token === undefined) {
        token = mint(privateKey, kid, workloadOf(workload), Date.now());
        tokens.set(workload, token);
      }
      return token;
    },
  };
};

/** As the configuration of Curfew writes it. */
export const issuerConfigOf = (jwks: string): IssuerConfig => ({
  kind: 'spiffe',
  trustDomain: TRUST_DOMAIN,
  bundle: { jwks: JSON.parse(jwks) },
  algorithms: ['ES256'],
  audiences: [AUDIENCE],
  maxCredentialAgeMs: 3_600_000,
  maxCertificateAgeMs: 3_600_000,
  leewayMs: 0,
  oneTime: false,
  actorsOf: [],
  peers: true,
});
