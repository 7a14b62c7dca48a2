/**
 * A process that commits without pause and says on its standard output what was acknowledged: `ack <number> <sequence>` a line.
 *   node writer.js <directory> '{"first": 1, "count": 0, "atOnce": 4, "early": false}'      count 0: until it is killed
 * `early` is the planted bug: it acknowledges before the store did.
 */
import { writeSync } from 'node:fs';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import { createClock } from '../../src/time/clock.ts';

export interface WriterOptions {
  readonly first: number;
  readonly count: number;
  readonly atOnce: number;
  readonly early: boolean;
}

const [path, json] = process.argv.slice(2) as [string, string];
const { first, count, atOnce, early } = JSON.parse(json) as WriterOptions;
const store = await openEmbeddedStore({ path, mode: 'development', clock: createClock({ maxClockStepMs: 60_000 }) });
const last = count === 0 ? Number.POSITIVE_INFINITY : first + count - 1;
const acknowledge = (number: number, sequence: number): void => {
  writeSync(1, `ack ${number} ${sequence}\n`);
};

let next = first;
const work = async (): Promise<void> => {
  while (next <= last) {
    const number = next;
    next += 1;
    const key = { kind: 'write', id: `${number}` };
    const events = Array.from({ length: 1 + (number % 3) }, (_, index) => ({ type: 'written', about: [key], ending: index === 1, data: { number } }));
    const committed = store.commit({
      realm: 'default',
      expect: [{ key, version: 0 }],
      puts: [{ key, value: { number, filling: 'x'.repeat(number % 700) }, index: { owner: `w${number % 5}`, end: 4_000_000_000_000 as never } }],
      increments: [{ key: { kind: 'uses', id: 'all' }, max: Number.MAX_SAFE_INTEGER }],
      events,
    });
    if (early) acknowledge(number, 0);
    const outcome = await committed;
    if (outcome.outcome !== 'committed') throw new Error(outcome.outcome);
    if (!early) acknowledge(number, outcome.position.sequence);
  }
};
await Promise.all(Array.from({ length: atOnce }, work));
await store.close();
