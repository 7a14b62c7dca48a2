/** Time for tests: one instant, moved by hand. */
import type { Clock } from '../../src/decision/ports.ts';
import type { Instant, TimeInterval } from '../../src/domain/instant.ts';

export const START = Date.UTC(2026, 10, 21, 10) as Instant;

export const interval = (earliest: number, latest = earliest): TimeInterval => ({ earliest: earliest as Instant, latest: latest as Instant });

export const handClock = (start: number = START): Clock & { advance(ms: number): void; at(): number } => {
  let time = start;
  return {
    now: () => ({ ...interval(time), trusted: true }),
    monotonicMs: () => time - start,
    advance: (ms) => { time += ms; },
    at: () => time,
  };
};
