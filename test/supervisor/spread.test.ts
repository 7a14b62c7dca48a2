/** What workers are told of connections: shares get even and stay so, and somebody listens at every moment. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SETTLE_MS, SPREAD_MS, startSpreading, type Connections, type Spread, type Spreadable } from '../../src/supervisor/spread.ts';

interface Worker extends Spreadable {
  /** Of HTTP/1.1; none: it stands still. */
  has: number | undefined;
  accepts: boolean;
  told: Spread | undefined;
}

let nowMs = 0;
let stop: () => void = () => undefined;
beforeEach(() => {
  vi.useFakeTimers();
  nowMs = 0;
});
afterEach(() => {
  stop();
  vi.useRealTimers();
});

/** Whoever is told to let some go has them opened anew at those that accept, in turn. */
const fleet = (...counts: number[]) => {
  const workers = counts.map((count, index): Worker => ({
    pid: index + 1, has: count, accepts: true, told: undefined,
    connections(): Connections | undefined { return this.has === undefined ? undefined : { http1: this.has, http2: 0 }; },
    spread(of, asked) {
      if (of !== 'http1') return;
      this.told = asked;
      this.accepts = asked.accept;
      shed += asked.shed;
      this.has = (this.has ?? 0) - asked.shed;
      moving += asked.shed;
    },
  }));
  let [shed, moving] = [0, 0];
  const { stop: ending, lost } = startSpreading(() => workers, () => nowMs);
  stop = ending;
  return {
    workers, lost,
    counts: () => workers.map(({ has }) => has),
    shed: () => shed,
    tick: () => {
      nowMs += SPREAD_MS;
      vi.advanceTimersByTime(SPREAD_MS);
      for (; moving > 0; moving -= 1) {
        const [least] = workers.filter(({ accepts, has }) => accepts && has !== undefined).toSorted((a, b) => Number(a.has) - Number(b.has)) as [Worker];
        least.has = Number(least.has) + 1;
      }
    },
  };
};

test('all in one become even at once, and nobody is moved again', () => {
  const { counts, shed, tick, workers } = fleet(16, 0);
  tick();
  expect([counts(), workers.map(({ accepts }) => accepts)]).toEqual([[8, 8], [false, true]]);
  for (let turn = 0; turn < 30; turn += 1) tick();
  expect([counts(), shed(), workers.map(({ accepts }) => accepts)]).toEqual([[8, 8], 8, [true, true]]);
});

test('nothing is moved for a few, and what is worth it is brought to its end', () => {
  const { counts, shed, tick, workers } = fleet(22, 18);
  for (let turn = 0; turn < 10; turn += 1) tick();
  expect([counts(), shed(), workers.map(({ told }) => told)]).toEqual([[22, 18], 0, [undefined, undefined]]);
  const [first] = workers as [Worker, Worker];
  first.has = 30;
  tick();
  expect(counts()).toEqual([24, 24]);
  // Until it is even, a little is worth it too; not before the peers have come back.
  first.has = 28;
  for (let turn = 1; turn < SETTLE_MS / SPREAD_MS; turn += 1) tick();
  expect(counts()).toEqual([28, 24]);
  tick();
  expect(counts()).toEqual([26, 26]);
});

test('nobody leaves the socket before somebody else is back at it', () => {
  const { tick, workers } = fleet(16, 0);
  const [first, second] = workers as [Worker, Worker];
  tick();
  expect([first.accepts, second.accepts]).toEqual([false, true]);
  [first.has, second.has] = [0, 40];
  tick();
  expect([first.accepts, second.accepts, second.told?.shed]).toEqual([true, true, 0]);
  tick();
  expect([first.accepts, second.accepts]).toEqual([true, false]);
});

test('a worker that stands still is told nothing, and nothing is left to it', () => {
  const { tick, workers } = fleet(16, 0);
  const [first, second] = workers as [Worker, Worker];
  second.has = undefined;
  tick();
  expect([first.told, second.told]).toEqual([undefined, undefined]);
  second.has = 0;
  tick();
  expect(first.accepts).toBe(false);
  second.has = undefined;
  tick();
  expect(first.accepts).toBe(true);
});

test('when a worker is lost, all listen at once', () => {
  const { lost, tick, workers } = fleet(16, 0);
  tick();
  expect(workers.map(({ accepts }) => accepts)).toEqual([false, true]);
  lost();
  expect(workers.map(({ accepts }) => accepts)).toEqual([true, true]);
});
