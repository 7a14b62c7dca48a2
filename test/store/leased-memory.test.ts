/** I5, I2: what is answered from memory is what the store held at the memory's position, whatever was read, changed and asked in between. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { createMemoSpace } from '../../src/store/embedded/memo.ts';
import { createRealmMemory, LOOK_BACK, type RealmMemory } from '../../src/store/leased/memory.ts';
import { wide } from '../../src/store/leased/width.ts';
import { recordKeyText, type FactsQuery, type FactsRead, type RecordKey, type StoredRecord } from '../../src/store/port.ts';

const NAMES = { nameOf: recordKeyText, ownerNameOf: (owner: string) => owner };
const OWNERS = ['w0', 'w1'];
const keyOf = (kind: string, id: number): RecordKey => ({ kind, id: String(id) });
/** Grants have the owner that their number says, and end then. */
const ownerOf = (id: number): string => OWNERS[id % 2] as string;
const endOf = (id: number): number => 10 + (id % 5);

interface Version {
  readonly sequence: number;
  readonly record: StoredRecord | undefined;
  readonly refs: readonly RecordKey[];
}

/** Every version of every record: a store that can be asked what it held at any sequence. */
const createHistory = () => {
  const versions = new Map<string, Version[]>();
  const batches: { readonly sequence: number; readonly records: readonly string[]; readonly owners: readonly string[] }[] = [];
  const at = (name: string, sequence: number): Version | undefined => versions.get(name)?.findLast((version) => version.sequence <= sequence);
  return {
    get head() { return batches.length; },
    /** `refs` absent: it is dropped. */
    commit: (kind: string, id: number, refs: readonly RecordKey[] | undefined): void => {
      const [key, sequence] = [keyOf(kind, id), batches.length + 1];
      const name = recordKeyText(key);
      const stamp = { sequence, at: sequence as Instant };
      const before = at(name, sequence)?.record;
      const record = refs === undefined ? undefined : { key, created: before?.created ?? stamp, modified: stamp, value: { version: sequence } };
      versions.set(name, [...(versions.get(name) ?? []), { sequence, record, refs: refs ?? [] }]);
      // A row came or went; a commit that only gives it other refs leaves its owner's list as it was.
      const row = kind === 'grant' && (before === undefined) !== (record === undefined);
      batches.push({ sequence, records: [name], owners: row ? [ownerOf(id)] : [] });
    },
    changes: (after: number, upTo: number) => batches.slice(after, upTo),
    read: (query: FactsQuery, sequence: number): FactsRead => {
      const records = new Map<string, StoredRecord>();
      const bring = (key: RecordKey): void => {
        const record = at(recordKeyText(key), sequence)?.record;
        if (record !== undefined) records.set(recordKeyText(key), record);
      };
      query.keys.forEach(bring);
      const base = { position: { epoch: 'e', sequence }, endings: { sequence: 0, hash: '' }, truncated: false } as const;
      if (query.index === undefined) return { ...base, records, rows: [], ended: [] };
      const { owner, endsAfter, wanted, lookBack = 0, places } = query.index;
      const all = [...versions.keys()].filter((name) => name.startsWith('grant/')).map((name) => at(name, sequence)).filter((version) => version?.record !== undefined) as (Version & { record: StoredRecord })[];
      const own = all.filter(({ record: { key } }) => ownerOf(Number(key.id)) === owner)
        .sort((a, b) => endOf(Number(b.record.key.id)) - endOf(Number(a.record.key.id)) || Number(a.record.key.id) - Number(b.record.key.id));
      const rows = own.filter(({ record }) => endsAfter < endOf(Number(record.key.id)));
      const relevant = rows.filter(({ record }) => places === true || wanted?.(record) !== false);
      for (const { refs } of relevant) refs.forEach(bring);
      const ended = relevant.length > 0 && places !== true ? [] : own.filter((row) => !rows.includes(row)).slice(0, lookBack);
      const place = ({ record, refs }: (typeof own)[number]) => ({ end: endOf(Number(record.key.id)) as Instant, refs: refs.map(recordKeyText) });
      return { ...base, records, rows: rows.map(({ record }) => record), ended: ended.map(({ record }) => record), ...(places === true ? { places: { rows: rows.map(place), ended: ended.map(place) } } : {}) };
    },
  };
};

// Few of everything: what was read, asked and changed must often be the same.
const id = fc.nat(3);
const refs = fc.array(fc.record({ kind: fc.constantFrom('ending', 'ending', 'task', 'grant', 'grant', 'uses'), id }).map(({ kind, id: number }) => keyOf(kind, number)), { maxLength: 2 });
const question = fc.record({
  keys: fc.constantFrom<readonly number[]>([0, 1], [0, 1], [0, 1], [2, 1], [0], [1, 0, 2]), owner: fc.constantFrom('w0', 'w0', 'w1', undefined),
  endsAfter: fc.constantFrom(9, 9, 9, 11), odd: fc.boolean(), lookBack: fc.constantFrom(0, LOOK_BACK),
});
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('commit' as const), kind: fc.constantFrom('ending', 'task', 'grant', 'grant', 'use', 'uses'), id, refs: fc.option(refs, { freq: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), question }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('apply' as const), share: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('ask' as const), question }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('gap' as const) }) },
);
type Question = typeof question extends fc.Arbitrary<infer T> ? T : never;

