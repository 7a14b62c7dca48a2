/**
 * A clock bounded by that of a shared store: "now" is everything that either may mean. Ends come no later than the authority says,
 * starts no earlier. When the two are surely further apart than `maxSkewMs`, or the authority was never asked, time is not trusted.
 */
import type { Clock } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import type { AdjustableClock } from './clock.ts';

/** What is known of the authority: see `AuthorityOffset` of the store's port. */
export interface Offset {
  readonly lowMs: number;
  readonly highMs: number;
  readonly skewMs: number;
  readonly reached: number;
}

const UNKNOWN: Offset = { lowMs: 0, highMs: 0, skewMs: Number.POSITIVE_INFINITY, reached: 0 };

export const authorityClock = (clock: AdjustableClock, offset: () => Offset | undefined, maxSkewMs: number): AdjustableClock => {
  let latestSeen = 0;
  let earliestSeen = 0;
  const now: Clock['now'] = () => {
    const { earliest, latest, trusted } = clock.now();
    const { lowMs, highMs, skewMs, reached } = offset() ?? UNKNOWN;
    latestSeen = Math.max(latestSeen, latest + Math.max(0, highMs));
    earliestSeen = Math.max(earliestSeen, earliest + Math.min(0, lowMs), Math.min(reached, latestSeen));
    return { earliest: earliestSeen as Instant, latest: latestSeen as Instant, trusted: trusted && skewMs <= maxSkewMs };
  };
  return { ...clock, now };
};
