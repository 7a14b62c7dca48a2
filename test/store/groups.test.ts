/** What is known to be absent by its group is absent: at every moment, for every spelling of an id, also what is hashed in its key. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { openRoot, openTables, type Environment } from '../../src/store/embedded/environment.ts';
import { GROUPS_MAX, groupOf, groupsThere } from '../../src/store/embedded/groups.ts';
import { isHashed, keyBytes, kindPrefix } from '../../src/store/embedded/keys.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import type { RecordKey } from '../../src/store/port.ts';

const NOW = 1_800_000_000_000 as Instant;
const clock = { now: () => ({ earliest: NOW, latest: NOW, trusted: true }) };
const folder = mkdtempSync(join(tmpdir(), 'curfew-groups-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LONG = 'x'.repeat(300);
const head = fc.constantFrom('a', 'b', 'grant', 'grant-x', 'owner', 'é', '', 'ab', LONG);
const tail = fc.oneof(fc.constantFrom('1', '2', ':', 'team:a', `\ud83d\ude00`, '\ud800', '\u0000', LONG), fc.string({ unit: 'binary', maxLength: 4 }));
const id = fc.oneof(fc.tuple(head, tail).map(([first, last]) => `${first}:${last}`), head.filter((text) => text !== ''), fc.constantFrom(`${'y'.repeat(250)}:${'z'.repeat(5)}`, `${'y'.repeat(250)}:${'z'.repeat(6)}`));

const withTables = async (name: string, body: (environment: Environment) => Promise<void> | void): Promise<void> => {
  const root = openRoot({ path: join(folder, name), mapSizeBytes: 64 * 2 ** 20, readOnly: false });
  try {
    await body(openTables(root));
  } finally {
    await root.close();
  }
};

test('a walk finds the groups of all ids that stand in their keys, of this kind and realm and of no other', async () => {
  let run = 0;
  await withTables('walk', (environment) => {
    fc.assert(
      fc.property(fc.array(id, { maxLength: 12 }), fc.array(id, { maxLength: 4 }), (here, elsewhere) => {
        run += 1;
        const prefix = kindPrefix(`realm-${run}-`, 'ending');
        const put = (of: Buffer, ids: readonly string[]): void => ids.forEach((one) => environment.records.putSync(keyBytes({ prefix: of, id: one }), Buffer.from('1')));
        put(prefix, here);
        put(kindPrefix(`realm-${run}-`, 'endin'), elsewhere);
        put(kindPrefix(`realm-${run}-`, 'endings'), elsewhere);
        put(kindPrefix(`x-realm-${run}`, 'ending'), elsewhere);
        const expected = new Set(here.filter((one) => !isHashed(one)).map(groupOf).filter((group) => group !== undefined));
        expect(groupsThere(environment, prefix)).toStrictEqual(expected);
      }),
      { numRuns: 300 },
    );
  });
});

test('of too many groups nothing is known', async () => {
  await withTables('many', (environment) => {
    const prefix = kindPrefix('default', 'ending');
    for (let index = 0; index < GROUPS_MAX + 1; index += 1) environment.records.putSync(keyBytes({ prefix, id: `group-${index}:1` }), Buffer.from('1'));
    expect(groupsThere(environment, prefix)).toBeUndefined();
  });
});

const OWNER = 'spiffe://td/w';
const END = (NOW + 60_000) as Instant;

test('I2: facts bring every ending that was committed before, whatever was known to be absent: after each of many commits', async () => {
  const kinds = fc.constantFrom('ending', 'task');
  const key: fc.Arbitrary<RecordKey> = fc.record({ kind: kinds, id });
  const step = fc.record({ put: fc.array(key, { maxLength: 2 }), keys: fc.array(key, { maxLength: 6 }), refs: fc.option(fc.array(key, { maxLength: 6 }), { nil: undefined }) });
  const nameOf = (one: RecordKey): string => `${one.kind}/${one.id}`;
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), async (steps) => {
      run += 1;
      const store = await openEmbeddedStore({ path: join(folder, `facts-${run}`), mode: 'development', clock });
      try {
        const there = new Set<string>();
        let refs: readonly RecordKey[] = [];
        for (const [index, { put, keys, refs: next }] of steps.entries()) {
          refs = next ?? refs;
          const grant = { key: { kind: 'grant', id: 'g' }, value: { id: 'g', step: index }, index: { owner: OWNER, end: END }, refs };
          const unique = [...new Map(put.map((one) => [nameOf(one), one])).values()];
          const outcome = await store.commit({ realm: 'default', expect: [], puts: [...(next === undefined && index > 0 ? [] : [grant]), ...unique.map((one) => ({ key: one, value: { version: 1 } }))], events: [{ type: 'x', about: [], ending: true, data: {} }] });
          expect(outcome.outcome).toBe('committed');
          unique.forEach((one) => there.add(nameOf(one)));
          // Twice: what the first look remembered must say the same.
          for (let look = 0; look < 2; look += 1) {
            const facts = store.facts({ realm: 'default', keys, index: { owner: OWNER, endsAfter: NOW } });
            expect(facts.rows.length).toBe(1);
            expect([...facts.records.keys()].sort()).toEqual([...new Set([...keys, ...refs].map(nameOf).filter((name) => there.has(name)))].sort());
          }
        }
      } finally {
        await store.close();
      }
    }),
    { numRuns: 60 },
  );
});
