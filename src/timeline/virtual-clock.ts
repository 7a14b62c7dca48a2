/** A clock that a story moves. It is the program's own clock over readings that stand still until they are told to go on. */
import type { Clock } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import { createClock } from '../time/clock.ts';

export interface VirtualClock extends Clock {
  /** Goes on to this instant; never back. */
  advanceTo(instant: Instant): void;
}

export const createVirtualClock = (start: Instant): VirtualClock => {
  let elapsed = 0;
  const clock = createClock({
    maxClockStepMs: 1,
    sources: { wall: () => start + elapsed, monotonic: () => elapsed, boot: () => elapsed },
  });
  return {
    now: clock.now,
    monotonicMs: clock.monotonicMs,
    advanceTo: (instant) => {
      elapsed = Math.max(elapsed, instant - start);
    },
  };
};
