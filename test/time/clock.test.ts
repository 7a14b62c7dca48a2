import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { createClock } from '../../src/time/clock.ts';

/** A machine whose clocks the test moves: `run` is time passing, `sleep` a suspend, `step` someone setting the wall clock. */
const machine = (wallStart = 1_800_000_000_000) => {
  let wall = wallStart;
  let monotonic = 0;
  let boot = 0;
  /** What happens between a reading of the wall and the next one of another clock. */
  let between: (() => void)[] = [];
  let [wallRead, held] = [false, (): void => undefined];
  const other = (read: () => number) => (): number => {
    if (wallRead) held();
    wallRead = false;
    return read();
  };
  return {
    sources: {
      wall: () => {
        wallRead = true;
        held = between.shift() ?? (() => undefined);
        return wall;
      },
      monotonic: other(() => monotonic), boot: other(() => boot),
    },
    holdUp: (...pauses: (() => void)[]) => { between = pauses; },
    run: (ms: number) => { wall += ms; monotonic += ms; boot += ms; },
    sleep: (ms: number) => { wall += ms; boot += ms; },
    step: (ms: number) => { wall += ms; },
    wall: () => wall,
  };
};
const maxClockStepMs = 5_000;

test('C2: time follows the wall clock while nothing happens to it', () => {
  const host = machine();
  const clock = createClock({ maxClockStepMs, sources: host.sources });
  host.run(1_234);
  expect(clock.now()).toEqual({ earliest: host.wall(), latest: host.wall(), trusted: true });
});

test('C2: a small step back never makes time run backwards, and starts are judged by the earlier reading', () => {
  const host = machine();
  const clock = createClock({ maxClockStepMs, sources: host.sources });
  host.run(10_000);
  const before = clock.now();
  host.step(-3_000);
  host.run(100);
  const after = clock.now();
  expect(after.latest).toBe(before.latest + 100);
  expect(after.earliest).toBe(before.earliest);
  expect(after.trusted).toBe(true);
});

test.each([-60_000, 60_000])('C2: a step of %i ms is not believed until it is undone or an operator resets', (stepMs) => {
  const host = machine();
  const clock = createClock({ maxClockStepMs, sources: host.sources });
  const before = clock.now();
  host.step(stepMs);
  host.run(10);
  expect(clock.now()).toMatchObject({ trusted: false, latest: before.latest + 10 });
  host.step(-stepMs);
  expect(clock.now()).toMatchObject({ trusted: true, latest: before.latest + 10 });
  host.step(stepMs);
  for (let hours = 0; hours < 3; hours += 1) {
    host.run(3_600_000);
    expect(clock.now().trusted).toBe(false);
  }
});

test('C2: after a reset the wall counts where it is ahead', () => {
  const host = machine();
  const clock = createClock({ maxClockStepMs, sources: host.sources });
  host.step(60_000);
  expect(clock.now().trusted).toBe(false);
  expect(clock.behindMs()).toBe(0);
  clock.reset();
  host.run(1);
  expect(clock.now()).toEqual({ earliest: host.wall(), latest: host.wall(), trusted: true });
});

test('C2: after a reset a wall that is behind counts once it has caught up; until then time stands still', () => {
  const host = machine();
  const clock = createClock({ maxClockStepMs, sources: host.sources });
  const before = clock.now();
  host.step(-60_000);
  expect(clock.now().trusted).toBe(false);
  expect(clock.behindMs()).toBe(60_000);
  clock.reset();
  host.run(54_999);
  expect(clock.now()).toMatchObject({ trusted: false, latest: before.latest });
  host.run(1);
  expect(clock.now()).toMatchObject({ trusted: true, latest: before.latest });
  host.run(10_000);
  expect(clock.now()).toEqual({ earliest: host.wall(), latest: host.wall(), trusted: true });
  host.step(60_000);
  expect(clock.now().trusted).toBe(false);
});

const pauses = (host: ReturnType<typeof machine>): readonly (() => void)[] => [() => host.run(10_000), () => host.sleep(3_600_000), () => host.run(maxClockStepMs + 1)];

