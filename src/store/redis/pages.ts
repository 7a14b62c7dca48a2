/** Reads for people and programs that list: pages of records, and events in order. */
import { parseEvent } from '../event.ts';
import { CursorInvalid, StoreUnavailable, type RecordKey, type StoredEvent } from '../port.ts';
import type { Connection } from './connection.ts';
import { historyPrefix, kindField, NUMBER_DIGITS, numberText, ownerPrefix, realmKeys } from './keys.ts';
import { eventBytesOf, type StreamEntry } from './stored-event.ts';

const LIMIT_MAX = 1_000;
const CURSOR_BYTES_MAX = 4_096;

const clampLimit = (limit: number): number => (limit >= 1 ? Math.min(Math.floor(limit), LIMIT_MAX) : 1);

interface Listing {
  readonly connection: Connection;
  readonly timeoutMs: number;
  readonly realm: string;
  readonly kind: string;
  readonly after: string | undefined;
  readonly limit: number;
}

export interface FieldPage {
  readonly fields: readonly string[];
  readonly next?: string;
}

/** The cursor is the last member given out; one that another listing made is refused. */
const memberOfCursor = (cursor: string | undefined, prefix: string): string | undefined => {
  if (cursor === undefined) return undefined;
  const bytes = Buffer.from(cursor, 'base64url');
  const member = bytes.toString('utf8');
  if (bytes.length > CURSOR_BYTES_MAX || !member.startsWith(prefix) || Buffer.from(member, 'utf8').toString('base64url') !== cursor) {
    throw new CursorInvalid('this cursor does not belong to this listing');
  }
  return member;
};

const cursorOf = (member: string): string => Buffer.from(member, 'utf8').toString('base64url');

const members = async ({ connection, timeoutMs }: Listing, key: string, from: string, to: string, limit: number): Promise<readonly string[]> => {
  const found = await connection.command(timeoutMs, 'ZRANGEBYLEX', key, from, to, 'LIMIT', 0, limit);
  return (found as readonly Buffer[]).map((member) => member.toString('utf8'));
};

const page = (found: readonly { readonly member: string; readonly field: string }[], limit: number): FieldPage => {
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  return { fields: shown.map(({ field }) => field), ...(found.length > limit && last !== undefined ? { next: cursorOf(last.member) } : {}) };
};

/** Fields of a kind's records in order. */
export const fieldsOfKind = async (listing: Listing): Promise<FieldPage> => {
  const limit = clampLimit(listing.limit);
  const prefix = kindField(listing.kind);
  const from = memberOfCursor(listing.after, prefix);
  // One more than is shown, to know whether there is a next page. `0` follows `/`, in which the prefix ends.
  const found = await members(listing, realmKeys(listing.realm).kinds, from === undefined ? `[${prefix}` : `(${from}`, `(${prefix.slice(0, -1)}0`, limit + 1);
  return page(found.map((member) => ({ member, field: member })), limit);
};

/** Fields of one owner's rows of one kind, by end. */
export const rowsOfOwner = async (listing: Listing & { readonly owner: string }): Promise<FieldPage> => {
  const limit = clampLimit(listing.limit);
  const prefix = ownerPrefix(listing.owner);
  const kind = kindField(listing.kind);
  const found: { readonly member: string; readonly field: string }[] = [];
  let from = memberOfCursor(listing.after, prefix);
  for (;;) {
    const rows = await members(listing, realmKeys(listing.realm).index, from === undefined ? `[${prefix}` : `(${from}`, `(${prefix}:`, LIMIT_MAX);
    for (const member of rows) {
      const field = member.slice(prefix.length + NUMBER_DIGITS);
      if (field.startsWith(kind)) found.push({ member, field });
    }
    from = rows.at(-1);
    if (found.length > limit || rows.length < LIMIT_MAX || from === undefined) return page(found, limit);
  }
};

interface EventsQuery {
  readonly connection: Connection;
  readonly timeoutMs: number;
  readonly realm: string;
  readonly epoch: string;
  readonly after: number;
  readonly limit: number;
  readonly about?: RecordKey;
}

const eventOf = (entry: StreamEntry | undefined): StoredEvent => parseEvent(eventBytesOf(entry));

export const eventsAfter = async ({ connection, timeoutMs, realm, epoch, after, limit, about }: EventsQuery): Promise<readonly StoredEvent[]> => {
  const { state, events, history } = realmKeys(realm);
  const most = clampLimit(limit);
  const first = Math.max(0, Math.floor(after)) + 1;
  const range = (from: string, to: string, count: number) => connection.command(timeoutMs, 'XRANGE', events, from, to, 'COUNT', count) as Promise<readonly StreamEntry[]>;
  let found: Promise<readonly StoredEvent[]>;
  if (about === undefined) found = range(`${first}-0`, '+', most).then((entries) => entries.map(eventOf));
  else {
    const prefix = historyPrefix(about);
    const rows = (await connection.command(timeoutMs, 'ZRANGEBYLEX', history, `[${prefix}${numberText(first)}`, `(${prefix}:`, 'LIMIT', 0, most)) as readonly Buffer[];
    const ids = rows.map((row) => `${Number(row.toString('utf8').slice(prefix.length))}-0`);
    found = Promise.all(ids.map(async (id) => eventOf((await range(id, id, 1))[0])));
  }
  // After them on the same connection: a server that was emptied or replaced in between has another epoch, or none.
  const [listed, now] = await Promise.all([found, connection.command(timeoutMs, 'HGET', state, 'epoch')]);
  if (((now as string | Buffer | null) ?? '').toString() !== epoch && (now !== null || listed.length > 0)) throw new StoreUnavailable('the store was emptied or replaced under the running program');
  return listed;
};
