/**
 * A clock bounded by that of a shared store: "now" is everything that either may mean. Ends come no later than the authority says,
 * starts no earlier. When the two are surely further apart than `maxSkewMs`, or the authority was never asked, time is not trusted.
 */
import type { Clock } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import type { AdjustableClock } from './clock.ts';

/** By how much the authority is ahead of the clock: somewhere between the two, in milliseconds. */
export interface Offset {
  readonly lowMs: number;
  readonly highMs: number;
}

export const authorityClock = (clock: AdjustableClock, offset: () => Offset | undefined, maxSkewMs: number): AdjustableClock => {
  let latestSeen = 0;
  let earliestSeen = 0;
  const now: Clock['now'] = () => {
    const { earliest, latest, trusted } = clock.now();
    const off = offset();
    const { lowMs, highMs } = off ?? { lowMs: 0, highMs: 0 };
    latestSeen = Math.max(latestSeen, latest + Math.max(0, highMs));
    earliestSeen = Math.max(earliestSeen, earliest + Math.min(0, lowMs));
    return { earliest: earliestSeen as Instant, latest: latestSeen as Instant, trusted: trusted && off !== undefined && lowMs <= maxSkewMs && highMs >= -maxSkewMs };
  };
  return { ...clock, now };
};
