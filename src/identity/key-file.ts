/**
 * Keys from a file, looked at again by its size, inode and times. A file that can't be read or understood keeps the last good
 * keys and is reported once for each state it is found in; without any good state there are no keys, and tokens are denied.
 */
import { statSync } from 'node:fs';
import { readBounded } from './bounded-file.ts';
import type { OnIdentityEvent } from './events.ts';
import type { KeySet, KeyUse } from './key-set.ts';
import { parseKeySet } from './key-set.ts';
import type { KeySource } from './key-source.ts';
import { JWKS_BYTES_MAX } from './limits.ts';

const stateOf = (file: string): string => {
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(file);
    return `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
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
  const look = (force: boolean): void => {
    const state = stateOf(file);
    if (state === seen && !force) return;
    seen = state;
    const read = readBounded(file, JWKS_BYTES_MAX);
    const parsed = 'fault' in read ? read.fault : parseKeySet(read.text, use);
    if (typeof parsed === 'string') {
      onEvent({ kind: 'keys.failed', issuer, detail: `${file} ${parsed}; ${keys === undefined ? 'there are no keys' : 'the last good keys stay'}` });
      return;
    }
    keys = parsed;
    onEvent({ kind: 'keys.loaded', issuer, detail: `${file}: ${parsed.size} keys, ${parsed.ignored} left out` });
  };
  look(true);
  const timer = setInterval(() => look(false), options.pollMs);
  timer.unref();
  return {
    current: () => keys,
    refresh: () => Promise.resolve(look(false)),
    reload: () => Promise.resolve(look(true)),
    close: () => clearInterval(timer),
  };
};
