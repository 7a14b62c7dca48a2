/**
 * What the refs of a row's record lead to, remembered with the row. It is used again only while the transaction that is current shows
 * that no kind that was asked about has changed since; what is absent counts as much as what is there.
 */
import { recordKeyText, type RecordKey, type StoredRecord } from '../port.ts';
import type { UnpackedRecord } from './packed-record.ts';
import type { RealmState } from './realm-state.ts';
import type { HeldRecord } from './record.ts';

/** Of records that are remembered by themselves, with what is made of them when it is asked for. */
export type Remembered = HeldRecord & { asRow?: RowRecord; keyText?: string };

export const keyTextOf = (held: Remembered): string => (held.keyText ??= recordKeyText(held.record.key));

/** What a list of keys led to, exact while none of their kinds' slots is later than `asOf`. */
export interface Resolved {
  readonly realm: object;
  /** The same list for all with these slots. */
  readonly slots: readonly number[];
  /** Position of the realm, which moves along when a later look finds the same. Slots are positions of commits: what moves one is later than all before it. */
  asOf: number;
  readonly present: readonly Remembered[];
}

/** A row's record, with what its refs led to, for as long as it is remembered. */
export interface RowRecord {
  readonly record: StoredRecord;
  readonly refs: UnpackedRecord['refs'];
  resolved?: Resolved;
}

export interface Resolving<R, K> {
  kindReader(realm: R, kind: string): K;
  provedAbsent(realm: R, reader: K, group: string, rest: string): boolean;
  /** Through what is remembered of each record. */
  lookup(realm: R, key: RecordKey): Remembered | undefined;
  /** From the store. */
  read(reader: K, key: RecordKey): Remembered | undefined;
}

const NOTHING: readonly Remembered[] = [];
const SLOT_LISTS_MAX = 100;

export const createResolver = <R extends { readonly state: RealmState }, K extends { readonly slot: number }>(reading: Resolving<R, K>): ((realm: R, row: RowRecord) => Resolved) => {
  const { kindReader, provedAbsent, lookup, read } = reading;

  const slotLists = new Map<string, readonly number[]>();
  const sameSlots = (slots: readonly number[]): readonly number[] => {
    const name = slots.join();
    const known = slotLists.get(name);
    if (known !== undefined) return known;
    if (slotLists.size >= SLOT_LISTS_MAX) slotLists.clear();
    slotLists.set(name, slots);
    return slots;
  };

  const holds = (known: Resolved | undefined, realm: R): known is Resolved => {
    if (known?.realm !== realm) return false;
    const { slots, asOf } = known;
    for (let index = 0; index < slots.length; index += 1) if (!((realm.state.slots[slots[index] as number] as number) <= asOf)) return false;
    return true;
  };

  const same = <T>(one: readonly T[], other: readonly T[]): boolean => {
    if (one.length !== other.length) return false;
    for (let index = 0; index < one.length; index += 1) if (one[index] !== other[index]) return false;
    return true;
  };

  const resolve = (realm: R, { record: { key: { id } }, refs, resolved: before }: RowRecord): Resolved => {
    let present: Remembered[] | undefined;
    const slots: number[] = [];
    let reader: K | undefined;
    let kindOfReader = '';
    // Of every kind that is asked about, whatever the answer.
    const readerOf = (kind: string): K => {
      if (reader !== undefined && kind === kindOfReader) return reader;
      kindOfReader = kind;
      reader = kindReader(realm, kind);
      if (!slots.includes(reader.slot)) slots.push(reader.slot);
      return reader;
    };
    for (const key of refs((kind, group, rest) => provedAbsent(realm, readerOf(kind), group, rest))) {
      // What is about this row alone nobody else asks for; it is remembered here.
      const held = key.id.endsWith(id) ? read(readerOf(key.kind), key) : lookup(realm, key);
      if (held !== undefined) (present ??= []).push(held);
    }
    const asOf = realm.state.sequence;
    // Nothing is made anew for each ending elsewhere: what lives long costs most when it is replaced.
    if (before?.realm === realm && same(before.slots, slots) && same(before.present, present ?? NOTHING)) {
      before.asOf = asOf;
      return before;
    }
    return { realm, slots: sameSlots(slots), asOf, present: present ?? NOTHING };
  };

  return (realm, row) => (holds(row.resolved, realm) ? row.resolved : (row.resolved = resolve(realm, row)));
};
