/** DESIGN 6: with a shared store its time bounds ours, and one that is too far away is not trusted. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { authorityClock, type Offset } from '../../src/time/authority-clock.ts';

const T0 = 1_800_000_000_000;

const clockAt = (earliest: () => number, latest = earliest, trusted = true) => ({
  now: () => ({ earliest: earliest() as Instant, latest: latest() as Instant, trusted }), monotonicMs: () => 0, reset: () => undefined, behindMs: () => 0,
});
const offsetOf = (over: Partial<Offset> = {}): Offset => ({ lowMs: 0, highMs: 0, skewMs: 0, reached: 0, ...over });

test('C3: differences count against access, never for it', () => {
  const ahead = authorityClock(clockAt(() => T0), () => offsetOf({ lowMs: 300, highMs: 310, skewMs: 300 }), 1_000);
  expect(ahead.now()).toEqual({ earliest: T0, latest: T0 + 310, trusted: true });
  const behind = authorityClock(clockAt(() => T0), () => offsetOf({ lowMs: -310, highMs: -300, skewMs: 300 }), 1_000);
  expect(behind.now()).toEqual({ earliest: T0 - 310, latest: T0, trusted: true });
});
test('a clock that is surely too far away, or an authority that was never asked, is not trusted', () => {
  expect(authorityClock(clockAt(() => T0), () => offsetOf({ skewMs: 1_001 }), 1_000).now().trusted).toBe(false);
  expect(authorityClock(clockAt(() => T0), () => undefined, 1_000).now().trusted).toBe(false);
  expect(authorityClock(clockAt(() => T0, () => T0, false), () => offsetOf(), 1_000).now().trusted).toBe(false);
});
test('what was committed then has begun, but never later than now', () => {
  const reached = (at: number) => authorityClock(clockAt(() => T0), () => offsetOf({ lowMs: -50, highMs: 20, reached: at }), 1_000).now();
  expect(reached(T0 - 10)).toMatchObject({ earliest: T0 - 10, latest: T0 + 20 });
  expect(reached(T0 + 3_600_000)).toMatchObject({ earliest: T0 + 20, latest: T0 + 20 });
});
test('I9: whatever the offset does, time never runs backwards', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ step: fc.nat(100), lowMs: fc.integer({ min: -500, max: 500 }), width: fc.nat(50), reached: fc.integer({ min: T0 - 1_000, max: T0 + 9_000 }) }), { maxLength: 50 }), (steps) => {
      let at = T0;
      let offset = offsetOf();
      const clock = authorityClock(clockAt(() => at), () => offset, 1_000);
      let before = clock.now();
      for (const { step, lowMs, width, reached } of steps) {
        at += step;
        offset = offsetOf({ lowMs, highMs: lowMs + width, reached });
        const now = clock.now();
        expect(now.latest).toBeGreaterThanOrEqual(before.latest);
        expect(now.earliest).toBeGreaterThanOrEqual(before.earliest);
        expect(now.latest).toBeGreaterThanOrEqual(at);
        expect(now.earliest).toBeLessThanOrEqual(now.latest);
        before = now;
      }
    }),
  );
});
