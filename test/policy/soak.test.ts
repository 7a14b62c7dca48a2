/** D2: memory stays flat. A hundred thousand evaluations here, a million with `npm run test:soak`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { loadPolicy } from '../../src/policy/load-policy.ts';
import { repositoryRoot } from '../parts.ts';
import { memoryGrowth } from '../support/memory-growth.ts';

const ROUNDS = process.env['CURFEW_TEST_SOAK'] === '1' ? 1_000_000 : 100_000;
const now = 1_700_000_000_000 as Instant;

const asked = (size: number): JsonObject => ({
  curfew: {
    now_ms: now,
    resource: { type: 'http', id: `shop.local/${'x'.repeat(size)}` },
    grants: Array.from({ length: size % 7 }, (_, index) => ({ id: `g${index}`, model: 'jit', tier: 'standard', justification: 'y'.repeat(size) })),
  },
});

test('D2: evaluations of many sizes leave the memory flat', async () => {
  const policy = await loadPolicy(readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz')), { entrypoints: [] });
  const inputs = [0, 10, 100, 1_000, 5_000, 50_000].map(asked);
  const growth = await memoryGrowth(ROUNDS, (index) => {
    // Mostly small ones, so that the run stays short.
    const input = inputs[index % 1_000 === 0 ? 5 : index % 100 === 0 ? 4 : index % 4] as JsonObject;
    const outcome = policy.evaluate('curfew/access/decision', input, now);
    if (outcome.kind !== 'value') throw new Error(`evaluation ${index}: ${JSON.stringify(outcome)}`);
  });
  expect(growth.held).toBeLessThan(8);
  expect(growth.resident).toBeLessThan(48);
}, 600_000);
