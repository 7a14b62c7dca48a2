/** What a process remembers of a row is not made anew because something ended elsewhere: only what a look finds changed is. */
import { expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { NEW_REALM, type RealmState } from '../../src/store/embedded/realm-state.ts';
import type { HeldRecord } from '../../src/store/embedded/record.ts';
import { createResolver, type RowRecord } from '../../src/store/embedded/resolve.ts';

const at = (sequence: number) => ({ sequence, at: 0 as Instant });
const heldAs = (id: string, sequence: number): HeldRecord => ({ record: { key: { kind: 'ending', id }, created: at(sequence), modified: at(sequence), value: {} }, refs: [] });

test('a row keeps what its refs led to while endings elsewhere come; what ends it is found at once, and what is taken back too', () => {
  const endings = new Map<string, HeldRecord>();
  const realm: { state: RealmState } = { state: { ...NEW_REALM, slots: new Float64Array(64) } };
  const commit = (change: () => void): void => {
    change();
    const sequence = realm.state.sequence + 1;
    realm.state = { ...realm.state, sequence, slots: Float64Array.from({ length: 64 }, (_, slot) => (slot === 7 ? sequence : 0)) };
  };
  let looks = 0;
  const look = (id: string): HeldRecord | undefined => {
    looks += 1;
    return endings.get(id);
  };
  const refsOf = createResolver<typeof realm, { readonly slot: number }>({ kindReader: () => ({ slot: 7 }), provedAbsent: () => false, lookup: (_, { id }) => look(id), read: (_, { id }) => look(id) });
  const row: RowRecord = { record: { key: { kind: 'grant', id: 'g' }, created: at(0), modified: at(0), value: {} }, refs: () => [{ kind: 'ending', id: 'grant:g' }, { kind: 'ending', id: 'task:t' }] };

  const first = refsOf(realm, row);
  for (let other = 0; other < 3; other += 1) {
    commit(() => endings.set(`grant:other-${other}`, heldAs(`grant:other-${other}`, other)));
    const before = looks;
    expect(refsOf(realm, row), 'the same object').toBe(first);
    expect(looks - before, 'after a look at each').toBe(2);
    expect(refsOf(realm, row)).toBe(first);
    expect(looks - before, 'and no second look while nothing moves').toBe(2);
  }
  commit(() => endings.set('task:t', heldAs('task:t', 4)));
  const ended = refsOf(realm, row);
  expect(ended.present.map(({ record }) => record.key.id)).toEqual(['task:t']);
  // The same key, another version of it.
  commit(() => endings.set('task:t', heldAs('task:t', 5)));
  expect(refsOf(realm, row).present.map(({ record }) => record.modified.sequence)).toEqual([5]);
  commit(() => endings.delete('task:t'));
  expect(refsOf(realm, row).present).toEqual([]);
});
