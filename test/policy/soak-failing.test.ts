/** D2: memory stays flat, also when evaluations fail. Two thousand of them here, twenty thousand with `npm run test:soak`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { loadPolicy } from '../../src/policy/load-policy.ts';
import { repositoryRoot } from '../parts.ts';
import { memoryGrowth } from '../support/memory-growth.ts';

const ROUNDS = process.env['CURFEW_TEST_SOAK'] === '1' ? 20_000 : 2_000;
const now = 1_700_000_000_000 as Instant;

test('D2: evaluations that fail, each of which costs an instance, leave the memory flat', async () => {
  const policy = await loadPolicy(readFileSync(join(repositoryRoot, 'test/policy/fixtures/engine.tar.gz')), { entrypoints: [] });
  const growth = await memoryGrowth(ROUNDS, () => {
    const outcome = policy.evaluate('fixture/engine/conflict', { a: 1, b: 1 }, now);
    if (outcome.kind !== 'failed') throw new Error('should have failed');
  });
  expect(growth.held).toBeLessThan(8);
  expect(growth.resident).toBeLessThan(48);
  expect(policy.evaluate('fixture/engine/echo', {}, now)).toEqual({ kind: 'value', value: {} });
}, 600_000);
