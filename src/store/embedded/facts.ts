/**
 * Reads the facts of one decision from one read transaction, made after the call began: what any process acknowledged before is
 * in it. What is remembered from earlier reads is used only where this same transaction proves it unchanged: by the realm's slot
 * of the record's kind, else by the version in the record's bytes.
 */
import { recordKeyText, ROWS_MAX, StoreUnavailable, type FactsQuery, type FactsRead, type RecordKey, type StoredRecord } from '../port.ts';
import { bytesAt, type Environment } from './environment.ts';
import { indexRow, type IndexRow } from './index-row.ts';
import { indexBound, ownerPrefix, recordKeyBytes } from './keys.ts';
import { createMemo, type Memo } from './memo.ts';
import { decodeRecord, versionOf, type HeldRecord, type NamedKey } from './record.ts';
import { INDEX_SLOT, NEW_REALM, readState, slotOf, stateKeyBytes, type RealmState } from './realm-state.ts';

/** What one read found under a key, exact while the kind's slot is `slot`. */
interface Found {
  readonly held: HeldRecord | undefined;
  readonly slot: number;
}

/** Rows of one owner that end after `from`, latest first, exact while the index' slot is `slot`. */
interface Rows {
  readonly rows: readonly IndexRow[];
  readonly from: number;
  readonly slot: number;
}

interface RealmReader {
  readonly stateKey: Buffer;
  state: RealmState;
}

export interface FactsReader {
  facts(query: FactsQuery): FactsRead;
  state(realm: string): RealmState;
  /** Reads one record in the transaction that is current. */
  find(realm: string, key: RecordKey): HeldRecord | undefined;
}

/** Injective; the usual realm needs no new text. */
const memoName = (realm: string, text: string): string => (realm === 'default' ? `:${text}` : `${realm.length}:${realm}${text}`);

const REALMS_MAX = 1_000;
/** What an entry costs beyond its bytes, and how much larger a record is in memory than in bytes: rough, on the large side. */
const ENTRY_COST = 250;
const OBJECT_FACTOR = 4;

export const createFactsReader = (environment: Environment, epoch: string, memoBytesMax: number): FactsReader => {
  const records: Memo<Found> = createMemo(memoBytesMax);
  const indexes: Memo<Rows> = createMemo(memoBytesMax / 4);
  const realms = new Map<string, RealmReader>();

  const state = (realm: string): RealmState => {
    let reader = realms.get(realm);
    if (reader === undefined) {
      if (realms.size >= REALMS_MAX) realms.clear();
      reader = { stateKey: stateKeyBytes(realm), state: NEW_REALM };
      realms.set(realm, reader);
    }
    reader.state = readState(environment, reader.stateKey, reader.state);
    return reader.state;
  };

  const lookup = (realm: string, now: RealmState, key: RecordKey, text: string): HeldRecord | undefined => {
    const name = memoName(realm, text);
    const slot = now.slots[slotOf(key.kind)] as number;
    const known = records.get(name);
    if (known !== undefined && known.slot === slot) return known.held;
    const keyBytes = recordKeyBytes(realm, key);
    const bytes = bytesAt(environment.records, keyBytes);
    let held: HeldRecord | undefined;
    if (bytes !== undefined) {
      const unchanged = known?.held !== undefined && known.held.record.modified.sequence === versionOf(bytes);
      held = unchanged ? known.held : decodeRecord(key.kind, key.id, keyBytes, bytes);
    }
    records.set(name, { held, slot }, ENTRY_COST + text.length + (bytes === undefined ? 0 : bytes.length * OBJECT_FACTOR));
    return held;
  };

  const scan = (owner: Buffer, from: number | undefined, downFrom: number | undefined, limit: number): IndexRow[] => {
    // A reverse range begins at `start` and leaves out `end`.
    const start = downFrom === undefined ? indexBound(owner, 2 ** 48 - 1) : indexBound(owner, downFrom + 1);
    const end = from === undefined ? owner : indexBound(owner, from + 1);
    const rows: IndexRow[] = [];
    for (const bytes of environment.index.getKeys({ start, end, reverse: true, limit })) rows.push(indexRow(environment, owner, bytes));
    return rows;
  };

  return {
    state,
    find: (realm, key) => lookup(realm, state(realm), key, recordKeyText(key)),
    facts: (query) => {
      const { realm } = query;
      const now = state(realm);
      const found = new Map<string, StoredRecord>();
      const bring = (key: RecordKey, text: string): void => {
        const held = lookup(realm, now, key, text);
        if (held !== undefined) found.set(text, held.record);
      };
      for (const key of query.keys) bring(key, recordKeyText(key));
      const read = { position: { epoch, sequence: now.sequence }, endings: now.endings, records: found };
      if (query.index === undefined) return { ...read, rows: [], ended: [], truncated: false };

      const { owner, endsAfter, wanted, lookBack } = query.index;
      const name = memoName(realm, owner);
      const slot = now.slots[INDEX_SLOT] as number;
      let known = indexes.get(name);
      if (known === undefined || known.slot !== slot || endsAfter < known.from) {
        const rows = scan(ownerPrefix(realm, owner), endsAfter, undefined, ROWS_MAX + 1);
        known = { rows, from: endsAfter, slot };
        indexes.set(name, known, ENTRY_COST + owner.length + rows.length * ENTRY_COST);
      }
      const rows: StoredRecord[] = [];
      let truncated = false;
      let anyWanted = false;
      const record = (key: NamedKey): HeldRecord => {
        const held = lookup(realm, now, key, key.text);
        if (held === undefined) throw new StoreUnavailable('the time index names a record that is not there; restore the store from a backup');
        return held;
      };
      for (const row of known.rows) {
        if (!(endsAfter < row.end)) break;
        if (rows.length === ROWS_MAX) {
          truncated = true;
          break;
        }
        const held = record(row.key);
        rows.push(held.record);
        if (wanted !== undefined && !wanted(held.record)) continue;
        anyWanted = true;
        for (const ref of held.refs) if (!found.has(ref.text)) bring(ref, ref.text);
      }
      const ended =
        anyWanted || lookBack === undefined || lookBack <= 0
          ? []
          : scan(ownerPrefix(realm, owner), undefined, endsAfter, lookBack).map((row) => record(row.key).record);
      return { ...read, rows, ended, truncated };
    },
  };
};
