/** The record bench runs, with tiny numbers; what it measures here means nothing. */
import { expect, test } from 'vitest';
import { recordDefaults, runRecord } from '../../bench/record/run.ts';

test('gives two tables and the two goals', async () => {
  const { tables, goals } = await runRecord({ ...recordDefaults, records: 2_000, grants: 50, rounds: 1, decisions: 50 });
  expect(tables.map(({ rows }) => rows.length)).toEqual([3, 1]);
  expect(goals).toHaveLength(2);
}, 120_000);
