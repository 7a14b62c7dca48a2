/**
 * Operator tokens that Curfew makes itself: one for development (every role, 24 h) and one at the first production start (configures
 * operators only, 1 h). The file holds the token for its owner to read; the process keeps a hash, and compares in constant time.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { plus, type Instant } from '../domain/instant.ts';

export const DEVELOPMENT_TOKEN_MS = 24 * 3_600_000;
export const BOOTSTRAP_TOKEN_MS = 3_600_000;

export interface HeldToken {
  /** SHA-256, hex. */
  readonly hash: string;
  readonly expiresAt: Instant;
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token, 'utf8').digest();

/** Is it this token, and has it not ended? */
export const holdsToken = (held: HeldToken, token: string, now: Instant): boolean => {
  const same = timingSafeEqual(Buffer.from(held.hash, 'hex'), hashOf(token));
  return same && now < held.expiresAt;
};

/** A new token in a file that only its owner can read, put in place whole. */
export const writeTokenFile = (path: string, prefix: string, lifeMs: number, now: Instant): HeldToken => {
  const token = `${prefix}${randomBytes(32).toString('base64url')}`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(draft, `${token}\n`, { mode: 0o600, flag: 'wx' });
  chmodSync(draft, 0o600);
  renameSync(draft, path);
  return { hash: hashOf(token).toString('hex'), expiresAt: plus(now, lifeMs) };
};
