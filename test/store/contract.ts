/** What every store must do. One suite for all of them: `storeContract(harness)` inside a test file of each. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import { CursorInvalid, recordKeyText, ROWS_MAX, type Commit, type CommitOutcome, type Put, type RecordKey, type Store } from '../../src/store/port.ts';
import { startPeer, type Peer, type StoreHarness } from './harness.ts';

const START = 1_800_000_000_000;
const instant = (ms: number): Instant => ms as Instant;
const key = (kind: string, id: string): RecordKey => ({ kind, id });
const note = (about: readonly RecordKey[] = [], ending = false, data = {}): Commit['events'][number] => ({ type: 'noted', about, ending, data });
const commitOf = (parts: Partial<Commit>): Commit => ({ realm: 'default', expect: [], puts: [], events: [], ...parts });
const put = (id: string, value: Put['value'] = {}, more: Partial<Put> = {}): Put => ({ key: key('thing', id), value, ...more });
const row = (id: string, owner: string, end: number, more: Partial<Put> = {}): Put => put(id, { id }, { index: { owner, end: instant(end) }, ...more });

const sequenceOf = (outcome: CommitOutcome): number => {
  if (outcome.outcome !== 'committed') throw new Error(`not committed: ${JSON.stringify(outcome)}`);
  return outcome.position.sequence;
};

/**
 * Lets a peer commit number 1, 2, ... under `turn/n`, each when it is asked for. `commitThere` returns once the peer's store
 * acknowledged it, without a turn of this process's event loop.
 */
export const startTurns = async (peer: Peer, to: number): Promise<{ readonly commitThere: (round: number) => void; readonly end: () => void }> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-turns-'));
  const number = Buffer.alloc(4);
  const [ask, answer] = ['ask', 'answer'].map((name) => {
    const descriptor = openSync(join(folder, name), 'w+');
    writeSync(descriptor, number, 0, 4, 0);
    return descriptor;
  }) as [number, number];
  const cell = new Int32Array(new SharedArrayBuffer(4));
  await peer.ask('follow', { ask: join(folder, 'ask'), answer: join(folder, 'answer'), from: 1, to });
  return {
    commitThere: (round) => {
      number.writeUInt32LE(round);
      writeSync(ask, number, 0, 4, 0);
      do {
        Atomics.wait(cell, 0, 0, 0.05);
        readSync(answer, number, 0, 4, 0);
      } while (number.readUInt32LE() < round);
    },
    end: () => {
      closeSync(ask);
      closeSync(answer);
      rmSync(folder, { recursive: true });
    },
  };
};

