/** The other soaks notice a leak: this one has a leak. Alone in its file, as `memoryGrowth` says. */
import { expect, test } from 'vitest';
import { memoryGrowth } from '../support/memory-growth.ts';

test('a planted leak of four kilobytes a round is noticed', async () => {
  const kept: Buffer[] = [];
  const growth = await memoryGrowth(25_000, () => kept.push(Buffer.alloc(4096, 1)));
  expect(growth.held).toBeGreaterThan(48);
  expect(growth.resident).toBeGreaterThan(48);
  // Referred to until here, or the collections before would free it.
  expect(kept).toHaveLength(25_000);
});
