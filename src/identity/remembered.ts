/**
 * Verified tokens by the SHA-256 of the whole token, so that no raw token lies in memory longer than its request. Bounded in
 * number and in the characters of the tokens behind it; the least recently used of the older ones go first (second chance).
 * Says nothing of time, keys, proofs or endings: those are judged at every use.
 */
import { hash } from 'node:crypto';
import { REMEMBERED_CHARS_MAX } from './limits.ts';

interface Entry<T> {
  readonly value: T;
  readonly chars: number;
  used: boolean;
}

export interface Remembered<T> {
  get(key: string): T | undefined;
  set(key: string, chars: number, value: T): void;
  delete(key: string): void;
  readonly size: number;
}

export const tokenKey = (token: string): string => hash('sha256', token, 'base64');

export const createRemembered = <T>(entriesMax: number, charsMax = REMEMBERED_CHARS_MAX): Remembered<T> => {
  const entries = new Map<string, Entry<T>>();
  let chars = 0;
  const drop = (key: string): void => {
    chars -= entries.get(key)?.chars ?? 0;
    entries.delete(key);
  };
  const makeRoom = (): void => {
    for (const [key, entry] of entries) {
      if (entries.size <= entriesMax && chars <= charsMax) return;
      entries.delete(key);
      if (entry.used) entries.set(key, { ...entry, used: false });
      else chars -= entry.chars;
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
      entries.set(key, { value, chars: length, used: false });
      chars += length;
      makeRoom();
    },
    delete: drop,
    get size() {
      return entries.size;
    },
  };
};