export const storeContract = (harness: StoreHarness): void => {
  describe(`store contract: ${harness.driver}`, () => {
    let nowMs = START;
    const clock = { now: () => ({ earliest: instant(nowMs), latest: instant(nowMs), trusted: true }) };
    const cleanups: (() => Promise<void> | void)[] = [];

    const opened = async (): Promise<{ readonly store: Store; readonly location: string }> => {
      nowMs = START;
      const location = harness.place();
      const store = await harness.open(location, clock);
      cleanups.push(() => store.close());
      return { store, location };
    };
    const peerOf = async (location: string): Promise<Peer> => {
      const peer = await startPeer(harness, location, START);
      cleanups.push(() => peer.close());
      return peer;
    };
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    const positionOf = async (store: Store): Promise<number> => (await store.facts({ realm: 'default', keys: [] })).position.sequence;
    const valueOf = async (store: Store, id: string, realm = 'default'): Promise<unknown> => (await store.read(realm, [key('thing', id)]))[0]?.value;

    test('a commit happens whole or not at all', async () => {
      const { store } = await opened();
      await store.commit(commitOf({ puts: [put('a', { n: 1 })] }));
      const before = await positionOf(store);
      const refused = await store.commit(
        commitOf({ expect: [{ key: key('thing', 'a'), version: before }, { key: key('thing', 'b'), version: 7 }], puts: [put('a', { n: 2 }), put('b')], events: [note([], true)] }),
      );
      expect(refused).toEqual({ outcome: 'conflict', key: key('thing', 'b') });
      const used = await store.commit(commitOf({ puts: [put('a', { n: 3 })], increments: [{ key: key('uses', 'u'), max: 1 }, { key: key('uses', 'u'), max: 1 }], events: [note([], true)] }));
      expect(used).toEqual({ outcome: 'exhausted', key: key('uses', 'u') });
      expect(await valueOf(store, 'a')).toEqual({ n: 1 });
      expect(await valueOf(store, 'b')).toBeUndefined();
      expect(await store.read('default', [key('uses', 'u')])).toEqual([undefined]);
      expect(await positionOf(store)).toBe(before);
      expect((await store.endings('default')).sequence).toBe(0);
      expect(await store.events('default', { after: 0, limit: 100 })).toHaveLength(1);
    });

    test('a version is the sequence of the last change; 0 stands for a record that is not there', async () => {
      const { store } = await opened();
      const at = key('thing', 'a');
      expect(await store.commit(commitOf({ expect: [{ key: at, version: 1 }], puts: [put('a')] }))).toEqual({ outcome: 'conflict', key: at });
      const first = sequenceOf(await store.commit(commitOf({ expect: [{ key: at, version: 0 }], puts: [put('a', { n: 1 })] })));
      expect(await store.commit(commitOf({ expect: [{ key: at, version: 0 }], puts: [put('a')] }))).toEqual({ outcome: 'conflict', key: at });
      const second = sequenceOf(await store.commit(commitOf({ expect: [{ key: at, version: first }], puts: [put('a', { n: 2 })] })));
      expect(await store.commit(commitOf({ expect: [{ key: at, version: first }], puts: [put('a')] }))).toEqual({ outcome: 'conflict', key: at });
      expect((await store.read('default', [at]))[0]).toMatchObject({ key: at, created: { sequence: first }, modified: { sequence: second }, value: { n: 2 } });
    });

    test('a put keeps creation, mark, place in the index and refs; owner and end never change', async () => {
      const { store } = await opened();
      const first = sequenceOf(await store.commit(commitOf({ puts: [put('other'), row('a', 'w', START + 10, { mark: true, refs: [key('thing', 'other')] })] })));
      nowMs += 5;
      const second = sequenceOf(await store.commit(commitOf({ puts: [put('a', { later: true })] })));
      const read = await store.facts({ realm: 'default', keys: [], index: { owner: 'w', endsAfter: instant(START) } });
      expect(read.rows).toEqual([
        { key: key('thing', 'a'), created: { sequence: first, at: START }, modified: { sequence: second, at: START + 5 }, marked: { sequence: first, at: START }, value: { later: true } },
      ]);
      expect([...read.records.keys()]).toEqual(['thing/other']);
      await expect(store.commit(commitOf({ puts: [row('a', 'w', START + 11)] }))).rejects.toThrow(TypeError);
      await expect(store.commit(commitOf({ puts: [row('a', 'v', START + 10)] }))).rejects.toThrow(TypeError);
      await expect(store.commit(commitOf({ puts: [row('other', 'w', START + 10)] }))).rejects.toThrow(TypeError);
      expect(await positionOf(store)).toBe(second);
      const third = sequenceOf(await store.commit(commitOf({ puts: [put('a', {}, { mark: true })] })));
      expect((await store.read('default', [key('thing', 'a')]))[0]?.marked).toEqual({ sequence: third, at: START + 5 });
    });

    test('positions are gapless, the log names every change, and endings have a chain of their own', async () => {
      const { store } = await opened();
      const drafts: Partial<Commit>[] = [
        { puts: [put('a')], events: [note([key('thing', 'a')])] },
        { puts: [put('b')], events: [note([key('thing', 'b')], true, { z: 1, a: 'é' }), note([key('thing', 'a'), key('thing', 'b')]), note([], true)] },
        { puts: [put('c'), put('c', { last: true })], increments: [{ key: key('uses', 'u'), max: 5 }] },
        { events: [note([key('thing', 'c')], true)] },
      ];
      const positions = [];
      for (const draft of drafts) positions.push(sequenceOf(await store.commit(commitOf(draft))));
      expect(positions).toEqual([1, 4, 5, 6]);
      const events = await store.events('default', { after: 0, limit: 100 });
      expect(events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(events.map(({ endingSequence }) => endingSequence)).toEqual([undefined, 1, undefined, 2, undefined, 3]);
      expect(events[4]?.type).toBe('changed');
      const text = (index: number): string => Buffer.from(events[index]?.bytes ?? []).toString('utf8');
      expect(text(1)).toBe(`{"about":["thing/b"],"at":${START},"data":{"a":"é","z":1},"endingSequence":1,"sequence":2,"type":"noted"}`);
      expect(text(4)).toBe(`{"about":["thing/c","uses/u"],"at":${START},"data":{},"sequence":5,"type":"changed"}`);
      const chain = events.filter(({ endingSequence }) => endingSequence !== undefined).reduce((hash, { bytes }) => createHash('sha256').update(hash).update(bytes).digest('hex'), '0'.repeat(64));
      expect(await store.endings('default')).toEqual({ sequence: 3, hash: chain });
      expect((await store.events('default', { after: 2, limit: 2 })).map(({ sequence }) => sequence)).toEqual([3, 4]);
      expect((await store.events('default', { after: 0, limit: 9, about: key('thing', 'a') })).map(({ sequence }) => sequence)).toEqual([1, 3]);
      expect((await store.events('default', { after: 1, limit: 9, about: key('thing', 'a') })).map(({ sequence }) => sequence)).toEqual([3]);
      for (const after of [6, 2 ** 48 - 2, 2 ** 48 - 1, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER]) {
        expect(await store.events('default', { after, limit: 9 })).toEqual([]);
        expect(await store.events('default', { after, limit: 9, about: key('thing', 'a') })).toEqual([]);
      }
    });

    test('I9: the instant of a commit never lies before the one of the commit before it', async () => {
      const { store } = await opened();
      await store.commit(commitOf({ puts: [put('a')] }));
      nowMs -= 60_000;
      const later = await store.commit(commitOf({ puts: [put('b')] }));
      expect(later).toMatchObject({ outcome: 'committed', at: START });
      nowMs = START + 1;
      expect(await store.commit(commitOf({ puts: [put('b')] }))).toMatchObject({ at: START + 1 });
    });

    test('I8: an idempotency key has one effect, another body is refused, and it is forgotten after its time', async () => {
      const { store } = await opened();
      const once = (id: string, more: Partial<NonNullable<Commit['idempotency']>> = {}): Commit =>
        commitOf({ puts: [put(id)], idempotency: { scope: 'default user:a issue', key: 'k', digest: 'd', reply: { id }, keepMs: 1_000 as DurationMs, ...more } });
      const first = await store.commit(once('a'));
      const sequence = sequenceOf(first);
      nowMs += 999;
      expect(await store.commit(once('b'))).toEqual({ outcome: 'replayed', position: { epoch: store.epoch, sequence }, at: START, reply: { id: 'a' } });
      expect(await store.commit(once('b', { digest: 'e' }))).toEqual({ outcome: 'key-reused' });
      expect(await valueOf(store, 'b')).toBeUndefined();
      // Another scope, another key or another realm is another command; scope and key aren't glued together.
      expect((await store.commit(once('c', { scope: 'default user:b issue' }))).outcome).toBe('committed');
      expect((await store.commit(once('c', { scope: 'default user:a issu', key: 'ek' }))).outcome).toBe('committed');
      expect((await store.commit({ ...once('c'), realm: 'other' })).outcome).toBe('committed');
      nowMs += 1;
      expect((await store.commit(once('b'))).outcome).toBe('committed');
      expect((await store.commit(once('z'))).outcome).toBe('replayed');
      nowMs += 1;
      for (let round = 0; round < 20; round += 1) await store.commit(once('y', { key: `more-${round}` }));
      // Tidying up what ended must not take the key's later use along.
      expect((await store.commit(once('z'))).outcome).toBe('replayed');
    });

    test('I8: a commit that had no effect leaves its idempotency key free', async () => {
      const { store } = await opened();
      const commit = commitOf({ puts: [put('a')], idempotency: { scope: 's', key: 'k', digest: 'd', reply: null, keepMs: 1_000 as DurationMs } });
      expect((await store.commit({ ...commit, expect: [{ key: key('thing', 'x'), version: 3 }] })).outcome).toBe('conflict');
      expect((await store.commit(commit)).outcome).toBe('committed');
    });

    test('I8, E11: two processes that use one thing up take exactly as much as there is, each use once', async () => {
      const { store, location } = await opened();
      const peer = await peerOf(location);
      const uses = Array.from({ length: 60 }, () => commitOf({ increments: [{ key: key('uses', 'g'), max: 50 }], events: [note([], true)] }));
      const [there, ...here] = (await Promise.all([peer.ask('commits', uses), ...uses.map((use) => store.commit(use))])) as [CommitOutcome[], ...CommitOutcome[]];
      const outcomes = [...there, ...here];
      expect(outcomes.filter(({ outcome }) => outcome === 'committed')).toHaveLength(50);
      expect(outcomes.filter(({ outcome }) => outcome === 'exhausted')).toHaveLength(70);
      expect((await store.read('default', [key('uses', 'g')]))[0]?.value).toEqual({ count: 50 });
      const positions = outcomes.flatMap((outcome) => (outcome.outcome === 'committed' ? [outcome.position.sequence] : [])).sort((a, b) => a - b);
      expect(positions).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    });

    test('I8: one idempotency key sent by two processes at once has one effect', async () => {
      const { store, location } = await opened();
      const peer = await peerOf(location);
      const same = commitOf({ increments: [{ key: key('uses', 'g'), max: 99 }], idempotency: { scope: 's', key: 'k', digest: 'd', reply: 'r', keepMs: 3_600_000 as DurationMs } });
      const [there, ...here] = (await Promise.all([peer.ask('commits', Array.from({ length: 20 }, () => same)), ...Array.from({ length: 20 }, () => store.commit(same))])) as [CommitOutcome[], ...CommitOutcome[]];
      expect([...there, ...here].map(({ outcome }) => outcome).sort()).toEqual(['committed', ...Array.from({ length: 39 }, () => 'replayed')]);
      expect((await store.read('default', [key('uses', 'g')]))[0]?.value).toEqual({ count: 1 });
    });

    const still = harness.stillCycles ?? 1_000;
    test(`facts and endings see what another process committed, at once, in ${still + 1_000} cycles`, { timeout: 120_000 }, async () => {
      const { store, location } = await opened();
      const peer = await peerOf(location);
      const turns = await startTurns(peer, still);
      cleanups.push(turns.end);
      let stale = 0;
      const query = { realm: 'default', keys: [key('turn', 'n')] };
      // The first read of a realm may have to make it.
      await store.facts(query);
      for (let round = 1; round <= still; round += 1) {
        // No turn of this process's event loop between the read before, the other's acknowledgement and the read after.
        const before = store.facts(query);
        turns.commitThere(round);
        const after = await store.facts(query);
        if (after.records.get('turn/n')?.value['value'] !== round || after.position.sequence !== round) stale += 1;
        if ((await store.endings('default')).sequence !== Math.floor(round / 2)) stale += 1;
        if ((await before).position.sequence !== round - 1) stale += 1;
      }
      for (let round = still + 1; round <= still + 1_000; round += 1) {
        await store.commit(commitOf({ puts: [{ key: key('turn', 'n'), value: { value: round } }], events: [note()] }));
        const there = await peer.ask('facts', query);
        if (there.records[0].value.value !== round || there.position.sequence !== round) stale += 1;
      }
      expect(stale).toBe(0);
    });

    test('many writes that wait are all carried out, in one gapless row', async () => {
      const { store } = await opened();
      const outcomes = await Promise.all(Array.from({ length: 500 }, (_, index) => store.commit(commitOf({ puts: [put(`${index}`)], events: [note()] }))));
      expect(outcomes.map(sequenceOf).sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
      await Promise.all([store.commit(commitOf({ puts: [put('last')] })), store.close()]);
    });

    test('one facts read is one snapshot, while another process changes its records without pause', { timeout: 120_000 }, async () => {
      const { store, location } = await opened();
      const peer = await peerOf(location);
      await peer.ask('pairs');
      const seen = new Set<unknown>();
      let torn = 0;
      while (seen.size < 200) {
        const read = await store.facts({ realm: 'default', keys: [key('pair', 'left'), key('pair', 'right')], index: { owner: 'pairs', endsAfter: instant(START) } });
        const values = [read.records.get('pair/left'), read.records.get('pair/right'), read.rows[0]].map((record) => record?.value['value']);
        if (new Set(values).size !== 1) torn += 1;
        if (values[0] !== undefined && (read.position.sequence !== values[0] || read.endings.sequence !== values[0])) torn += 1;
        seen.add(values[0]);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(torn).toBe(0);
    });

    test('facts read the rows of one owner that have not ended, with the records they refer to', async () => {
      const { store } = await opened();
      const ref = (id: string): RecordKey => key('ending', id);
      await store.commit(
        commitOf({
          puts: [
            row('past', 'w', START - 1),
            row('now', 'w', START),
            row('soon', 'w', START + 1, { refs: [ref('x'), ref('gone')] }),
            row('late', 'w', START + 9, { refs: [ref('y')] }),
            row('theirs', 'v', START + 9),
            { key: ref('x'), value: { x: 1 } },
            { key: ref('y'), value: { y: 1 } },
          ],
        }),
      );
      const at = (endsAfter: number, more = {}): Parameters<Store['facts']>[0] => ({ realm: 'default', keys: [ref('none')], index: { owner: 'w', endsAfter: instant(endsAfter), ...more } });
      const ids = (records: readonly { readonly key: RecordKey }[]): string[] => records.map((record) => record.key.id);
      for (let round = 0; round < 3; round += 1) {
        const read = await store.facts(at(START, { lookBack: 5 }));
        expect(ids(read.rows).sort()).toEqual(['late', 'soon']);
        expect([...read.records.keys()].sort()).toEqual(['ending/x', 'ending/y']);
        expect(read.ended).toEqual([]);
        // Time goes on: remembered rows end too.
        const later = await store.facts(at(START + 1));
        expect(ids(later.rows)).toEqual(['late']);
        expect([...later.records.keys()]).toEqual(['ending/y']);
        const unwanted = await store.facts(at(START, { wanted: (record: { key: RecordKey }) => record.key.id === 'soon' }));
        expect(ids(unwanted.rows).sort()).toEqual(['late', 'soon']);
        expect(unwanted.records.has('ending/x')).toBe(true);
        const none = await store.facts(at(START, { wanted: () => false, lookBack: 1 }));
        expect(ids(none.ended)).toEqual(['now']);
        const over = await store.facts(at(START + 9, { lookBack: 5 }));
        expect(over.rows).toEqual([]);
        expect(ids(over.ended)).toEqual(['late', 'soon', 'now', 'past']);
        // And back, where a rewound clock asks.
        expect(ids((await store.facts(at(START - 1))).rows).sort()).toEqual(['late', 'now', 'soon']);
      }
      await store.commit(commitOf({ puts: [row('new', 'w', START + 5), { key: ref('gone'), value: { gone: 1 } }] }));
      const grown = await store.facts(at(START));
      expect(ids(grown.rows).sort()).toEqual(['late', 'new', 'soon']);
      expect(grown.records.get('ending/gone')?.value).toEqual({ gone: 1 });
    });

    test('any number of records is read at once, in the order in which they were asked for', async () => {
      const { store } = await opened();
      const many = Array.from({ length: 9_000 }, (_, index) => key('thing', `${index}`));
      await store.commit(commitOf({ puts: [put('0'), put('1000'), put('8999')] }));
      const read = await store.read('default', many);
      expect(read.flatMap((record, index) => (record === undefined ? [] : [[index, record.key.id]]))).toEqual([[0, '0'], [1_000, '1000'], [8_999, '8999']]);
      expect([...(await store.facts({ realm: 'default', keys: many })).records.keys()].sort()).toEqual(['thing/0', 'thing/1000', 'thing/8999']);
    });

    test('B8: of an owner with too many rows those that end last are read, and it says so', async () => {
      const { store } = await opened();
      const puts = Array.from({ length: ROWS_MAX + 20 }, (_, index) => row(`r${index}`, 'w', START + 1 + index));
      for (let from = 0; from < puts.length; from += 500) await store.commit(commitOf({ puts: puts.slice(from, from + 500) }));
      const read = await store.facts({ realm: 'default', keys: [], index: { owner: 'w', endsAfter: instant(START) } });
      expect(read.truncated).toBe(true);
      expect(read.rows).toHaveLength(ROWS_MAX);
      expect(read.rows.map(({ key: { id } }) => Number(id.slice(1))).sort((a, b) => a - b)[0]).toBe(20);
      const fewer = await store.facts({ realm: 'default', keys: [], index: { owner: 'w', endsAfter: instant(START + 20) } });
      expect([fewer.truncated, fewer.rows.length]).toEqual([false, ROWS_MAX]);
    });

    test('listing goes through all records of a kind once, page by page, also while others are added', async () => {
      const { store } = await opened();
      const ids = Array.from({ length: 23 }, (_, index) => `id-${String(index).padStart(3, '0')}`);
      await store.commit(commitOf({ puts: [...ids.map((id) => put(id)), { key: key('thing-2', 'x'), value: {} }, { key: key('thin', 'x'), value: {} }] }));
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await store.list('default', { kind: 'thing', limit: 5, ...(after === undefined ? {} : { after }) });
        expect(page.items.length).toBeLessThanOrEqual(5);
        seen.push(...page.items.map((record) => record.key.id));
        after = page.next;
        await store.commit(commitOf({ puts: [put('id-000a')] }));
      } while (after !== undefined);
      expect(seen).toEqual(ids);
      const whole = await store.list('default', { kind: 'thing', limit: 24 });
      expect([whole.items.length, whole.next]).toEqual([24, undefined]);
      expect(await store.list('default', { kind: 'nothing', limit: 5 })).toEqual({ items: [] });
    });

    test('listing by owner goes by end, and a cursor of another listing is refused', async () => {
      const { store } = await opened();
      await store.commit(commitOf({ puts: [row('c', 'w', START + 3), row('a', 'w', START + 1), row('b', 'w', START + 2), row('x', 'v', START + 1), { key: key('else', 'e'), value: {}, index: { owner: 'w', end: instant(START + 2) } }] }));
      const first = await store.list('default', { kind: 'thing', owner: 'w', limit: 2 });
      expect(first.items.map((record) => record.key.id)).toEqual(['a', 'b']);
      const second = await store.list('default', { kind: 'thing', owner: 'w', limit: 2, after: first.next ?? '' });
      expect(second.items.map((record) => record.key.id)).toEqual(['c']);
      expect(second.next).toBeUndefined();
      for (const listing of [{ kind: 'thing', owner: 'v' }, { kind: 'thing' }, { kind: 'else', owner: 'nobody' }]) {
        await expect(store.list('default', { ...listing, limit: 2, after: first.next ?? '' })).rejects.toThrow(CursorInvalid);
      }
      for (const after of ['', 'A', '=', '../..', 'x'.repeat(5_000), '\0']) {
        await expect(store.list('default', { kind: 'thing', limit: 2, after })).rejects.toThrow(CursorInvalid);
      }
    });

    test('I12: realms share nothing', async () => {
      const { store } = await opened();
      const realms = ['default', 'Default', 'default/', 'a', 'a:b', '{a}', '', 'x'.repeat(500)];
      for (const [index, realm] of realms.entries()) {
        for (let round = 0; round <= index; round += 1) await store.commit(commitOf({ realm, puts: [row('same', `w`, START + 1 + index)].slice(round), events: [note([key('thing', 'same')], true)], increments: [{ key: key('uses', 'u'), max: 99 }] }));
      }
      for (const [index, realm] of realms.entries()) {
        const read = await store.facts({ realm, keys: [key('uses', 'u')], index: { owner: 'w', endsAfter: instant(START) } });
        expect(read.rows).toHaveLength(1);
        expect(read.records.get('uses/u')?.value).toEqual({ count: index + 1 });
        expect([read.position.sequence, read.endings.sequence]).toEqual([index + 1, index + 1]);
        expect((await store.list(realm, { kind: 'thing', limit: 9 })).items).toHaveLength(1);
        expect(await store.events(realm, { after: 0, limit: 99, about: key('thing', 'same') })).toHaveLength(index + 1);
      }
    });

    const awkward = fc.constantFrom('', '\0', '\r\n', '{}', ':', '/', 'a', 'a\0', 'a:b', '\u{1f600}', '\ud800', '\ud801', '\udfff\ud800', '\uffff', 'é', 'e\u0301', '__proto__', 'constructor', 'ending/x');
    const anyId = fc.oneof(
      awkward,
      fc.array(awkward, { maxLength: 4 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.tuple(awkward, fc.integer({ min: 250, max: 5_000 })).map(([text, length]) => `${text}${'x'.repeat(length)}`),
    );

    test('E3: keys are injective: whatever its id, owner or realm, a record is found as itself only', async () => {
      const { store } = await opened();
      const model = new Map<string, { readonly realm: string; readonly key: RecordKey; readonly owner: string; n: number }>();
      let n = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(fc.record({ realm: fc.oneof(fc.constant('default'), anyId), kind: fc.constantFrom('thing', 'thing-a', 'task'), id: anyId, owner: anyId }), { minLength: 1, maxLength: 12 }), async (entries) => {
          for (const { realm, kind, id, owner } of entries) {
            const name = JSON.stringify([realm, kind, id]);
            const known = model.get(name);
            n += 1;
            const at = key(kind, id);
            const index = known === undefined ? { index: { owner, end: instant(START + 1) } } : {};
            sequenceOf(await store.commit(commitOf({ realm, puts: [{ key: at, value: { n }, ...index, refs: [at] }], events: [note([at])] })));
            model.set(name, { realm, key: at, owner: known?.owner ?? owner, n });
          }
          for (const { realm, key: at, owner, n: expected } of model.values()) {
            const read = await store.facts({ realm, keys: [at], index: { owner, endsAfter: instant(START) } });
            expect(read.records.get(recordKeyText(at))).toMatchObject({ key: at, value: { n: expected } });
            const mine = [...model.values()].filter((entry) => entry.realm === realm && entry.owner === owner);
            expect(read.rows.map((record) => recordKeyText(record.key)).sort()).toEqual(mine.map((entry) => recordKeyText(entry.key)).sort());
          }
        }),
        { numRuns: 25 },
      );
      for (const { realm, key: at } of model.values()) {
        const listed = await store.list(realm, { kind: at.kind, limit: 1_000 });
        expect(listed.items.filter((record) => record.key.id === at.id)).toHaveLength(1);
        const history = await store.events(realm, { after: 0, limit: 1_000, about: at });
        expect(history.length).toBeGreaterThan(0);
        for (const event of history) expect(JSON.parse(Buffer.from(event.bytes).toString('utf8')).about).toEqual([recordKeyText(at)]);
      }
    });

    test('a dropped record is there no more, in this process and in another, and begins anew when it is put again', async () => {
      const { store, location } = await opened();
      const peer = await peerOf(location);
      const at = key('thing', 'a');
      const other = key('thing', 'b');
      sequenceOf(await store.commit(commitOf({ puts: [put('a', { n: 1 }, { mark: true, refs: [other] }), put('b')], events: [note([at])] })));
      const query = { realm: 'default', keys: [at, other] };
      // Asked twice, so that both remember it.
      for (let round = 0; round < 3; round += 1) {
        expect([...(await store.facts(query)).records.keys()].sort()).toEqual(['thing/a', 'thing/b']);
        expect((await peer.ask('facts', query)).records).toHaveLength(2);
      }
      const dropped = sequenceOf(await store.commit(commitOf({ expect: [{ key: at, version: 1 }], drops: [at, key('thing', 'never there')] })));
      expect([...(await store.facts(query)).records.keys()]).toEqual(['thing/b']);
      expect((await peer.ask('facts', query)).records).toHaveLength(1);
      expect(await store.read('default', [at])).toEqual([undefined]);
      expect((await store.list('default', { kind: 'thing', limit: 9 })).items.map((record) => record.key.id)).toEqual(['b']);
      // The log names it, and what was told about it before stays.
      const events = await store.events('default', { after: 0, limit: 9, about: at });
      expect(events.map(({ sequence }) => sequence)).toEqual([1, dropped]);
      expect(JSON.parse(Buffer.from(events[1]?.bytes ?? []).toString('utf8'))).toMatchObject({ type: 'changed', about: ['thing/a', 'thing/never there'] });
      expect(await store.commit(commitOf({ expect: [{ key: at, version: 1 }], puts: [put('a')] }))).toEqual({ outcome: 'conflict', key: at });
      const again = sequenceOf(await store.commit(commitOf({ expect: [{ key: at, version: 0 }], puts: [put('a', { n: 2 })] })));
      expect((await store.read('default', [at]))[0]).toEqual({ key: at, created: { sequence: again, at: START }, modified: { sequence: again, at: START }, value: { n: 2 } });
    });

    test('a listing goes on from where it stood, although every page is dropped once it was seen', async () => {
      const { store } = await opened();
      const ids = Array.from({ length: 23 }, (_, index) => `id-${String(index).padStart(3, '0')}`);
      await store.commit(commitOf({ puts: ids.map((id) => put(id)) }));
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await store.list('default', { kind: 'thing', limit: 5, ...(after === undefined ? {} : { after }) });
        seen.push(...page.items.map((record) => record.key.id));
        await store.commit(commitOf({ drops: page.items.map((record) => record.key), events: [note()] }));
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual(ids);
      expect((await store.list('default', { kind: 'thing', limit: 5 })).items).toEqual([]);
    });

    test('a dropped counter counts from nothing, and drops happen with their commit or not at all', async () => {
      const { store } = await opened();
      const uses = key('uses', 'g');
      const use = commitOf({ increments: [{ key: uses, max: 1 }] });
      expect((await store.commit(use)).outcome).toBe('committed');
      expect((await store.commit({ ...use, increments: [{ key: uses, max: 1 }], drops: [key('thing', 'a')] })).outcome).toBe('exhausted');
      const before = await positionOf(store);
      expect((await store.commit(commitOf({ expect: [{ key: uses, version: 7 }], drops: [uses] }))).outcome).toBe('conflict');
      expect((await store.commit(commitOf({ drops: [uses], before: instant(START) }))).outcome).toBe('late');
      expect((await store.read('default', [uses]))[0]?.value).toEqual({ count: 1 });
      expect(await positionOf(store)).toBe(before);
      for (const [change, at] of [[{ puts: [put('a')] }, key('thing', 'a')], [{ increments: [{ key: uses, max: 9 }] }, uses]] as const) {
        await expect(store.commit(commitOf({ ...change, drops: [at] }))).rejects.toThrow(TypeError);
      }
      await expect(store.commit(commitOf({ drops: Array.from({ length: 2_000 }, (_, index) => key('thing', `${index}`)) }))).rejects.toThrow(TypeError);
      expect((await store.commit(commitOf({ drops: [uses] }))).outcome).toBe('committed');
      expect((await store.commit(use)).outcome).toBe('committed');
    });

    test('dropped rows leave the time index; those beyond what is read move up; other owners, kinds and realms keep theirs', async () => {
      const { store } = await opened();
      const long = 'x'.repeat(3_000);
      const rows = [row('a', 'w', START + 3), row('b', 'w', START + 2), row(long, 'w', START + 2), row('past', 'w', START - 1), row('v', 'v', START + 3)];
      const same: Put = { key: key('else', 'a'), value: {}, index: { owner: 'w', end: instant(START + 3) } };
      await store.commit(commitOf({ puts: [...rows, same] }));
      await store.commit(commitOf({ realm: 'other', puts: rows }));
      const live = async (realm = 'default', owner = 'w'): Promise<string[]> =>
        (await store.facts({ realm, keys: [], index: { owner, endsAfter: instant(START) } })).rows.map(({ key: { kind, id } }) => `${kind}/${id.slice(0, 4)}`).sort();
      expect(await live()).toEqual(['else/a', 'thing/a', 'thing/b', 'thing/xxxx']);
      await store.commit(commitOf({ puts: [row('new', 'w', START + 1)], drops: [key('thing', 'a'), key('thing', long), key('thing', 'past')] }));
      expect(await live()).toEqual(['else/a', 'thing/b', 'thing/new']);
      expect(await live('default', 'v')).toEqual(['thing/v']);
      expect(await live('other')).toEqual(['thing/a', 'thing/b', 'thing/xxxx']);
      const listed = await store.list('default', { kind: 'thing', owner: 'w', limit: 9 });
      expect(listed.items.map((record) => record.key.id)).toEqual(['new', 'b']);
      expect((await store.facts({ realm: 'default', keys: [], index: { owner: 'w', endsAfter: instant(START + 9), lookBack: 9 } })).ended.map((record) => record.key.id)).toEqual(['a', 'b', 'new']);
      // Put again it may have another owner and end.
      await store.commit(commitOf({ puts: [row('a', 'v', START + 7)] }));
      expect(await live()).toEqual(['else/a', 'thing/b', 'thing/new']);
      expect(await live('default', 'v')).toEqual(['thing/a', 'thing/v']);

      const many = Array.from({ length: ROWS_MAX + 3 }, (_, index) => row(`r${index}`, 'many', START + 1 + index));
      for (let from = 0; from < many.length; from += 500) await store.commit(commitOf({ puts: many.slice(from, from + 500) }));
      await store.commit(commitOf({ drops: many.slice(-3).map((one) => one.key) }));
      const read = await store.facts({ realm: 'default', keys: [], index: { owner: 'many', endsAfter: instant(START) } });
      expect([read.truncated, read.rows.length, (await live('default', 'many')).includes('thing/r0')]).toEqual([false, ROWS_MAX, true]);
    });

    test('what the store remembers of earlier reads never differs from what it holds', async () => {
      const { store, location } = await opened();
      const plain = await harness.open(location, clock);
      cleanups.push(() => plain.close());
      const ids = ['a', 'b', 'c', 'd'];
      // The same lists for all reads: a store may know them again.
      const none: RecordKey[] = [];
      const keys = ids.flatMap((other) => ['ending', 'task', 'uses', 'grant'].map((kindOf) => key(kindOf, other)));
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ kind: fc.constantFrom('ending', 'task', 'uses', 'grant'), id: fc.constantFrom(...ids), indexed: fc.boolean(), drop: fc.boolean(), read: fc.boolean() }), { minLength: 1, maxLength: 30 }),
          async (steps) => {
            for (const { kind, id, indexed, drop, read } of steps) {
              const at = key(kind, id);
              const [there] = await plain.read('default', [at]);
              const index = indexed && there === undefined ? { index: { owner: 'w', end: instant(START + 5) }, refs: keys } : {};
              await plain.commit(commitOf(drop ? { drops: [at] } : { puts: [{ key: at, value: { random: Math.random() }, ...index }] }));
              if (!read) continue;
              const facts = await store.facts({ realm: 'default', keys, index: { owner: 'w', endsAfter: instant(START) } });
              const truth = await plain.read('default', keys);
              expect(keys.map((one) => facts.records.get(recordKeyText(one)))).toEqual(truth);
              const led = await store.facts({ realm: 'default', keys: none, index: { owner: 'w', endsAfter: instant(START) } });
              expect(keys.map((one) => led.records.get(recordKeyText(one)))).toEqual(led.rows.length > 0 ? truth : keys.map(() => undefined));
              const listed = await Promise.all(['ending', 'task', 'uses', 'grant'].map(async (kindOf) => (await plain.list('default', { kind: kindOf, owner: 'w', limit: 99 })).items));
              expect(new Set(facts.rows.map((record) => recordKeyText(record.key)))).toEqual(new Set(listed.flat().map((record) => recordKeyText(record.key))));
            }
          },
        ),
        { numRuns: 30 },
      );
    });

    test('a commit that holds nothing, too much, or an end that is no instant is refused, and changes nothing', async () => {
      const { store } = await opened();
      const bad: Partial<Commit>[] = [
        {},
        { puts: Array.from({ length: 2_000 }, (_, index) => put(`${index}`)) },
        { puts: [row('a', 'w', Number.NaN)] },
        { puts: [row('a', 'w', -1)] },
        { puts: [row('a', 'w', 1.5)] },
        { puts: [{ key: key('Not A Kind', 'x'), value: {} }] },
        { puts: [put('a')], events: [note([], false, { n: Number.NaN })] },
        { puts: [put('a', { text: 'x'.repeat(3_000_000) })] },
        { puts: [put('a', { n: Number.POSITIVE_INFINITY })] },
        { puts: [put('a')], events: [note([], false, { text: 'x'.repeat(3_000_000) })] },
      ];
      for (const commit of bad) await expect(store.commit(commitOf(commit))).rejects.toThrow(TypeError);
      expect(await positionOf(store)).toBe(0);
      expect(await valueOf(store, 'a')).toBeUndefined();
    });

    test('a store that is closed says so', async () => {
      const { store } = await opened();
      await store.close();
      await store.close();
      const failed = async (work: () => unknown): Promise<string> => {
        try {
          await work();
          return 'no error';
        } catch (error) {
          return (error as Error).name;
        }
      };
      const work = [
        () => store.facts({ realm: 'default', keys: [] }),
        () => store.endings('default'),
        () => store.commit(commitOf({ puts: [put('a')] })),
        () => store.read('default', [key('thing', 'a')]),
        () => store.list('default', { kind: 'thing', limit: 1 }),
        () => store.events('default', { after: 0, limit: 1 }),
      ];
      expect(await Promise.all(work.map(failed))).toEqual(work.map(() => 'StoreUnavailable'));
      expect(await store.health()).toMatchObject({ readable: false, writable: false });
    });
  });
};
