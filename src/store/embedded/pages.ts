/** Reads for people and programs that list: pages of records, and events in order. */
import { CursorInvalid, StoreUnavailable, type Page, type RecordKey, type StoredEvent, type StoredRecord } from '../port.ts';
import { parseEvent } from '../event.ts';
import type { Environment } from './environment.ts';
import { heldAt } from './held-at.ts';
import { indexRow } from './index-row.ts';
import { after, historyPrefix, kindPrefix, keyBytes, ownerPrefix, realmPrefix, SEQUENCE_MAX, sequenceKeyBytes, sequenceOfKey, startsWith } from './keys.ts';
import { checksumSeed, decodeRecord } from './record.ts';

const LIMIT_MAX = 1_000;
const CURSOR_BYTES_MAX = 1_978;

const clampLimit = (limit: number): number => (limit >= 1 ? Math.min(Math.floor(limit), LIMIT_MAX) : 1);

/** The cursor is the last key given out; one that another listing made is refused. */
const keyOfCursor = (cursor: string | undefined, prefix: Buffer): Buffer | undefined => {
  if (cursor === undefined) return undefined;
  const bytes = Buffer.from(cursor, 'base64url');
  if (bytes.length > CURSOR_BYTES_MAX || !startsWith(bytes, prefix) || bytes.toString('base64url') !== cursor) {
    throw new CursorInvalid('this cursor does not belong to this listing');
  }
  return bytes;
};

/** One more than `limit` keys are read, to know whether there is a next page. */
const page = <T>(found: readonly { readonly key: Buffer; readonly item: T }[], limit: number): Page<T> => {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map((entry) => entry.item),
    ...(found.length > limit && last !== undefined ? { next: last.key.toString('base64url') } : {}),
  };
};

export const listKind = (environment: Environment, realm: string, options: { readonly kind: string; readonly after?: string; readonly limit: number }): Page<StoredRecord> => {
  const limit = clampLimit(options.limit);
  const prefix = kindPrefix(realm, options.kind);
  const from = keyOfCursor(options.after, prefix);
  const range = { start: from ?? prefix, exclusiveStart: from !== undefined, end: after(prefix), limit: limit + 1 };
  const seed = checksumSeed(prefix);
  const decodeListed = (kind: string, key: Buffer, value: Buffer): StoredRecord => {
    const { record } = decodeRecord(kind, undefined, seed, value);
    // The key says which id it is for, in plain or as a digest.
    if (!keyBytes({ prefix, id: record.key.id }).equals(key)) throw new StoreUnavailable('a record stands under another key; restore the store from a backup');
    return record;
  };
  const found = [...environment.records.getRange(range)].map(({ key, value }) => ({
    key,
    item: decodeListed(options.kind, key, value),
  }));
  return page(found, limit);
};

export const listOwner = (environment: Environment, realm: string, options: { readonly kind: string; readonly owner: string; readonly after?: string; readonly limit: number }): Page<StoredRecord> => {
  const limit = clampLimit(options.limit);
  const prefix = ownerPrefix(realm, options.owner);
  const from = keyOfCursor(options.after, prefix);
  const found: { readonly key: Buffer; readonly item: StoredRecord }[] = [];
  for (const bytes of environment.index.getKeys({ start: from ?? prefix, exclusiveStart: from !== undefined, end: after(prefix) })) {
    const { key } = indexRow(environment, prefix, bytes);
    if (key.kind !== options.kind) continue;
    found.push({ key: bytes, item: recordAt(environment, realm, key) });
    if (found.length > limit) break;
  }
  return page(found, limit);
};

const recordAt = (environment: Environment, realm: string, key: RecordKey): StoredRecord => {
  const held = heldAt(environment, realm, key);
  if (held === undefined) throw new StoreUnavailable('the time index names a record that is not there; restore the store from a backup');
  return held.record;
};

export const eventsAfter = (environment: Environment, realm: string, options: { readonly after: number; readonly limit: number; readonly about?: RecordKey }): StoredEvent[] => {
  const limit = clampLimit(options.limit);
  const first = Math.max(0, Math.floor(options.after)) + 1;
  // No event can stand there.
  if (!(first <= SEQUENCE_MAX)) return [];
  const events = realmPrefix(realm);
  if (options.about === undefined) {
    const range = { start: sequenceKeyBytes(events, first), end: after(events), limit };
    return [...environment.events.getRange(range)].map(({ value }) => parseEvent(value));
  }
  const history = historyPrefix(realm, options.about);
  const sequences = [...environment.history.getKeys({ start: sequenceKeyBytes(history, first), end: after(history), limit })].map(sequenceOfKey);
  return sequences.map((sequence) => {
    const bytes = environment.events.getBinary(sequenceKeyBytes(events, sequence));
    if (bytes === undefined) throw new StoreUnavailable('the history names an event that is not there; restore the store from a backup');
    return parseEvent(bytes);
  });
};
