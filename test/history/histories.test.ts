/** I1, I2, I7, L1: short histories of real nodes while things go wrong, checked. Some at random here; `npm run test:faults` plays many. */
import { expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { anySeed, playMany } from './many.ts';

const COUNT = 6;

describeWith(['redis', 'cc'], 'histories', () => {
  test.each(['strict', 'embedded'] as const)(`${COUNT} of a fleet: %s`, { timeout: 180_000 }, async (kind) => {
    const tally = await playMany(kind, anySeed(), COUNT, (line) => process.stdout.write(`${line}\n`));
    expect(tally.failures).toEqual([]);
    // They say something: there were allows, and endings after which there were none.
    expect(tally.allows).toBeGreaterThan(COUNT);
    expect(tally.endings).toBeGreaterThan(0);
  });
});
