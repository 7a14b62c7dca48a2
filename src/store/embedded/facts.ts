/**
 * Reads the facts of one decision from one read transaction, which the caller has renewed: what any process acknowledged before
 * is in it. What is remembered from earlier reads is used only where this same transaction proves it unchanged: by the realm's
 * slot of the record's kind, else by the version in the record's bytes.
 */
import { ROWS_MAX, StoreUnavailable, type FactsQuery, type FactsRead, type RecordKey, type StoredRecord } from '../port.ts';
import { bytesAt, type Environment } from './environment.ts';
import { scanRows } from './index-row.ts';
import { groupOf, groupsThere } from './groups.ts';
import { isHashed, kindPrefix, ROWS_KIND } from './keys.ts';
import { createDoorkeeper, createMemo, createMemoSpace, type Memo } from './memo.ts';
import { parseOwnerRows, shapeKey, type IndexRow, type ListedRow, type OwnerRows } from './owner-rows.ts';
import { unpack } from './packed-record.ts';
import { checksumSeed, decodeRecord, versionOf, type HeldRecord } from './record.ts';
import { createResolver, keyTextOf, type Remembered, type Resolved, type RowRecord } from './resolve.ts';
import { NEW_REALM, readState, slotOf, stateKeyBytes, type RealmState } from './realm-state.ts';

/** What a read found under a key (`undefined`: nothing), exact while the kind's slot stands at `changed`. */
interface Found {
  readonly held: HeldRecord | undefined;
  /** Moves along when a later read finds the same: nothing is made anew and counted as memory again for each ending elsewhere. */
  changed: number;
  readonly cost: number;
}

/** The list of an owner's rows, exact while its slot stands at `changed`. */
interface FoundRows {
  readonly rows: ReadRows | undefined;
  changed: number;
  readonly cost: number;
}

interface ReadRows extends OwnerRows {
  readonly version: number;
  /** Of the rows whose records came along, by place; made when they are first asked for. */
  readonly records: (RowRecord | undefined)[];
}

interface KindReader {
  readonly slot: number;
  readonly prefix: Buffer;
  readonly seed: number;
  readonly memo: Memo<Found>;
  /** The groups of which there is a record, exact while the slot stands at `changed`; `many`: nothing is known of them. */
  groups?: { readonly there: ReadonlySet<string>; readonly changed: number } | 'many';
}

interface RealmReader {
  readonly name: string;
  readonly stateKey: Buffer;
  state: RealmState;
  readonly kinds: Map<string, KindReader>;
  readonly owners: Memo<FoundRows>;
}

const noRow = (): never => {
  throw new RangeError('there are no rows');
};

export interface FactsReader {
  facts(query: FactsQuery): FactsRead;
  state(realm: string): RealmState;
  find(realm: string, key: RecordKey): StoredRecord | undefined;
}

const REALMS_MAX = 1_000;
/** What an entry costs beyond its bytes, and how much larger a record is in memory than in bytes (measured: 2,490 bytes for 1,050). */
const ENTRY_COST = 250;
const OBJECT_FACTOR = 2.5;
/** The same for a list with the records that came along. */
const ROWS_FACTOR = 5;
const SEEN = 32_768;

