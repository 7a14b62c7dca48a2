/** An embedded store as the source and the target of copies. A source gives what one read transaction sees, while others go on writing. */
import type { Transaction } from 'lmdb';
import type { Instant } from '../../domain/instant.ts';
import type { JsonObject } from '../../domain/json.ts';
import { eventEntry, type CopiedRecord, type CopySource, type CopyTarget, type Entry, type RealmEnd } from '../copy/entries.ts';
import { NO_ENDINGS } from '../event.ts';
import { StoreUnavailable, type EndingsMark, type RecordKey } from '../port.ts';
import { PLAIN, unreadyFault } from '../provenance.ts';
import { readClockMark, writeClockMark } from './clock-mark.ts';
import { dropRecords, rowsAfter } from './drop.ts';
import type { Environment } from './environment.ts';
import { endKey, ENTRY, entryKey, parseRemembered } from './idempotency.ts';
import { putIndexRow } from './index-row.ts';
import { heldAt } from './held-at.ts';
import { after, historyPrefix, keyBytes, kindPrefix, realmPrefix, ROWS_KIND, sequenceKeyBytes, SHAPES_KIND } from './keys.ts';
import { readAnyMarks, writeMarks, type Marks } from './marks.ts';
import { openEnvironment } from './open.ts';
import { ownerRowsKey, ownerRowsValue, shapeKey, type Packing } from './owner-rows.ts';
import { checksumSeed, decodeRecord, encodeRecord } from './record.ts';
import { encodeState, NEW_REALM, readState, stateKeyBytes } from './realm-state.ts';

const PAGE = 500;
const EVENT_PAGE = 1_000;

type Table = Environment['records'];
type Row = { readonly key: Buffer; readonly value: Buffer };

/** Pages of a table between two keys, as the transaction sees it. */
const pages = function* (table: Table, prefix: Buffer, transaction: Transaction, first?: Buffer, limit = PAGE): Generator<readonly Row[]> {
  let from: Buffer | undefined;
  for (;;) {
    const range = { start: from ?? first ?? prefix, exclusiveStart: from !== undefined, end: after(prefix), limit, transaction };
    const found: Row[] = [...table.getRange(range)].map(({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value) }));
    if (found.length > 0) yield found;
    if (found.length < limit) return;
    from = found.at(-1)?.key;
  }
};

