/**
 * What one process remembers of one realm: records that are there and records that are not, and the rows of owners. All of it is
 * the truth at one position, `position`, however it was read:
 *
 * - A change at sequence s forgets what was read before s of what it touched.
 * - What was read at p is kept only if everything up to p is not applied yet or just so (p >= position), and is used only once it is.
 * - What a row refers to counts only while its record is the one that it was read with: commits that give a row other refs leave
 *   its owner's list of rows as it was.
 *
 * So an answer is one snapshot, as if it had been read whole at `position`. Uses of grants and one-time tokens are never remembered.
 */
import type { Instant } from '../../domain/instant.ts';
import type { Followed } from '../leases.ts';
import type { EndingsMark, FactsQuery, FactsRead, RecordKey, RowPlace, StoredRecord } from '../port.ts';
import { createMemo, type Memo, type MemoSpace } from '../embedded/memo.ts';
import { createResolving, kindOf, type Listed, type Resolved } from './resolved.ts';

interface Kept {
  /** The position of the read that brought it. */
  readonly at: number;
  readonly record: StoredRecord | undefined;
  readonly cost: number;
}

interface Row extends RowPlace {
  readonly name: string;
  resolved?: Resolved;
}

/** Rows of an owner that end after `from`, latest first, and the last ones that ended by then. */
interface KeptOwner {
  readonly at: number;
  readonly from: Instant;
  readonly rows: readonly Row[];
  readonly ended: readonly Row[];
  /** One of the rows refers to what is never remembered. */
  readonly counted: boolean;
  readonly cost: number;
  /** What the last question about this owner asked for beside the rows: the next one mostly asks for the same. */
  listed?: Listed;
}

export interface Names {
  nameOf(key: RecordKey): string;
  ownerNameOf(owner: string): string;
}

export interface RealmMemory {
  /** Everything up to it is applied; `undefined`: nothing is remembered yet. */
  readonly position: number | undefined;
  readonly endings: EndingsMark | undefined;
  /** Another number after every `forget`. */
  readonly life: number;
  answer(query: FactsQuery): Omit<FactsRead, 'position' | 'endings'> | undefined;
  /** A guess, cheap: could `answer` have one once everything is applied? It may err either way. */
  mayAnswer(query: FactsQuery): boolean;
  /** `life`: when the read was sent. `query.index.places` must have been set. */
  keep(life: number, query: FactsQuery, read: FactsRead): void;
  apply(followed: Followed): void;
  forget(): void;
}

/** Rows that ended, for the reason of a denial. */
export const LOOK_BACK = 8;
/** They are counted; what was read of them is old at once. */
const NEVER_KEPT: ReadonlySet<string> = new Set(['uses', 'once']);
const ENTRY_COST = 300;
const KEY_COST = 150;
const OBJECT_FACTOR = 2.5;

const never = (name: string): boolean => NEVER_KEPT.has(kindOf(name));

