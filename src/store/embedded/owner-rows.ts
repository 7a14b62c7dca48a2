/**
 * The rows of one owner that had not ended when the last one was added, latest end first: one record that a decision reads in
 * place of a range of the time index, which costs several times as much. Rows that end later stand before those that end
 * earlier, so at any later instant the rows still live are the first ones of the list.
 */
import type { Instant } from '../../domain/instant.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { ROWS_MAX, type RecordKey } from '../port.ts';
import { ROWS_KIND } from './keys.ts';

export interface IndexRow {
  readonly end: number;
  readonly key: RecordKey;
}

export interface OwnerRows {
  /** The list holds every row that ends after this, up to the most that are read and one more. */
  readonly from: number;
  readonly rows: readonly IndexRow[];
}

export const ownerRowsKey = (owner: string): RecordKey => ({ kind: ROWS_KIND, id: owner });

/** Only ever given what `ownerRowsValue` made: the record's checksum says so. */
export const parseOwnerRows = (value: JsonObject): OwnerRows => {
  const flat = value['rows'] as readonly JsonValue[];
  const rows: IndexRow[] = [];
  for (let at = 0; at < flat.length; at += 3) rows.push({ end: flat[at] as number, key: { kind: flat[at + 1] as string, id: flat[at + 2] as string } });
  return { from: value['from'] as number, rows };
};

export const ownerRowsValue = ({ from, rows }: OwnerRows): JsonObject => ({ from, rows: rows.flatMap(({ end, key }) => [end, key.kind, key.id]) });

/** The list with `added`, as of `now`. */
export const withRows = (before: JsonObject | undefined, added: readonly IndexRow[], now: Instant): JsonObject => {
  // An owner without a list has no row yet.
  const known = before === undefined ? { from: 0, rows: [] } : parseOwnerRows(before);
  const from = Math.max(known.from, now);
  const rows = [...known.rows, ...added].filter(({ end }) => end > from).sort((a, b) => b.end - a.end);
  return ownerRowsValue({ from, rows: rows.slice(0, ROWS_MAX + 1) });
};