export const openEmbeddedSource = async (options: { readonly path: string; readonly mapSizeBytes?: number; readonly readOnly: boolean }): Promise<CopySource> => {
  const { environment, marks } = await openEnvironment(options, 'any');
  const { root, state, records, events, idempotency } = environment;
  const fault = unreadyFault(marks.provenance);
  if (fault !== undefined) {
    await root.close();
    throw fault;
  }
  const clockMark = readClockMark(environment);

  const change = (edit: (marks: Marks) => Marks): Promise<void> =>
    root.transaction(() => writeMarks(state, edit(readAnyMarks(state) ?? marks)));

  const endOf = (realm: string, transaction: Transaction): RealmEnd => {
    const bytes = state.get(stateKeyBytes(realm), { transaction });
    if (bytes === undefined) return { sequence: 0, at: 0 as Instant, endings: NO_ENDINGS };
    const { sequence, at, endings } = readState(environment, stateKeyBytes(realm), undefined, bytes);
    return { sequence, at, endings };
  };

  /** Runs `read` in one transaction that nobody ends in between. */
  const inOne = async function* (realm: string, read: (transaction: Transaction, end: RealmEnd) => Generator<readonly Entry[]>): AsyncGenerator<readonly Entry[], RealmEnd> {
    root.resetReadTxn();
    const transaction: Transaction = root.useReadTransaction();
    try {
      const end = endOf(realm, transaction);
      yield* read(transaction, end);
      return end;
    } finally {
      transaction.done();
    }
  };
  const recordOf = (realm: string, { key, value }: Row): CopiedRecord | undefined => {
    const at = realmPrefix(realm).length;
    const kind = key.toString('latin1', at + 1, at + 1 + (key[at] as number));
    // Made anew where they are needed.
    if (kind === ROWS_KIND || kind === SHAPES_KIND) return undefined;
    const prefix = kindPrefix(realm, kind);
    const { record, refs, index } = decodeRecord(kind, undefined, checksumSeed(prefix), value);
    if (!keyBytes({ prefix, id: record.key.id }).equals(key)) throw new StoreUnavailable('a record stands under another key; restore the store from a backup');
    return { ...record, refs, ...(index === undefined ? {} : { index }) };
  };
  const eventPages = function* (realm: string, transaction: Transaction, from: number): Generator<readonly Entry[]> {
    const prefix = realmPrefix(realm);
    for (const rows of pages(events, prefix, transaction, sequenceKeyBytes(prefix, from + 1), EVENT_PAGE)) yield rows.map(({ value }) => eventEntry(value));
  };

  return {
    head: { epoch: marks.epoch, mode: marks.mode, succeeds: marks.provenance.succeeds, ...(clockMark === undefined ? {} : { clockMark }) },
    copy: (realm) => inOne(realm, function* (transaction) {
      for (const rows of pages(records, realmPrefix(realm), transaction)) {
        yield rows.flatMap((row): Entry[] => {
          const record = recordOf(realm, row);
          return record === undefined ? [] : [{ what: 'record', record }];
        });
      }
      yield* eventPages(realm, transaction, 0);
      for (const rows of pages(idempotency, ENTRY, transaction)) {
        yield rows.flatMap(({ key, value }): Entry[] => {
          const kept = parseRemembered(value);
          if (kept.realm !== undefined && kept.realm !== realm) return [];
          const { digest, sequence, at, until, reply } = kept;
          return [{ what: 'replay', replay: { hash: key.subarray(ENTRY.length).toString('hex'), digest, done: { sequence, at }, until, reply } }];
        });
      }
    }),
    events: (realm, from) => inOne(realm, (transaction) => eventPages(realm, transaction, from)),
    movedTo: (realm) => marks.provenance.moved[realm],
    retire: (realm, to) => change((before) => ({ ...before, provenance: { ...before.provenance, moved: { ...before.provenance.moved, [realm]: to } } })),
    reinstate: (realm) => change((before) => ({ ...before, provenance: { ...before.provenance, moved: Object.fromEntries(Object.entries(before.provenance.moved).filter(([name]) => name !== realm)) } })),
    close: () => root.close(),
  };
};

