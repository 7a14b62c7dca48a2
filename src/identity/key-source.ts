/** Where an issuer's keys come from; implemented by files, https endpoints and the configuration itself. */
import type { Instant } from '../domain/instant.ts';
import type { KeySet } from './key-set.ts';

export interface KeySource {
  /** The keys as known and still young enough to verify with; `undefined` when there are none such. */
  current(latest: Instant): KeySet | undefined;
  /** Tries to have keys, or newer keys than those known; resolves when that was tried or is not due. Never rejects. */
  refresh(why: 'none' | 'unknown key'): Promise<void>;
  /** Reads again what can be read again, at once. */
  reload(): Promise<void>;
  close(): void;
}

export const inlineKeySource = (keys: KeySet): KeySource => ({
  current: () => keys,
  refresh: () => Promise.resolve(),
  reload: () => Promise.resolve(),
  close: () => undefined,
});
