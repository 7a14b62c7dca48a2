/** When a bundle server is asked next. Pure; `random` gives 0 to 1. */
import type { BundleServerConfig } from './config.ts';

const RETRY_MS_MIN = 100;
/** Low, so that access is back soon after the server is. */
const RETRY_MS_MAX = 4_000;
/** A server that doesn't hold requests although it said so must not be asked in a loop. */
const HELD_MS_MIN = 1_000;

export type LastRequest =
  | { readonly kind: 'failed'; /** In a row, this one too. */ readonly failures: number }
  /** `tookMs`: how long the server took. */
  | { readonly kind: 'held'; readonly tookMs: number }
  | { readonly kind: 'answered' };

export const nextRequestMs = (last: LastRequest, { pollMinMs, pollMaxMs }: BundleServerConfig, random: () => number): number => {
  if (last.kind === 'failed') return Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(last.failures - 1, 16)) * (0.5 + random() / 2);
  if (last.kind === 'held') return Math.max(0, HELD_MS_MIN - last.tookMs);
  return pollMinMs + (pollMaxMs - pollMinMs) * random();
};