export const createFactsReader = (environment: Environment, epoch: string, memoBytesMax: number): FactsReader => {
  const space = createMemoSpace(memoBytesMax);
  const seenBefore = createDoorkeeper(space, SEEN);
  const realms = new Map<string, RealmReader>();

  const realmReader = (name: string): RealmReader => {
    let realm = realms.get(name);
    if (realm === undefined) {
      if (realms.size >= REALMS_MAX) realms.clear();
      realm = { name, stateKey: stateKeyBytes(name), state: NEW_REALM, kinds: new Map(), owners: createMemo<FoundRows>(space) };
      realms.set(name, realm);
    }
    realm.state = readState(environment, realm.stateKey, realm.state);
    return realm;
  };

  const kindReader = (realm: RealmReader, kind: string): KindReader => {
    const known = realm.kinds.get(kind);
    if (known !== undefined) return known;
    const prefix = kindPrefix(realm.name, kind);
    const reader: KindReader = { slot: slotOf(kind), prefix, seed: checksumSeed(prefix), memo: createMemo<Found>(space) };
    realm.kinds.set(kind, reader);
    return reader;
  };

  const read = ({ prefix, seed }: KindReader, { kind, id }: RecordKey): Remembered | undefined => {
    const bytes = bytesAt(environment.records, { prefix, id });
    return bytes === undefined ? undefined : decodeRecord(kind, id, seed, bytes);
  };

  const lookup = (realm: RealmReader, { kind, id }: RecordKey): Remembered | undefined => {
    const { slot, prefix, seed, memo } = kindReader(realm, kind);
    const changed = realm.state.slots[slot] as number;
    const known = memo.get(id);
    if (known !== undefined && known.changed === changed) return known.held;
    const bytes = bytesAt(environment.records, { prefix, id });
    if (known !== undefined && known.held?.record.modified.sequence === (bytes === undefined ? undefined : versionOf(bytes))) {
      known.changed = changed;
      return known.held;
    }
    const held = bytes === undefined ? undefined : decodeRecord(kind, id, seed, bytes);
    if (known !== undefined || seenBefore(id)) memo.set(id, { held, changed, cost: ENTRY_COST + id.length + (bytes?.length ?? 0) * OBJECT_FACTOR });
    return held;
  };

  /** Is it proved, by this transaction, that there is no record of this id? `false` proves nothing. */
  const provedAbsent = (realm: RealmReader, reader: KindReader, group: string, rest: string): boolean => {
    const name = group === '' ? groupOf(rest) : group;
    let { groups } = reader;
    if (name === undefined || groups === 'many') return false;
    const changed = realm.state.slots[reader.slot] as number;
    if (groups?.changed !== changed) {
      const there = groupsThere(environment, reader.prefix);
      groups = reader.groups = there === undefined ? 'many' : { there, changed };
      if (groups === 'many') return false;
    }
    // An id that is hashed stands elsewhere among the keys.
    return !groups.there.has(name) && !isHashed(rest, group);
  };

  const refsOf = createResolver<RealmReader, KindReader>({ kindReader, provedAbsent, lookup, read });

  const lookupRows = (realm: RealmReader, owner: string): ReadRows | undefined => {
    const { slot, prefix, seed } = kindReader(realm, ROWS_KIND);
    const changed = realm.state.slots[slot] as number;
    const known = realm.owners.get(owner);
    if (known !== undefined && known.changed === changed) return known.rows;
    const bytes = bytesAt(environment.records, { prefix, id: owner });
    const version = bytes === undefined ? undefined : versionOf(bytes);
    if (known !== undefined && known.rows?.version === version) {
      known.changed = changed;
      return known.rows;
    }
    let rows: ReadRows | undefined;
    if (bytes !== undefined && version !== undefined) {
      rows = { ...parseOwnerRows(decodeRecord(ROWS_KIND, owner, seed, bytes).record.value), version, records: [] };
    }
    if (known !== undefined || seenBefore(owner)) realm.owners.set(owner, { rows, changed, cost: ENTRY_COST + owner.length + (bytes?.length ?? 0) * ROWS_FACTOR });
    return rows;
  };

  const rowRecord = (realm: RealmReader, key: RecordKey): RowRecord => {
    const held: Remembered | undefined = lookup(realm, key);
    if (held === undefined) throw new StoreUnavailable('the time index names a record that is not there; restore the store from a backup');
    return (held.asRow ??= { record: held.record, refs: (absent) => held.refs.filter(({ kind, id }) => absent?.(kind, '', id) !== true) });
  };

  const shapeText = (realm: RealmReader, name: string): string => {
    const text = lookup(realm, shapeKey(name))?.record.value['text'];
    if (typeof text !== 'string') throw new StoreUnavailable('a list names a shape that is not there; restore the store from a backup');
    return text;
  };

  const listedRecord = (realm: RealmReader, { rows, records }: ReadRows, place: number): RowRecord => {
    const { key, packed } = rows[place] as ListedRow;
    return packed === undefined ? rowRecord(realm, key) : (records[place] ??= unpack(key, packed, (name) => shapeText(realm, name)));
  };

  /** The owner's live rows, those that end last first, and how many there are. */
  const liveRows = (realm: RealmReader, owner: string, endsAfter: number): { readonly count: number; readonly recordAt: (place: number) => RowRecord } => {
    const list = lookupRows(realm, owner);
    if (list === undefined) return { count: 0, recordAt: noRow };
    // Asked about an instant before the list was made: a clock a little behind, or a test.
    if (endsAfter < list.from) {
      const scanned = scanRows(environment, realm.name, owner, { after: endsAfter, limit: ROWS_MAX + 1 });
      return { count: scanned.length, recordAt: (place) => rowRecord(realm, (scanned[place] as IndexRow).key) };
    }
    const { rows } = list;
    let count = 0;
    while (count < rows.length && endsAfter < (rows[count] as ListedRow).end) count += 1;
    return { count, recordAt: (place) => listedRecord(realm, list, place) };
  };

  return {
    state: (name) => realmReader(name).state,
    find: (name, key) => lookup(realmReader(name), key)?.record,
    facts: (query) => {
      const realm = realmReader(query.realm);
      const records = new Map<string, StoredRecord>();
      const bring = ({ present }: Resolved): void => {
        for (const held of present) records.set(keyTextOf(held), held.record);
      };
      for (const key of query.keys) {
        if (provedAbsent(realm, kindReader(realm, key.kind), '', key.id)) continue;
        const held = lookup(realm, key);
        if (held !== undefined) records.set(keyTextOf(held), held.record);
      }
      const { sequence, endings } = realm.state;
      // Told whole each time: V8 makes a class of its own for every object that begins with a spread and then grows.
      const position = { epoch, sequence };
      if (query.index === undefined) return { position, endings, records, rows: [], ended: [], truncated: false };

      const { owner, endsAfter, wanted, lookBack } = query.index;
      const live = liveRows(realm, owner, endsAfter);
      const rows: StoredRecord[] = [];
      let anyWanted = false;
      for (let place = 0; place < live.count && place < ROWS_MAX; place += 1) {
        const held = live.recordAt(place);
        rows.push(held.record);
        if (wanted !== undefined && !wanted(held.record)) continue;
        anyWanted = true;
        bring(refsOf(realm, held));
      }
      const back = anyWanted || lookBack === undefined || lookBack <= 0 ? [] : scanRows(environment, realm.name, owner, { upTo: endsAfter, limit: lookBack });
      return { position, endings, records, rows, ended: back.map(({ key }) => rowRecord(realm, key).record), truncated: live.count > ROWS_MAX };
    },
  };
};