/** `head`: what a new store says of itself. */
export const openEmbeddedTarget = async (options: { readonly path: string; readonly mapSizeBytes?: number }): Promise<CopyTarget> => {
  let opened: Awaited<ReturnType<typeof openEnvironment>> | undefined;
  try {
    opened = await openEnvironment({ ...options, readOnly: false }, 'any');
  } catch (error) {
    if (!/there is no store in/.test((error as Error).message)) throw error;
  }
  const { marks: before } = opened ?? {};
  let source = '';
  const there = (): NonNullable<typeof opened> => {
    if (opened === undefined) throw new TypeError('a copy that was not begun');
    return opened;
  };
  const mark = async (edit: (marks: Marks) => Marks): Promise<void> => {
    const { environment: { root, state }, marks } = there();
    await root.transaction(() => writeMarks(state, edit(readAnyMarks(state) ?? marks)));
  };
  const owners = new Set<string>();

  return {
    ...(before === undefined ? {} : { found: { epoch: before.epoch, moved: Object.keys(before.provenance.moved), ...(before.provenance.loading === undefined ? {} : { loading: before.provenance.loading }) } }),
    begin: async (head, from) => {
      source = from;
      const provenance = { ...PLAIN, succeeds: head.succeeds ?? {}, loading: from };
      opened ??= await openEnvironment({ ...options, readOnly: false }, 'any', { epoch: head.epoch, mode: head.mode, provenance });
      await mark((marks) => ({ ...marks, provenance: { ...marks.provenance, loading: from } }));
      const { environment } = there();
      const { clockMark } = head;
      if (clockMark !== undefined) await environment.root.transaction(() => writeClockMark(environment, clockMark));
    },
    hasRealm: async (realm) => {
      if (opened === undefined) return false;
      const { environment } = opened;
      environment.root.resetReadTxn();
      return readState(environment, stateKeyBytes(realm)) !== NEW_REALM;
    },
    beginRealm: async () => owners.clear(),
    write: async (realm, entries, endings) => {
      const { environment } = there();
      const prefix = realmPrefix(realm);
      await environment.root.transaction(() => {
        for (const entry of entries) writeEntry(environment, realm, prefix, entry, endings);
      });
      for (const entry of entries) if (entry.what === 'record' && entry.record.index !== undefined) owners.add(entry.record.index.owner);
    },
    endRealm: async (realm, { sequence, at, endings }) => {
      const { environment } = there();
      const stamp = { sequence, at };
      const put = (key: RecordKey, value: JsonObject): void => {
        const prefix = kindPrefix(realm, key.kind);
        environment.records.putSync(keyBytes({ prefix, id: key.id }), encodeRecord(prefix, { record: { key, created: stamp, modified: stamp, value }, refs: [] }));
      };
      const packing: Packing = {
        recordOf: (key) => heldAt(environment, realm, key),
        keep: ({ name, text }) => {
          if (heldAt(environment, realm, shapeKey(name)) === undefined) put(shapeKey(name), { text });
        },
      };
      const names = [...owners];
      for (let from = 0; from < names.length; from += PAGE) {
        await environment.root.transaction(() => {
          for (const owner of names.slice(from, from + PAGE)) {
            put(ownerRowsKey(owner), ownerRowsValue({ from: at, rows: rowsAfter(environment, realm, owner, at) }, packing));
          }
        });
      }
      // Until this the realm is not there.
      await environment.root.transaction(() => environment.state.putSync(stateKeyBytes(realm), encodeState({ sequence, at, endings, slots: NEW_REALM.slots.map(() => sequence) })));
    },
    finish: async (restored) => {
      if (source === '') throw new TypeError('a copy that was not begun');
      await mark(({ provenance: { loading: _loading, ...rest }, ...marks }) => ({ ...marks, provenance: { ...rest, ...(restored === undefined ? {} : { restored }) } }));
      there().settle();
    },
    close: async () => {
      await opened?.environment.root.close();
    },
  };
};

const writeEntry = (environment: Environment, realm: string, prefix: Buffer, entry: Entry, endings: ReadonlyMap<number, EndingsMark>): void => {
  switch (entry.what) {
    case 'record': {
      const { refs, index, ...record } = entry.record;
      const { kind, id } = record.key;
      const kindOf = kindPrefix(realm, kind);
      environment.records.putSync(keyBytes({ prefix: kindOf, id }), encodeRecord(kindOf, { record, refs, ...(index === undefined ? {} : { index }) }));
      if (index !== undefined) putIndexRow(environment, realm, index.owner, { end: index.end, key: record.key });
      return;
    }
    case 'dropped':
      dropRecords(environment, realm, [entry.key]);
      return;
    case 'event': {
      const { sequence, bytes } = entry.event;
      environment.events.putSync(sequenceKeyBytes(prefix, sequence), Buffer.from(bytes));
      for (const about of entry.about) environment.history.putSync(sequenceKeyBytes(historyPrefix(realm, about), sequence), Buffer.from([1]));
      const mark = endings.get(sequence);
      if (mark === undefined) return;
      const ending = Buffer.alloc(40);
      ending.writeDoubleLE(sequence, 0);
      ending.write(mark.hash, 8, 'hex');
      environment.endings.putSync(sequenceKeyBytes(prefix, mark.sequence), ending);
      return;
    }
    case 'replay': {
      const { hash, digest, done, until, reply } = entry.replay;
      const bytes = Buffer.from(hash, 'hex');
      environment.idempotency.putSync(entryKey(bytes), Buffer.from(JSON.stringify({ realm, digest, ...done, reply, until }), 'utf8'));
      environment.idempotency.putSync(endKey(until, bytes), Buffer.from([1]));
    }
  }
};
