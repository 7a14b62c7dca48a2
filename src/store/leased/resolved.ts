/**
 * What names and keys led to, kept until a batch of changes touches a record of one of their kinds: looking up a dozen names for each
 * question costs more than all else that answering from memory does. What is absent counts as much as what is there. Whoever
 * keeps what is given here asks before each use whether it is still exact.
 */
import { recordKeyText, type RecordKey, type StoredRecord } from '../port.ts';

/** A kind of record that something was resolved of: the last batch with one of them. */
interface Kind {
  changed: number;
}

/** Exact while no batch since `asOf` changed one of its kinds. */
export interface Resolved {
  readonly asOf: number;
  readonly kinds: readonly Kind[];
  readonly present: readonly (readonly [text: string, record: StoredRecord])[];
}

/** Of a list of keys, which are told apart by what they say: they are named anew for each question. */
export interface Listed extends Resolved {
  readonly keys: readonly RecordKey[];
  readonly records: readonly (StoredRecord | undefined)[];
}

export interface ResolvingParts {
  /** As names begin with their kinds. */
  readonly nameOf: (key: RecordKey) => string;
  /** What is remembered under a name and may be used now. */
  readonly find: (name: string) => { readonly record: StoredRecord | undefined } | undefined;
}

export interface Resolving {
  exact(known: Resolved): boolean;
  /** `undefined`: one of them is not remembered. */
  named(names: readonly string[]): Resolved | undefined;
  /** The same. `before`: an earlier list; what is in the same place there need not be named and looked up again. */
  listed(keys: readonly RecordKey[], before: Listed | undefined): Listed | undefined;
  /** A batch of changes begins. */
  batch(): void;
  /** It changed this record. */
  changed(name: string): void;
  /** Nothing that was resolved before is exact any more. */
  forget(): void;
}

export const kindOf = (name: string): string => name.slice(0, name.indexOf('/'));

const sameKey = (one: RecordKey | undefined, other: RecordKey): boolean => one === other || (one !== undefined && one.id === other.id && one.kind === other.kind);

export const createResolving = ({ nameOf, find }: ResolvingParts): Resolving => {
  let batches = 0;
  /** Those of refs, and of what covers a request: a handful. */
  const kinds = new Map<string, Kind>();

  const kindNamed = (name: string): Kind => {
    let kind = kinds.get(name);
    if (kind === undefined) kinds.set(name, (kind = { changed: batches }));
    return kind;
  };
  const exact = ({ asOf, kinds: of }: Resolved): boolean => {
    for (const { changed } of of) if (!(changed <= asOf)) return false;
    return true;
  };

  return {
    exact,
    named: (names) => {
      const present: (readonly [string, StoredRecord])[] = [];
      const of = new Set<Kind>();
      for (const name of names) {
        const kept = find(name);
        if (kept === undefined) return undefined;
        of.add(kindNamed(kindOf(name)));
        if (kept.record !== undefined) present.push([recordKeyText(kept.record.key), kept.record]);
      }
      return { asOf: batches, kinds: [...of], present };
    },
    listed: (keys, before) => {
      const known = before !== undefined && exact(before) ? before : undefined;
      if (known?.keys.length === keys.length && keys.every((key, place) => sameKey(known.keys[place], key))) return known;
      const records: (StoredRecord | undefined)[] = [];
      const present: (readonly [string, StoredRecord])[] = [];
      const of = new Set<Kind>();
      for (const [place, key] of keys.entries()) {
        const kept = known !== undefined && sameKey(known.keys[place], key) ? { record: known.records[place] } : find(nameOf(key));
        if (kept === undefined) return undefined;
        of.add(kindNamed(key.kind));
        records.push(kept.record);
        if (kept.record !== undefined) present.push([recordKeyText(kept.record.key), kept.record]);
      }
      return { asOf: batches, kinds: [...of], keys, records, present };
    },
    batch: () => { batches += 1; },
    changed: (name) => {
      const kind = kinds.get(kindOf(name));
      if (kind !== undefined) kind.changed = batches;
    },
    forget: () => {
      batches += 1;
      for (const kind of kinds.values()) kind.changed = batches;
    },
  };
};
