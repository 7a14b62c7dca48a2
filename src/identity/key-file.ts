/**
 * Keys from a file, looked at again by its size, inode and times. A file that can't be read or understood keeps the last good
 * keys and is reported once, until that changes; without any good state there are no keys, and tokens are denied.
 */
import { statSync } from 'node:fs';
import { readBounded } from '../bounded/file.ts';
import type { IdentityEvent, OnIdentityEvent } from './events.ts';
import type { KeySet, KeyUse } from './key-set.ts';
import { parseKeySet } from './key-set.ts';
import type { KeySource } from './key-source.ts';
import { JWKS_BYTES_MAX } from './limits.ts';

const stateOf = (file: string): string => {
  try {
    const { mtimeNs, ctimeNs, size, ino, dev } = statSync(file, { bigint: true });
    return [mtimeNs, ctimeNs, size, ino, dev].join(' ');
  } catch {
    return 'unreadable';
  }
};

export const fileKeySource = (options: {
  readonly file: string;
  readonly use: KeyUse;
  readonly issuer: string;
  readonly pollMs: number;
  readonly onEvent: OnIdentityEvent;
}): KeySource => {
  const { file, use, issuer, onEvent } = options;
  let keys: KeySet | undefined;
  let seen: string | undefined;
  let settled = false;
  let told: string | undefined;
  const tell = (kind: IdentityEvent['kind'], detail: string, digest = ''): void => {
    if (told !== kind + detail + digest) onEvent({ kind, issuer, detail });
    told = kind + detail + digest;
  };
  const read = (): void => {
    const content = readBounded(file, JWKS_BYTES_MAX);
    const parsed = 'fault' in content ? content.fault : parseKeySet(content.text, use);
    if (typeof parsed === 'string') return tell('keys.failed', `${file} ${parsed}; ${keys === undefined ? 'there are no keys' : 'the last good keys stay'}`);
    keys = parsed;
    tell('keys.loaded', `${file}: ${parsed.size} keys, ${parsed.ignored} left out`, parsed.digest);
  };
  const look = (): void => {
    const state = stateOf(file);
    if (state === seen && settled) return;
    // Times of files are coarse: what changed just before is read once more, lest a second change within one tick be missed.
    settled = state === seen;
    seen = state;
    read();
  };
  look();
  const timer = setInterval(look, options.pollMs);
  timer.unref();
  return {
    current: () => keys,
    refresh: () => Promise.resolve(look()),
    reload: () => Promise.resolve(read()),
    close: () => clearInterval(timer),
  };
};
