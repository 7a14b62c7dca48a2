/** What a process remembers of the store is bounded, and what comes in does not put out what is asked about more often. */
import { expect, test } from 'vitest';
import { createDoorkeeper, createMemo, createMemoSpace, type MemoSpace } from '../../src/store/embedded/memo.ts';

const COST = 1_000;
const HOT = Array.from({ length: 10 }, (_, index) => `hot-${index}`);

/** Asks about the hot keys in each round, and about so many keys that come once or twice; how many hot ones were remembered in the last rounds. */
const hits = (space: MemoSpace, worth: (key: string) => boolean, coldTimes: number): number => {
  const memo = createMemo<{ readonly cost: number }>(space);
  const ask = (key: string): boolean => {
    const found = memo.get(key) !== undefined;
    if (!found && worth(key)) memo.set(key, { cost: COST });
    return found;
  };
  let found = 0;
  for (let round = 0; round < 400; round += 1) {
    for (let cold = 0; cold < 40; cold += 1) for (let time = 0; time < coldTimes; time += 1) ask(`cold-${round}-${cold}`);
    for (const key of HOT) if (ask(key) && round >= 300) found += 1;
  }
  return found / (100 * HOT.length);
};

test('while there is room, what is asked about a second time is remembered', () => {
  const space = createMemoSpace(100 * COST);
  const worth = createDoorkeeper(space, 1_024);
  expect([worth('a'), worth('a'), worth('b'), worth('a'), worth('b')]).toEqual([false, true, false, true, true]);
});

test('with more than there is room for, what is asked about often stays although everything else is asked about twice', () => {
  const room = (): MemoSpace => createMemoSpace(4 * HOT.length * COST);
  const space = room();
  expect(hits(space, createDoorkeeper(space, 32_768), 2)).toBeGreaterThan(0.95);
  // The check finds what it is for: taking in whatever comes a second time loses them.
  const seen = new Set<string>();
  expect(hits(room(), (key) => seen.has(key) || !seen.add(key), 2)).toBeLessThan(0.6);
});

test('what is no longer asked about gives way to what is', () => {
  const space = createMemoSpace(10);
  space.generation = 1;
  const worth = createDoorkeeper(space, 1);
  for (let time = 0; time < 100; time += 1) worth('before');
  expect(Array.from({ length: 16 }, () => worth('after')).lastIndexOf(false)).toBe(13);
});
