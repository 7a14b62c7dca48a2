/** D2: memory stays flat. A hundred thousand evaluations here, a million with `npm run test:soak`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { loadPolicy, type LoadedPolicy } from '../../src/policy/load-policy.ts';
import { repositoryRoot } from '../parts.ts';

const ROUNDS = process.env['CURFEW_TEST_SOAK'] === '1' ? 1_000_000 : 100_000;
const MEBIBYTE = 1024 * 1024;
const now = 1_700_000_000_000 as Instant;
const load = (path: string): Promise<LoadedPolicy> => loadPolicy(readFileSync(join(repositoryRoot, path)), { entrypoints: [] });

const rssGrowth = async (rounds: number, round: (index: number) => unknown): Promise<number> => {
  const run = async (from: number, count: number): Promise<void> => {
    for (let index = from; index < from + count; index += 1) {
      round(index);
      // As between requests: lets the collector's finalisers run.
      if (index % 5_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await run(0, rounds / 5);
  const before = process.memoryUsage().rss;
  await run(rounds / 5, (rounds * 4) / 5);
  return (process.memoryUsage().rss - before) / MEBIBYTE;
};

const asked = (size: number): JsonObject => ({
  curfew: {
    now_ms: now,
    resource: { type: 'http', id: `shop.local/${'x'.repeat(size)}` },
    grants: Array.from({ length: size % 7 }, (_, index) => ({ id: `g${index}`, model: 'jit', tier: 'standard', justification: 'y'.repeat(size) })),
  },
});

test('D2: evaluations of many sizes leave the memory flat', async () => {
  const policy = await load('bundles/curfew.tar.gz');
  const inputs = [0, 10, 100, 1_000, 5_000, 50_000].map(asked);
  const growth = await rssGrowth(ROUNDS, (index) => {
    // Mostly small ones, so that the run stays short.
    const input = inputs[index % 1_000 === 0 ? 5 : index % 100 === 0 ? 4 : index % 4] as JsonObject;
    const outcome = policy.evaluate('curfew/access/decision', input, now);
    if (outcome.kind !== 'value') throw new Error(`evaluation ${index}: ${JSON.stringify(outcome)}`);
  });
  expect(growth).toBeLessThan(48);
}, 600_000);

test('D2: evaluations that fail, each of which costs an instance, leave the memory flat', async () => {
  const policy = await load('test/policy/fixtures/engine.tar.gz');
  const growth = await rssGrowth(ROUNDS / 50, () => {
    const outcome = policy.evaluate('fixture/engine/conflict', { a: 1, b: 1 }, now);
    if (outcome.kind !== 'failed') throw new Error('should have failed');
  });
  expect(growth).toBeLessThan(48);
  expect(policy.evaluate('fixture/engine/echo', {}, now)).toEqual({ kind: 'value', value: {} });
}, 600_000);

test('a planted leak of four kilobytes a round is noticed', async () => {
  const kept: Buffer[] = [];
  const growth = await rssGrowth(25_000, () => kept.push(Buffer.alloc(4096, 1)));
  expect(growth).toBeGreaterThan(48);
});