test('L1: a process that is held up as it begins, awake or asleep, between reading one clock and the other, trusts its clock', () => {
  for (const index of [0, 1, 2]) {
    const host = machine();
    host.holdUp(pauses(host)[index] as () => void);
    const clock = createClock({ maxClockStepMs, sources: host.sources });
    host.run(5);
    expect(clock.now()).toEqual({ earliest: host.wall(), latest: host.wall(), trusted: true });
    host.sleep(3_600_000);
    expect(clock.now()).toEqual({ earliest: host.wall(), latest: host.wall(), trusted: true });
    host.step(maxClockStepMs + 1);
    expect(clock.now().trusted).toBe(false);
  }
});

test('L1: a process that is held up between reading one clock and the other is none the worse for it, also as it accepts a wall', () => {
  for (const index of [0, 1, 2]) {
    const host = machine();
    const clock = createClock({ maxClockStepMs, sources: host.sources });
    host.holdUp(pauses(host)[index] as () => void);
    expect(clock.now().trusted).toBe(true);
    expect(clock.now()).toEqual({ earliest: host.wall(), latest: host.wall(), trusted: true });
    clock.reset();
    host.holdUp(pauses(host)[index] as () => void, pauses(host)[0] as () => void);
    clock.now();
    host.run(5);
    expect(clock.now()).toEqual({ earliest: host.wall(), latest: host.wall(), trusted: true });
  }
});

test('a process that is held up at every reading still begins, and takes a step for one', () => {
  const host = machine();
  host.holdUp(...Array.from({ length: 1_000 }, (_, index) => () => host.run(60 + (index % 7))));
  const clock = createClock({ maxClockStepMs, sources: host.sources });
  expect(clock.now().trusted).toBe(true);
  host.step(maxClockStepMs + 100);
  expect(clock.now().trusted).toBe(false);
});

test('C2: a machine that slept an hour is trusted at once, and the hour counts', () => {
  const host = machine();
  const clock = createClock({ maxClockStepMs, sources: host.sources });
  clock.now();
  host.sleep(3_600_000);
  host.run(5);
  expect(clock.now()).toEqual({ earliest: host.wall(), latest: host.wall(), trusted: true });
  host.sleep(3_600_000);
  expect(clock.now().trusted).toBe(true);
  host.sleep(60_000);
  host.step(60_000);
  expect(clock.now().trusted).toBe(false);
});

test('I9: after a restart no time lies below the mark, and nothing starts early because of it', () => {
  const host = machine();
  const mark = (host.wall() + 2_000) as Instant;
  const clock = createClock({ maxClockStepMs, mark, sources: host.sources });
  expect(clock.now()).toEqual({ earliest: host.wall(), latest: mark, trusted: true });
  host.run(5_000);
  expect(clock.now()).toEqual({ earliest: host.wall(), latest: host.wall(), trusted: true });
});

test('C2: a restart under a clock far below the mark is refused until the wall has caught up', () => {
  const host = machine();
  const clock = createClock({ maxClockStepMs, mark: (host.wall() + 3_600_000) as Instant, sources: host.sources });
  expect(clock.now().trusted).toBe(false);
  host.run(3_600_000);
  expect(clock.now().trusted).toBe(true);
});

test('C2: a machine that starts with an old clock is trusted as soon as its clock was set', () => {
  const host = machine();
  const mark = (host.wall() + 10 * 365 * 86_400_000) as Instant;
  const clock = createClock({ maxClockStepMs, mark, sources: host.sources });
  host.run(3_000);
  expect(clock.now()).toMatchObject({ trusted: false, latest: mark });
  host.step(mark - host.wall() + 1_000);
  expect(clock.now()).toEqual({ earliest: host.wall(), latest: host.wall(), trusted: true });
  host.step(3_600_000);
  expect(clock.now().trusted).toBe(false);
});

test('I9: whatever happens to the clocks, neither bound ever runs backwards and earliest never exceeds latest', () => {
  const happening = fc.tuple(fc.constantFrom('run', 'sleep', 'step', 'reset'), fc.integer({ min: -100_000, max: 100_000 }));
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
      const host = machine();
      const clock = createClock({ maxClockStepMs, sources: host.sources });
      let last = clock.now();
      for (const [what, ms] of happenings) {
        if (what === 'reset') clock.reset();
        else if (what === 'step') host.step(ms);
        else if (what === 'sleep') host.sleep(Math.abs(ms));
        else host.run(Math.abs(ms));
        const now = clock.now();
        expect(now.latest).toBeGreaterThanOrEqual(last.latest);
        expect(now.earliest).toBeGreaterThanOrEqual(last.earliest);
        expect(now.earliest).toBeLessThanOrEqual(now.latest);
        last = now;
      }
    }),
  );
});
