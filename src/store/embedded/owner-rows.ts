/**
 * The rows of one owner that had not ended when the last one was added, latest end first: one record that a decision reads in
 * place of a range of the time index, which costs several times as much. Rows that end later stand before those that end
 * earlier, so at any later instant the rows still live are the first ones of the list.
 *
 * The first rows bring their records along, packed, so that one look-up is enough for all of them. Every commit that changes
 * such a record makes the list anew, so that both are always the same.
 */
import type { Instant } from '../../domain/instant.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { ROWS_MAX, type RecordKey } from '../port.ts';
import { ROWS_KIND, SHAPES_KIND } from './keys.ts';
import { pack, type Packed, type Shape } from './packed-record.ts';
import type { HeldRecord } from './record.ts';

export interface IndexRow {
  readonly end: number;
  readonly key: RecordKey;
}

export interface ListedRow extends IndexRow {
  /** The record, where it came along. */
  readonly packed?: Packed;
}

export interface OwnerRows {
  /** The list holds every row that ends after this, up to the most that are read and one more. */
  readonly from: number;
  readonly rows: readonly ListedRow[];
}

/** So many records come along, and no more once they have so many characters: a commit writes all of them again. */
const PACKED_MAX = 16;
const PACKED_CHARS_MAX = 12_000;

export const ownerRowsKey = (owner: string): RecordKey => ({ kind: ROWS_KIND, id: owner });
export const shapeKey = (name: string): RecordKey => ({ kind: SHAPES_KIND, id: name });

/** Only ever given what `ownerRowsValue` made: the record's checksum says so. */
export const parseOwnerRows = (value: JsonObject): OwnerRows => {
  const flat = value['rows'] as readonly JsonValue[];
  const shapes = (value['shapes'] ?? []) as readonly string[];
  // Of each row that comes along: its shape's place (or -1: it does not), then its leaves. Lists of earlier versions have none.
  const along = (value['packed'] ?? []) as readonly JsonValue[];
  const rows: ListedRow[] = [];
  for (let at = 0, next = 0; at < flat.length; at += 3, next += 2) {
    const end = flat[at] as number;
    const key = { kind: flat[at + 1] as string, id: flat[at + 2] as string };
    const shape = next < along.length ? (along[next] as number) : -1;
    rows.push(shape < 0 ? { end, key } : { end, key, packed: { shape: shapes[shape] as string, leaves: along[next + 1] as string } });
  }
  return { from: value['from'] as number, rows };
};

export interface Packing {
  /** The record of a row as the commit leaves it. */
  readonly recordOf: (key: RecordKey) => HeldRecord | undefined;
  /** Keeps a shape that a list needs. */
  readonly keep: (shape: Shape) => void;
}

export const ownerRowsValue = ({ from, rows }: OwnerRows, { recordOf, keep }: Packing): JsonObject => {
  const shapes: string[] = [];
  const packed: JsonValue[] = [];
  let chars = 0;
  for (const { key } of rows.slice(0, PACKED_MAX)) {
    const held = recordOf(key);
    const made = held === undefined ? undefined : pack(held);
    if (made === undefined) {
      packed.push(-1, '');
      continue;
    }
    chars += made.packed.leaves.length;
    if (chars > PACKED_CHARS_MAX) break;
    keep(made.shape);
    const known = shapes.indexOf(made.shape.name);
    packed.push(known < 0 ? shapes.push(made.shape.name) - 1 : known, made.packed.leaves);
  }
  return { from, rows: rows.flatMap(({ end, key }) => [end, key.kind, key.id]), ...(shapes.length > 0 ? { shapes, packed } : {}) };
};

/** The list with `added`, as of `now`. */
export const withRows = (before: JsonObject | undefined, added: readonly IndexRow[], now: Instant): OwnerRows => {
  // An owner without a list has no row yet.
  const known = before === undefined ? { from: 0, rows: [] } : parseOwnerRows(before);
  const from = Math.max(known.from, now);
  const rows = [...known.rows, ...added].filter(({ end }) => end > from).sort((a, b) => b.end - a.end);
  return { from, rows: rows.slice(0, ROWS_MAX + 1) };
};
