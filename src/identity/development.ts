/**
 * Development identities: a key of this machine's user alone, and JWT-SVIDs of the trust domain `dev.local` signed with it.
 * Whoever can read the key file can be any development workload; no endpoint mints, and a configuration file can't name
 * this trust domain.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { chmodSync, closeSync, constants, fstatSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonWebKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { isDuration } from '../domain/instant.ts';
import type { Instant } from '../domain/instant.ts';
import { parseSpiffeId } from '../domain/spiffe-id.ts';
import type { IssuerConfig } from './config.ts';
import { SVID_ALGORITHMS } from './config.ts';
import { DEVELOPMENT_TRUST_DOMAIN } from './limits.ts';

export const DEVELOPMENT_KEY_FILE = 'dev-key.json';
export const DEVELOPMENT_AUDIENCE = 'curfew';
export const DEVELOPMENT_TTL_MS_MAX = 24 * 3_600_000;
const KID = 'dev';

/** A private ES256 key as JWK. Never log it. */
export interface DevelopmentKey {
  readonly jwk: JsonWebKey;
}

const owned = (fileMode: number): boolean => (fileMode & 0o077) === 0;

/** Reads the key file of `dir`. Throws when it is not there, is a link, or may be read or written by anyone but its owner. */
export const readDevelopmentKey = (dir: string): DevelopmentKey => {
  const file = join(dir, DEVELOPMENT_KEY_FILE);
  let handle: number;
  try {
    handle = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'ENOENT') throw new Error(`${file} is not there: the development start makes it (curfew dev, or npm start); with another folder, say --dir`);
    throw new Error(code === 'ELOOP' ? `${file} is a symbolic link; refused` : `${file} can't be opened (${code})`);
  }
  try {
    const { mode, uid, size } = fstatSync(handle);
    if (!owned(mode)) throw new Error(`${file} may be read or written by others than its owner; make it 0600 or delete it`);
    if (process.geteuid !== undefined && uid !== process.geteuid()) throw new Error(`${file} belongs to another user`);
    if (size > 4096) throw new Error(`${file} is not a development key`);
    let jwk: JsonWebKey;
    try {
      jwk = JSON.parse(readFileSync(handle, 'utf8')) as JsonWebKey;
      const key = createPrivateKey({ key: jwk, format: 'jwk' });
      if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('curve');
    } catch {
      throw new Error(`${file} is not a development key; delete it to get a new one`);
    }
    return { jwk };
  } finally {
    closeSync(handle);
  }
};

/** Reads the key file of `dir`, after making one (0600, in a directory of 0700) if there is none. Two starts at once agree on one key. */
export const openDevelopmentKey = (dir: string): DevelopmentKey => {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, DEVELOPMENT_KEY_FILE);
  const draft = `${file}.${randomUUID()}`;
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  const handle = openSync(draft, 'wx', 0o600);
  try {
    chmodSync(draft, 0o600);
    writeSync(handle, JSON.stringify({ ...jwk, kid: KID, alg: 'ES256' }));
    fsyncSync(handle);
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    closeSync(handle);
    rmSync(draft, { force: true });
  }
  return readDevelopmentKey(dir);
};

/** The issuer that accepts what `mintDevelopmentToken` signs with this key; for `curfew dev` alone. */
export const developmentIssuer = ({ jwk }: DevelopmentKey, audiences: readonly string[] = [DEVELOPMENT_AUDIENCE]): IssuerConfig => {
  const { kty, crv, x, y } = createPublicKey(createPrivateKey({ key: jwk, format: 'jwk' })).export({ format: 'jwk' });
  const key = { kty: kty ?? '', crv: crv ?? '', x: x ?? '', y: y ?? '', kid: KID, use: 'jwt-svid' };
  return {
    kind: 'spiffe',
    trustDomain: DEVELOPMENT_TRUST_DOMAIN,
    bundle: { jwks: { keys: [key] } },
    algorithms: SVID_ALGORITHMS.filter((one) => one === 'ES256'),
    audiences: [...audiences],
    maxCredentialAgeMs: DEVELOPMENT_TTL_MS_MAX,
    maxCertificateAgeMs: DEVELOPMENT_TTL_MS_MAX,
    leewayMs: 0,
    oneTime: false, actorsOf: [],
    peers: true,
  };
};

/** A JWT-SVID for a workload of `spiffe://dev.local`. Throws on another trust domain and on a life beyond 24 h. */
export const mintDevelopmentToken = async (request: {
  readonly key: DevelopmentKey;
  readonly workload: string;
  readonly audience?: string;
  readonly ttlMs: number;
  readonly now: Instant;
}): Promise<string> => {
  const { key, workload, audience = DEVELOPMENT_AUDIENCE, ttlMs, now } = request;
  if (parseSpiffeId(workload)?.trustDomain !== DEVELOPMENT_TRUST_DOMAIN) {
    throw new Error(`a development workload must be a SPIFFE ID of spiffe://${DEVELOPMENT_TRUST_DOMAIN}`);
  }
  if (!isDuration(ttlMs, DEVELOPMENT_TTL_MS_MAX)) throw new Error('the time to live must be a whole number of milliseconds, at most 24 h');
  const issuedAt = Math.floor(now / 1000);
  return new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid: KID, typ: 'JWT' })
    .setSubject(workload)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    // Whole seconds: what is between `iat` and `exp` is what was asked for, so that no token lives longer than that.
    .setExpirationTime(issuedAt + Math.ceil(ttlMs / 1000))
    .setJti(randomUUID())
    .sign(createPrivateKey({ key: key.jwk, format: 'jwk' }));
};
