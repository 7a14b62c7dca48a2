/** The part of verification that does not depend on the time or on the request: everything a token may be remembered for. */
import { hash } from 'node:crypto';
import type { Identity } from '../decision/evaluation.ts';
import type { DurationMs, Instant } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import { credentialByHash, credentialByJti, selectorKey } from '../domain/selector.ts';
import { readActors } from './actors.ts';
import { confirmationOf } from './confirmation.ts';
import type { Confirmation } from './confirmation.ts';
import { audienceOf, isAlgorithm } from './issuer.ts';
import type { Issuer, Issuers } from './issuer.ts';
import type { KeySet, VerificationKey } from './key-set.ts';
import { JTI_CHARS_MAX } from './limits.ts';
import { signatureHolds } from './signature.ts';
import { readToken } from './token.ts';
import type { UnverifiedToken } from './token.ts';
import { tokenTimes } from './token-time.ts';

export interface VerifiedToken {
  readonly issuer: Issuer;
  /** Of actors that other issuers know. */
  readonly actorIssuers: readonly Issuer[];
  /** Digest of the key set it was verified with. */
  readonly keysDigest: string;
  readonly confirmation: Confirmation | undefined;
  /** Without what is proved anew at each request. */
  readonly identity: Identity;
}

/** One for all: thousands of identities are remembered. */
const NOTHING_CONFIRMED: Identity['confirmed'] = Object.freeze({});
const NO_ISSUERS: readonly Issuer[] = Object.freeze([]);

/** Of a few bytes: a part of a longer text would keep all of it in memory. */
const fingerprintOf = (raw: string): string => hash('sha256', raw, 'buffer').toString('hex', 0, 8);

const keyFor = async (issuer: Issuer, token: UnverifiedToken, latest: Instant): Promise<{ readonly keys: KeySet; readonly key: VerificationKey } | Reason> => {
  if (!isAlgorithm(issuer, token.alg)) return 'credential.algorithm';
  if (issuer.keys.current(latest) === undefined) await issuer.keys.refresh('none');
  let keys = issuer.keys.current(latest);
  if (keys === undefined) return 'credential.keys_unavailable';
  let key = keys.find(token.kid, token.alg);
  if (key === undefined) {
    await issuer.keys.refresh('unknown key');
    keys = issuer.keys.current(latest);
    key = keys?.find(token.kid, token.alg);
  }
  if (keys === undefined) return 'credential.keys_unavailable';
  return key === undefined ? 'credential.key_unknown' : { keys, key };
};

const selectorsOf = (issuer: Issuer, token: UnverifiedToken): readonly string[] => {
  const values = [credentialByHash(token.signingInputSha256)];
  const { iss, jti } = token.claims;
  if (typeof jti === 'string') {
    values.push(credentialByJti(issuer.name, jti));
    // A JWT-SVID may carry an issuer of its own; whoever revokes by (iss, jti) reads it there.
    if (typeof iss === 'string' && iss !== issuer.name) values.push(credentialByJti(iss, jti));
  }
  return values.map((value) => selectorKey({ kind: 'credential', value }));
};

export const verifyToken = async (raw: string, issuers: Issuers, realm: string, latest: Instant): Promise<VerifiedToken | Reason> => {
  const token = readToken(raw);
  if (token === undefined) return 'credential.malformed';
  const issuer = issuers.ofToken(token, realm);
  if (issuer === undefined) return 'credential.issuer';
  const found = await keyFor(issuer, token, latest);
  if (typeof found === 'string') return found;
  if (!(await signatureHolds(raw, found.key.key, token.alg))) return 'credential.signature';

  const { config } = issuer;
  const { claims } = token;
  if (!issuer.acceptsType(token)) return 'credential.type';
  const audience = audienceOf(claims, config.audiences);
  if (typeof audience === 'string') return audience;
  const workload = issuer.workloadOf(claims);
  const times = tokenTimes(claims, config.maxCredentialAgeMs, config.leewayMs);
  const { jti } = claims;
  const jtiFits = jti === undefined ? !config.oneTime : typeof jti === 'string' && jti !== '' && jti.length <= JTI_CHARS_MAX;
  if (workload === undefined || times === undefined || !jtiFits) return 'credential.claims';
  const actors = Object.hasOwn(claims, 'act') ? readActors(claims, workload, issuer, (name) => issuers.named(name, realm)) : undefined;
  if (actors === undefined && Object.hasOwn(claims, 'act')) return 'credential.claims';
  const confirmation = Object.hasOwn(claims, 'cnf') ? confirmationOf(claims['cnf']) : undefined;
  if (confirmation === 'unsupported') return 'credential.proof';

  const identity: Identity = {
    workload: actors?.workload ?? workload,
    ...(actors === undefined ? {} : { actsFor: actors.actsFor }),
    kind: issuer.kind,
    issuer: issuer.name,
    audience,
    claims,
    credential: {
      selectors: selectorsOf(issuer, token),
      ...(times.issuedAt === undefined ? {} : { issuedAt: times.issuedAt }),
      ...(times.beginsAt === 0 ? {} : { notBefore: times.beginsAt }),
      expiresAt: times.expiresAt,
      maxAgeMs: config.maxCredentialAgeMs as DurationMs,
      fingerprint: fingerprintOf(raw),
      ...(config.oneTime ? { oneTime: hash('sha256', JSON.stringify(['jti', issuer.name, jti])) } : {}),
    },
    confirmed: NOTHING_CONFIRMED,
  };
  return { issuer, actorIssuers: actors?.issuers ?? NO_ISSUERS, keysDigest: found.keys.digest, confirmation, identity };
};
