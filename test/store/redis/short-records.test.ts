/** Records and events of a Redis store are kept short, and read as they were written, whatever is in them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, type JsonValue } from '../../../src/domain/json.ts';
import type { Instant } from '../../../src/domain/instant.ts';
import { grantRefs } from '../../../src/domain/grant-refs.ts';
import { createClock } from '../../../src/time/clock.ts';
import type { NodeStore, Put } from '../../../src/store/port.ts';
import { recordField } from '../../../src/store/redis/keys.ts';
import { packNames, unpackNames } from '../../../src/store/redis/packed-names.ts';
import { decodeRecord, putArguments } from '../../../src/store/redis/record.ts';
import { createSeal } from '../../../src/store/redis/seal.ts';
import { expand, shorten } from '../../../src/store/redis/short-text.ts';
import { describeWith } from '../../parts.ts';
import { MEMORY } from '../../support/redis.ts';
import { grantOf } from '../../../bench/support/fill-store.ts';
import { opening } from './opening.ts';

const END = 1_900_000_000_000 as Instant;
const BITS = ['","id":"', '"},"type":"', '{"about":["grant/', 'task":"', '\u0001', '\u0002', '\u001f', '\u0000', '"', '\\', 'spiffe://', 'é', '\u2028', 'user:', '!'];
const strings = fc.oneof(fc.string(), fc.array(fc.constantFrom(...BITS), { maxLength: 6 }).map((bits) => bits.join('')), fc.string({ unit: 'binary' }));
const values = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, strings, fc.integer(), fc.boolean(), fc.array(tie('value'), { maxLength: 3 }), fc.dictionary(fc.oneof(strings, fc.constantFrom('id', 'task', 'type', 'approvals', 'scopes')), tie('value'), { maxKeys: 4 })),
})).value;

test('every JSON text is what it was after it was shortened; one of a later version is refused', () => {
  fc.assert(fc.property(values, (value) => {
    const text = canonicalJson(value);
    expect(shorten(text).length).toBeLessThanOrEqual(text.length);
    expect(expand(shorten(text))).toBe(text);
  }), { numRuns: 2_000 });
  for (const later of ['a\u0000b', 'a\u0001\u007f', 'a\u0001']) expect(() => expand(later)).toThrow(/later version/);
});

test('a body without its seal, of another place, or of a later version is damaged', () => {
  const seal = createSeal(Buffer.alloc(32, 7));
  const { field, body } = putArguments({ seal, short: true }, 'r', { key: { kind: 'thing', id: 'a' }, value: { n: 1 } });
  const read = (of: string, text: string) => decodeRecord(seal, 'r', [Buffer.from(of), 1, 1, 1, 1, 0, 0, -1, Buffer.from(text)]);
  expect(read(field, body).value).toEqual({ n: 1 });
  for (const [of, text] of [['thing/.b', body], [field, body.slice(0, -1)], [field, `${body} `], [field, seal.close('record r', field, 'v{}\u0001\u007f')], [field, seal.close('record r', field, 'x{}')], ['thing/#abc', seal.close('record r', 'thing/#abc', 'v{}')]] as const) {
    expect(() => read(of, text), text).toThrow(/damaged, forged/);
  }
});

test('names are what they were before they were packed; those of a later version, or that are cut short, are refused', () => {
  const body = 'v{"task":"t-1","owner":"user:é"}';
  const names = ['task/.t-1', 'ending/.owner:user:é', 'grant/.elsewhere', ''];
  const packed = Buffer.from(packNames(names, body) as string);
  expect(unpackNames(packed, Buffer.from(body))).toEqual(names);
  expect(unpackNames(Buffer.from(''), Buffer.from(body))).toEqual([]);
  for (const bad of [packed.subarray(0, 3), packed.subarray(0, -1), Buffer.from('~000'), Buffer.from('0~~9'), Buffer.from('!0'), Buffer.from('é'), Buffer.from('!0-'), Buffer.from('00-1'), Buffer.from('000-')]) {
    expect(() => unpackNames(bad, Buffer.from(body)), bad.toString()).toThrow(/not of a known format/);
  }
});

describeWith(['redis'], 'short records', () => {
  const { serverWith, openAt } = opening(createClock({ maxClockStepMs: 60_000 }));
  const read = async (store: NodeStore, owner: string) => {
    const { rows, records, places } = await store.facts({ realm: 'default', keys: [], index: { owner, endsAfter: 0 as Instant, places: true } });
    return { rows: rows.map(({ key, value }) => ({ key, value })), records: [...records.values()].map(({ key, value }) => ({ key, value })).sort((a, b) => a.key.id.localeCompare(b.key.id)), places };
  };

  test('what a row refers to, its owner and its end are found again, whatever they are called; also after its value changed and refs did not', { timeout: 120_000 }, async () => {
    const server = await serverWith(MEMORY);
    const store = await openAt({ port: server.port, durability: 'memory' });
    const names = fc.oneof(strings, fc.constantFrom('task:t', 'owner:team:x', 'grant:g', 'x'.repeat(64), 'y'.repeat(300), 'é'.repeat(70), '\ud800')).filter((name) => name !== '');
    const keys = fc.record({ kind: fc.constantFrom('ending', 'task', 'grant', 'thing'), id: names });
    let count = 0;
    await fc.assert(fc.asyncProperty(names, fc.array(keys, { maxLength: 4 }), values, values, async (owner, refs, value, next) => {
      count += 1;
      const key = { kind: 'row', id: `${count}` };
      const who = `${count}${owner}`;
      // Names stand in the value, as they do in grants, or don't.
      const put: Put = { key, value: { value, who, names: refs.slice(1).map(({ id }) => id) }, index: { owner: who, end: END }, refs };
      const commit = (puts: readonly Put[]) => store.commit({ realm: 'default', expect: [], puts, events: [] });
      await commit([put]);
      const expected = [{ end: END, refs: refs.map(recordField) }];
      expect((await read(store, who)).places?.rows).toEqual(expected);
      await commit([{ key, value: { value: next } }]);
      await commit([{ key, value: { value: next }, index: { owner: who, end: END } }]);
      const after = await read(store, who);
      expect(after.rows).toEqual([{ key, value: { value: next } }]);
      expect(after.places?.rows).toEqual(expected);
      await store.commit({ realm: 'default', expect: [], puts: [], drops: [key], events: [] });
      expect((await read(store, who)).rows).toEqual([]);
    }), { numRuns: 60 });
  });

  test('a grant takes less than 480 bytes of a record, and its issue is kept short and reads to the byte', { timeout: 120_000 }, async () => {
    const server = await serverWith(MEMORY);
    const store = await openAt({ port: server.port, durability: 'memory' });
    const grants = Array.from({ length: 500 }, (_, index) => grantOf({ realm: 'default', grants: 500, workloads: 100, revocations: 0, notBefore: 1_800_000_000_000 as Instant, expiresAt: END }, store.epoch, index));
    await store.commit({
      realm: 'default', expect: [],
      puts: grants.map((grant) => ({ key: { kind: 'grant', id: grant.id }, value: grant as never, index: { owner: grant.workload, end: grant.expiresAt }, refs: grantRefs(grant) })),
      events: grants.map((grant) => ({ type: 'grant.issued', about: [{ kind: 'grant', id: grant.id }], ending: false, data: { by: 'user:x', direct: false, grant: grant as never } })),
    });
    const used = async (key: string) => Number((await server.send(`MEMORY USAGE cf:{default}:${key} SAMPLES 0`)).slice(1)) / grants.length;
    expect(await used('records')).toBeLessThan(480);
    const events = await store.events('default', { after: 0, limit: 500 });
    expect(events.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(events.map(({ type, data, sequence, at }, index) => canonicalJson({ about: [`grant/${grants[index]?.id}`], at, data, sequence, type })));
    expect(events.map(({ data }) => (data['grant'] as { id: string }).id)).toEqual(grants.map(({ id }) => id));
    const written = events.reduce((sum, { bytes }) => sum + bytes.length, 0) / grants.length;
    expect(await used('events')).toBeLessThan(written * 0.6);
    // Whoever can't read it says so, and guesses nothing.
    await server.send("EVAL \"local r = cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1])) r[10] = 'z000' redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(r))\" 1 cf:{default}:records grant/.g-00000000");
    await expect(read(store, grants[0]?.workload ?? '')).rejects.toThrow(/another format/);
  });
});