/** Realms of one process share `space`. */
export const createRealmMemory = (names: Names, space: MemoSpace): RealmMemory => {
  let records: Memo<Kept>;
  let owners: Memo<KeptOwner>;
  let position: number | undefined;
  let endings: EndingsMark | undefined;
  let life = 0;

  const usable = <T extends { readonly at: number }>(kept: T | undefined): kept is T => kept !== undefined && position !== undefined && kept.at <= position;
  const found = (name: string): Kept | undefined => {
    const kept = records.get(name);
    return usable(kept) ? kept : undefined;
  };
  const resolving = createResolving({ nameOf: names.nameOf, find: found });

  const forget = (): void => {
    records = createMemo<Kept>(space);
    owners = createMemo<KeptOwner>(space);
    position = undefined;
    endings = undefined;
    life += 1;
    resolving.forget();
  };
  forget();

  /** `undefined` too if the record was changed since the row was read at `at`: it may refer to something else now. */
  const refsOf = (row: Row, record: StoredRecord, at: number): Resolved | undefined => {
    if (!(record.modified.sequence <= at)) return undefined;
    if (row.resolved !== undefined && resolving.exact(row.resolved)) return row.resolved;
    const resolved = resolving.named(row.refs);
    if (resolved !== undefined) row.resolved = resolved;
    return resolved;
  };
  const recordOf = ({ name }: Row): StoredRecord | undefined => found(name)?.record;

  const answer = (query: FactsQuery): Omit<FactsRead, 'position' | 'endings'> | undefined => {
    const { keys, index } = query;
    if (index === undefined) {
      const asked = resolving.listed(keys, undefined);
      return asked === undefined ? undefined : { records: new Map(asked.present), rows: [], ended: [], truncated: false };
    }
    const { owner, endsAfter, wanted, lookBack = 0 } = index;
    const kept = owners.get(names.ownerNameOf(owner));
    if (!usable(kept) || !(kept.from <= endsAfter) || !(lookBack <= LOOK_BACK)) return undefined;
    const asked = resolving.listed(keys, kept.listed);
    if (asked === undefined) return undefined;
    kept.listed = asked;
    const together = new Map<string, StoredRecord>(asked.present);
    const over = kept.rows.findIndex(({ end }) => !(endsAfter < end));
    const live = over < 0 ? kept.rows.length : over;
    const rows: StoredRecord[] = [];
    let anyWanted = false;
    for (let place = 0; place < live; place += 1) {
      const row = kept.rows[place] as Row;
      const record = recordOf(row);
      if (record === undefined) return undefined;
      rows.push(record);
      if (wanted !== undefined && !wanted(record)) continue;
      anyWanted = true;
      const refs = refsOf(row, record, kept.at);
      if (refs === undefined) return undefined;
      for (const [text, one] of refs.present) together.set(text, one);
    }
    const back = anyWanted ? [] : [...kept.rows.slice(live), ...kept.ended].slice(0, lookBack).map(recordOf);
    if (back.includes(undefined)) return undefined;
    return { records: together, rows, ended: back as StoredRecord[], truncated: false };
  };

  const mayAnswer = ({ keys, index }: FactsQuery): boolean => {
    const [first] = keys;
    if (first !== undefined && records.get(names.nameOf(first)) === undefined) return false;
    return index === undefined ? first !== undefined : owners.get(names.ownerNameOf(index.owner))?.counted === false;
  };

  const put = (at: number, name: string, record: StoredRecord | undefined): void => {
    if (never(name)) return;
    const known = records.get(name);
    // Whoever has the same record already keeps its object, which others have understood before.
    if (known !== undefined && known.at > at) return;
    const same = known?.record !== undefined && known.record.modified.sequence === record?.modified.sequence;
    const cost = ENTRY_COST + name.length + (record === undefined ? 0 : JSON.stringify(record.value).length * OBJECT_FACTOR);
    records.set(name, { at, cost, record: same ? known.record : record });
  };
  const keep = (then: number, query: FactsQuery, read: FactsRead): void => {
    const at = read.position.sequence;
    if (then !== life || position === undefined || !(at >= position)) return;
    const byName = new Map([...read.records.values()].map((record) => [names.nameOf(record.key), record]));
    for (const key of query.keys) {
      const name = names.nameOf(key);
      put(at, name, byName.get(name));
    }
    if (query.index === undefined || read.places === undefined || read.truncated) return;
    const { places } = read;
    const rowsOf = (found: readonly StoredRecord[], of: readonly RowPlace[]): readonly Row[] =>
      found.map((record, index) => {
        const name = names.nameOf(record.key);
        put(at, name, record);
        return { name, ...(of[index] as RowPlace) };
      });
    const rows = rowsOf(read.rows, places.rows);
    for (const { refs } of rows) for (const name of refs) put(at, name, byName.get(name));
    const name = names.ownerNameOf(query.index.owner);
    const counted = rows.some(({ refs }) => refs.some(never));
    owners.set(name, { at, from: query.index.endsAfter, rows, ended: rowsOf(read.ended, places.ended), counted, cost: ENTRY_COST * (1 + rows.length) + KEY_COST * query.keys.length });
  };

  const apply = ({ sequence, endings: mark, whole, changes }: Followed): void => {
    if (!whole) forget();
    if (changes.length > 0) resolving.batch();
    for (const change of changes) {
      for (const name of change.records) {
        resolving.changed(name);
        if ((records.get(name)?.at ?? change.sequence) < change.sequence) records.delete(name);
      }
      for (const name of change.owners) if ((owners.get(name)?.at ?? change.sequence) < change.sequence) owners.delete(name);
    }
    position = sequence;
    endings = mark;
  };

  return {
    get position() { return position; },
    get endings() { return endings; },
    get life() { return life; },
    answer, mayAnswer, keep, apply, forget,
  };
};
