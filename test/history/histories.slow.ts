/** `npm run test:faults`: many histories in each world. */
import { expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { anySeed, playMany } from './many.ts';
import { WORLDS, type WorldKind } from './world.ts';

const wanted = (process.env['CURFEW_TEST_WORLDS'] ?? WORLDS.join(',')).split(',') as WorldKind[];
const total = Number(process.env['CURFEW_TEST_HISTORIES'] ?? 200);
const seed = Number(process.env['CURFEW_TEST_SEED'] ?? anySeed());
/** Histories behind Sentinels and on a cluster take many seconds each. */
const SHARE: Readonly<Record<WorldKind, number>> = { strict: 10, leased: 10, embedded: 6, sentinels: 1, 'leased-sentinels': 1, cluster: 1, 'leased-cluster': 1, moved: 1 };
const shares = wanted.reduce((sum, kind) => sum + SHARE[kind], 0);

describeWith(['redis', 'cc'], 'many histories', () => {
  test.each(wanted)('%s', { timeout: 36_000_000 }, async (kind) => {
    const count = Math.max(1, Math.round((total * SHARE[kind]) / shares));
    process.stdout.write(`${kind}: ${count} histories from seed ${seed}\n`);
    const { failures, ...tally } = await playMany(kind, seed, count, (line) => process.stdout.write(`${line}\n`), { fault: process.env['CURFEW_TEST_FAULT'], promptly: process.env['CURFEW_TEST_PROMPTLY'] !== undefined });
    process.stdout.write(`${kind}: ${JSON.stringify(tally)}\n`);
    expect(failures.join('\n')).toBe('');
    expect(tally.played).toBe(count);
  });
});