/** Made anew each time, as decisions do it. */
const queryOf = ({ keys, owner, endsAfter, odd, lookBack }: Question): FactsQuery => ({
  realm: 'default', keys: keys.map((one) => keyOf('ending', one)),
  ...(owner === undefined ? {} : { index: { owner, endsAfter: endsAfter as Instant, lookBack, wanted: ({ key }: StoredRecord) => !odd || Number(key.id) % 3 === 1 } }),
});
const told = ({ records, rows, ended, truncated }: Pick<FactsRead, 'records' | 'rows' | 'ended' | 'truncated'>) => ({ records: [...records].sort(([a], [b]) => (a < b ? -1 : 1)), rows, ended, truncated });

test('an answer from memory is the whole truth at the position of the memory', () => {
  let answers = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120, size: 'max' }), fc.constantFrom(4_000, 1_000_000), (steps, bytesMax) => {
      const history = createHistory();
      const memory = createRealmMemory(NAMES, createMemoSpace(bytesMax));
      const endings = { sequence: 0, hash: '' };
      memory.apply({ sequence: 0, endings, whole: false, changes: [] });
      for (const one of steps) {
        const position = memory.position as number;
        if (one.do === 'commit') history.commit(one.kind, one.id, one.refs ?? undefined);
        else if (one.do === 'gap') memory.apply({ sequence: history.head, endings, whole: false, changes: [] });
        else if (one.do === 'apply') {
          const sequence = position + Math.ceil((history.head - position) / one.share);
          memory.apply({ sequence, endings, whole: true, changes: history.changes(position, sequence) });
        } else {
          const query = queryOf(one.question);
          const asked = wide(query);
          if (one.do === 'read') memory.keep(memory.life, asked, history.read(asked, history.head));
          const found = memory.answer(query);
          if (found === undefined) continue;
          answers += 1;
          expect(told(found)).toEqual(told(history.read(query, position)));
        }
      }
    }),
    { numRuns: 200 },
  );
  expect(answers).toBeGreaterThan(2_000);
});

const remembering = (query: FactsQuery): { readonly memory: RealmMemory; readonly named: string[] } => {
  const named: string[] = [];
  const memory = createRealmMemory({ ...NAMES, nameOf: (key) => { named.push(recordKeyText(key)); return recordKeyText(key); } }, createMemoSpace(1_000_000));
  memory.apply({ sequence: 1, endings: { sequence: 0, hash: '' }, whole: false, changes: [] });
  const asked = wide(query);
  memory.keep(memory.life, asked, { position: { epoch: 'e', sequence: 1 }, endings: { sequence: 0, hash: '' }, records: new Map(), rows: [], ended: [], truncated: false, places: { rows: [], ended: [] } });
  expect(memory.answer(query)).toBeDefined();
  named.length = 0;
  return { memory, named };
};
const asking = (...ids: readonly number[]): FactsQuery => queryOf({ keys: ids, owner: 'w0', endsAfter: 9, odd: false, lookBack: 0 });
const changed = (sequence: number, ...records: readonly string[]) => ({ sequence, endings: { sequence: 0, hash: '' }, whole: true, changes: [{ sequence, records, owners: [] }] });

test('a list that was asked for before is not looked up again, until something of its kind changed', () => {
  const { memory, named } = remembering(asking(1, 2));
  expect([memory.answer(asking(1, 2)) !== undefined, named]).toEqual([true, []]);
  memory.apply(changed(2, 'use/1', 'seen/w0'));
  expect([memory.answer(asking(1, 2)) !== undefined, named]).toEqual([true, []]);
  memory.apply(changed(3, 'ending/4'));
  expect([memory.answer(asking(1, 2)) !== undefined, named]).toEqual([true, ['ending/1', 'ending/2']]);
  memory.apply(changed(4, 'ending/2'));
  expect(memory.answer(asking(1, 2))).toBeUndefined();
});

test('another credential of the same workload: what its list has for itself is looked up, and not taken from the one before', () => {
  const { memory, named } = remembering(asking(1, 2));
  expect([memory.answer(asking(3, 2)), named]).toEqual([undefined, ['ending/3']]);
  expect(memory.answer(asking(1))).toBeDefined();
  expect(memory.answer(asking(1, 2, 3))).toBeUndefined();
  expect(memory.answer(asking(2, 1))).toBeDefined();
});

test('a grant that was changed since its list was read, and read again for the sake of another, does not count with the references that it had', () => {
  const history = createHistory();
  const memory = createRealmMemory(NAMES, createMemoSpace(1_000_000));
  const endings = { sequence: 0, hash: '' };
  memory.apply({ sequence: 0, endings, whole: false, changes: [] });
  const of = (owner: 'w0' | 'w1'): FactsQuery => queryOf({ keys: [], owner, endsAfter: 9, odd: false, lookBack: 0 });
  const read = (owner: 'w0' | 'w1'): void => {
    memory.apply({ sequence: history.head, endings, whole: true, changes: history.changes(memory.position as number, history.head) });
    memory.keep(memory.life, wide(of(owner)), history.read(wide(of(owner)), history.head));
  };
  history.commit('task', 1, []);
  history.commit('grant', 0, [keyOf('task', 1)]);
  read('w0');
  expect(memory.answer(of('w0'))).toBeDefined();
  history.commit('ending', 3, []);
  history.commit('grant', 0, [keyOf('task', 1), keyOf('ending', 3)]);
  // Of the other workload, and rests on the first grant.
  history.commit('grant', 1, [keyOf('grant', 0)]);
  read('w1');
  expect(memory.answer(of('w1'))).toBeDefined();
  expect(memory.answer(of('w0'))).toBeUndefined();
});
