/** The switch of V8 that the toolchain holds: set while it works, put back when it is idle, whatever became of the work. */
import { beforeEach, expect, test, vi } from 'vitest';

const flags = new Map<string, boolean>();
vi.mock('node:v8', () => ({
  setFlagsFromString: (flag: string) => void flags.set(flag.replace(/^--(?:no-)?/, ''), !flag.startsWith('--no-')),
}));
const { holdBaseline } = await import('../../src/policy/toolchain/baseline.ts');
const { startThread } = await import('../../src/policy/toolchain/thread.ts');

const optimizing = (): boolean => [...flags.values()].every(Boolean);
beforeEach(() => flags.clear());

test('the last one to let go puts it back, and letting go twice counts once', () => {
  const [first, second] = [holdBaseline(), holdBaseline()];
  expect([flags.size, optimizing()]).toEqual([2, false]);
  first();
  first();
  expect(optimizing()).toBe(false);
  second();
  expect(optimizing()).toBe(true);
});

test('a thread that breaks, or is closed at work, leaves nothing behind', async () => {
  const broken = startThread('/nonexistent/worker.mjs');
  await expect(broken.call('version', {})).rejects.toThrow();
  expect([flags.size, optimizing()]).toEqual([2, true]);
  flags.clear();
  const closed = startThread('/nonexistent/worker.mjs');
  const call = closed.call('version', {});
  expect(optimizing()).toBe(false);
  await Promise.all([closed.close(), expect(call).rejects.toThrow()]);
  expect(optimizing()).toBe(true);
});
