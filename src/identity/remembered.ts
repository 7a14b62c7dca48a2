/**
 * What was learnt of verified credentials, by their SHA-256, so that no raw credential lies in memory longer than its request.
 * Bounded in number and in the characters of the credentials behind it; of the oldest, those not used since go first. Says
 * nothing of time, keys, proofs or endings: those are judged at every use.
 */
import { REMEMBERED_CHARS_MAX } from './limits.ts';

interface Entry<T> {
  readonly value: T;
  readonly chars: number;
  used: boolean;
}

export interface Remembered<T> {
  get(key: string): T | undefined;
  set(key: string, chars: number, value: T): void;
  readonly size: number;
}

export const createRemembered = <T>(entriesMax: number, charsMax = REMEMBERED_CHARS_MAX): Remembered<T> => {
  const entries = new Map<string, Entry<T>>();
  let chars = 0;
  const drop = (key: string): void => {
    chars -= entries.get(key)?.chars ?? 0;
    entries.delete(key);
  };
  /** Before the new entry is there, so that it is not the one to go. Ends: an entry met twice is unused the second time. */
  const makeRoom = (wanted: number): void => {
    for (const [key, entry] of entries) {
      if (entries.size < entriesMax && chars + wanted <= charsMax) return;
      drop(key);
      if (!entry.used) continue;
      entries.set(key, { ...entry, used: false });
      chars += entry.chars;
    }
  };
  return {
    get: (key) => {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entry.used = true;
      return entry.value;
    },
    set: (key, length, value) => {
      drop(key);
      if (entriesMax < 1 || length > charsMax) return;
      makeRoom(length);
      entries.set(key, { value, chars: length, used: false });
      chars += length;
    },
    get size() {
      return entries.size;
    },
  };
};
