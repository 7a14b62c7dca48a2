/** Records that lists of rows bring along are the records themselves; stores of the format before are taken over. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import { openRoot, openTables, type Environment } from '../../src/store/embedded/environment.ts';
import { heldAt } from '../../src/store/embedded/held-at.ts';
import { keyBytes, kindPrefix, ROWS_KIND } from '../../src/store/embedded/keys.ts';
import { openEmbeddedStore, type EmbeddedStore } from '../../src/store/embedded/open.ts';
import { parseOwnerRows } from '../../src/store/embedded/owner-rows.ts';
import { pack, unpack } from '../../src/store/embedded/packed-record.ts';
import { checksumSeed, decodeRecord, encodeRecord, type HeldRecord } from '../../src/store/embedded/record.ts';
import type { Commit, FactsRead, RecordKey } from '../../src/store/port.ts';

const NOW = 1_800_000_000_000 as Instant;
const clock = { now: () => ({ earliest: NOW, latest: NOW, trusted: true }) };
const root = mkdtempSync(join(tmpdir(), 'curfew-packed-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const prefix = kindPrefix('default', 'grant');
const seed = checksumSeed(prefix);

const name = fc.oneof(fc.constantFrom('id', 'workload', 'scopes', '__proto__', 'toString', '0', '10', '9', "it's", 'a"b', 'a\\b', ''), fc.string({ unit: 'binary', maxLength: 6 }));
const text = fc.oneof(fc.constantFrom('grant:g1', 'g1', 'owner:team:a', 'team:a', ':', 'x:'), fc.string({ unit: 'binary', maxLength: 30 }));
const { value: json } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null), fc.array(tie('value'), { maxLength: 5 }), fc.dictionary(name, tie('value'), { maxKeys: 6 })),
}));
const stamp = fc.record({ sequence: fc.nat().map((value) => value + 1), at: fc.nat().map((value) => value as Instant) });
const held: fc.Arbitrary<HeldRecord> = fc.record({
  record: fc.record(
    { key: text.map((id) => ({ kind: 'grant', id })), created: stamp, modified: stamp, marked: stamp, value: fc.dictionary(name, json, { maxKeys: 8 }) },
    { requiredKeys: ['key', 'created', 'modified', 'value'] },
  ),
  refs: fc.array(fc.record({ kind: fc.constantFrom('ending', 'task', 'uses'), id: text }), { maxLength: 6 }),
});

test('what is packed comes back as the record that is read by itself, refs included, after others of its shape and not', () => {
  let packedCount = 0;
  fc.assert(
    fc.property(held, (one) => {
      const alone = decodeRecord('grant', one.record.key.id, seed, encodeRecord(prefix, one));
      const packed = pack(one);
      if (packed === undefined) return;
      packedCount += 1;
      const { shape, packed: kept } = JSON.parse(JSON.stringify(packed)) as typeof packed;
      const { record, refs } = unpack(one.record.key, kept, () => shape.text);
      expect(record).toStrictEqual(alone.record);
      expect(JSON.stringify(record)).toBe(JSON.stringify({ ...record, value: alone.record.value }));
      expect(refs()).toStrictEqual(alone.refs);
    }),
    { numRuns: 4_000 },
  );
  expect(packedCount).toBeGreaterThan(1_000);
});

test('what is large is not packed', () => {
  const of = (value: JsonObject): unknown => pack({ record: { key: { kind: 'grant', id: 'g' }, created: { sequence: 1, at: NOW }, modified: { sequence: 1, at: NOW }, value }, refs: [] });
  expect(of({ a: 1 })).toBeDefined();
  expect(of({ a: Array.from({ length: 300 }, () => 'x') })).toBeUndefined();
  expect(of(Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`a name of its own ${index}`, 1])))).toBeUndefined();
});

const grantPut = (id: string, end: number, note: string): Commit['puts'][number] => ({
  key: { kind: 'grant', id }, value: { id, note, nested: { list: [note, 1, null] } },
  index: { owner: 'w', end: end as Instant }, refs: [{ kind: 'ending', id: `grant:${id}` }, { kind: 'task', id: 't' }],
});
const commitOf = (puts: Commit['puts'], drops: readonly RecordKey[] = []): Commit => ({ realm: 'default', expect: [], puts, drops, events: [] });
const factsOf = (store: EmbeddedStore): FactsRead => store.facts({ realm: 'default', keys: [], index: { owner: 'w', endsAfter: NOW, wanted: () => true } });

const rawAt = async <T>(path: string, body: (environment: Environment) => T | Promise<T>): Promise<T> => {
  const raw = openRoot({ path, mapSizeBytes: 2 ** 30, readOnly: false });
  try {
    return await body(openTables(raw));
  } finally {
    await raw.close();
  }
};

describe('in a store', () => {
  test('every change of a listed record changes what comes along, in every process that remembers it', async () => {
    const path = mkdtempSync(join(root, 'store-'));
    const open = () => openEmbeddedStore({ path, mode: 'production', clock });
    const [writing, reading] = [await open(), await open()];
    const ids = Array.from({ length: 24 }, (_, index) => `g${index}`);
    const expected = new Map<string, JsonValue>();
    const check = async (): Promise<void> => {
      for (const store of [writing, reading, reading]) {
        const { rows } = factsOf(store);
        expect(new Map(rows.map(({ key, value }) => [key.id, value['note']]))).toEqual(expected);
        const alone = await store.read('default', rows.map(({ key }) => key));
        expect(rows).toEqual(alone);
      }
    };
    for (const [index, id] of ids.entries()) {
      await writing.commit(commitOf([grantPut(id, NOW + 1_000 + index, 'first')]));
      expected.set(id, 'first');
      await check();
    }
    for (const [index, id] of ids.entries()) {
      if (index % 3 === 0) {
        await writing.commit(commitOf([], [{ kind: 'grant', id }]));
        expected.delete(id);
      } else {
        await writing.commit(commitOf([{ ...grantPut(id, NOW + 1_000 + index, `second ${index}`), ...(index % 2 === 0 ? { mark: true } : {}) }]));
        expected.set(id, `second ${index}`);
      }
      await check();
    }
    await writing.close();
    await reading.close();
  });

  test('a store of format 1 is taken over: its lists hold, and bring records along from their next change on', async () => {
    const path = mkdtempSync(join(root, 'store-'));
    const made = await openEmbeddedStore({ path, mode: 'production', clock });
    for (let index = 0; index < 3; index += 1) await made.commit(commitOf([grantPut(`g${index}`, NOW + 1_000 + index, 'old')]));
    await made.close();
    // As the version before wrote it.
    await rawAt(path, async ({ root: raw, records, state }) => {
      await raw.transaction(() => {
        const rowsPrefix = kindPrefix('default', ROWS_KIND);
        const list = heldAt(openTables(raw), 'default', { kind: ROWS_KIND, id: 'w' }) as HeldRecord;
        const { from, rows } = list.record.value as { readonly from: number; readonly rows: JsonValue };
        expect(parseOwnerRows(list.record.value).rows.every(({ packed }) => packed !== undefined)).toBe(true);
        records.putSync(keyBytes({ prefix: rowsPrefix, id: 'w' }), encodeRecord(rowsPrefix, { ...list, record: { ...list.record, value: { from, rows } } }));
        const meta = JSON.parse(state.getBinary(Buffer.from('meta'))?.toString() ?? '') as JsonObject;
        expect(meta['format']).toBe(3);
        state.putSync(Buffer.from('meta'), Buffer.from(JSON.stringify({ ...meta, format: 1 })));
      });
    });
    const looking = await openEmbeddedStore({ path, mode: 'production', clock, readOnly: true });
    expect(factsOf(looking).rows).toHaveLength(3);
    await looking.close();
    const store = await openEmbeddedStore({ path, mode: 'production', clock });
    expect(store.epoch).toBe(made.epoch);
    expect(factsOf(store).rows.map(({ value }) => value['note'])).toEqual(['old', 'old', 'old']);
    await store.commit(commitOf([grantPut('g3', NOW + 2_000, 'new')]));
    expect(factsOf(store).rows.map(({ value }) => value['note'])).toEqual(['new', 'old', 'old', 'old']);
    await store.close();
    await rawAt(path, (environment) => {
      const list = heldAt(environment, 'default', { kind: ROWS_KIND, id: 'w' }) as HeldRecord;
      expect(parseOwnerRows(list.record.value).rows.map(({ packed }) => packed !== undefined)).toEqual([true, true, true, true]);
      expect(JSON.parse(environment.state.getBinary(Buffer.from('meta'))?.toString() ?? '')).toMatchObject({ format: 3 });
    });
  });
});
