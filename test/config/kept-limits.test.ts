/** I2: what enforcement points keep from before a restart is waited for, for as long as they may use it, and no longer. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { keepLimits, type KeptLimits } from '../../src/config/kept-limits.ts';

let path: string;
const kept: KeptLimits[] = [];
const start = (maxFactsAgeMs: number, pepCacheMaxMs: number): KeptLimits => {
  kept.push(keepLimits(path, { maxFactsAgeMs, pepCacheMaxMs }));
  return kept.at(-1) as KeptLimits;
};
const written = (): unknown => JSON.parse(readFileSync(path, 'utf8'));

beforeEach(() => {
  vi.useFakeTimers();
  path = join(mkdtempSync(join(tmpdir(), 'curfew-limits-')), 'store', 'limits.json');
});
afterEach(() => {
  for (const one of kept.splice(0)) one.close();
  vi.useRealTimers();
  rmSync(join(path, '..', '..'), { recursive: true, force: true });
});

test('a first start waits by its own limits', () => {
  expect(start(50, 0).longest).toEqual({ factsAgeMs: 50, pepCacheMs: 0 });
  expect(written()).toEqual({ factsAgeMs: 50, pepCacheMs: 0 });
});

test('a restart with shorter ones waits by the longer ones until nothing from before can be in use', () => {
  start(100, 5_000);
  const { longest } = start(50, 0);
  expect(longest).toEqual({ factsAgeMs: 100, pepCacheMs: 5_000 });
  expect(written()).toEqual({ factsAgeMs: 100, pepCacheMs: 5_000 });
  vi.advanceTimersByTime(5_099);
  expect(longest).toEqual({ factsAgeMs: 100, pepCacheMs: 5_000 });
  vi.advanceTimersByTime(1);
  expect(longest).toEqual({ factsAgeMs: 50, pepCacheMs: 0 });
  expect(written()).toEqual({ factsAgeMs: 50, pepCacheMs: 0 });
});

test('two restarts within that time forget nothing', () => {
  start(50, 5_000);
  start(50, 0).close();
  vi.advanceTimersByTime(4_000);
  const { longest } = start(50, 0);
  vi.advanceTimersByTime(4_000);
  expect(longest.pepCacheMs).toBe(5_000);
  vi.advanceTimersByTime(1_050);
  expect(longest.pepCacheMs).toBe(0);
});

test('a reload counts from before its limits are used, and is not forgotten with what was before the start', () => {
  start(50, 5_000);
  const node = start(50, 0);
  node.note({ maxFactsAgeMs: 50, pepCacheMaxMs: 9_000 });
  expect(written()).toEqual({ factsAgeMs: 50, pepCacheMs: 9_000 });
  node.note({ maxFactsAgeMs: 50, pepCacheMaxMs: 10 });
  vi.advanceTimersByTime(60_000);
  expect(node.longest).toEqual({ factsAgeMs: 50, pepCacheMs: 9_000 });
});

test.each(['', '{}', 'null', '{"factsAgeMs":1,"pepCacheMs":-1}', '{"factsAgeMs":1,"pepCacheMs":1,"more":1}'])('a file that says %j is no start: how long to wait is not known', (text) => {
  start(50, 0);
  writeFileSync(path, text);
  expect(() => start(50, 0)).toThrow('does not say how long');
});
