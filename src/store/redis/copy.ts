/** A Redis store as the source of copies. */
import { randomBytes } from 'node:crypto';
import type { Instant } from '../../domain/instant.ts';
import type { JsonValue } from '../../domain/json.ts';
import { eventEntry, parseKeyText, type CopiedRecord, type CopySource, type Entry, type RealmEnd } from '../copy/entries.ts';
import { NO_ENDINGS } from '../event.ts';
import { untilOver } from '../leases.ts';
import { StoreUnavailable, type RecordKey, type StoredRecord } from '../port.ts';
import { PLAIN, unreadyFault } from '../provenance.ts';
import { readClockMark } from './clock-mark.ts';
import { scriptOf, type Connection, type Script } from './connection.ts';
import { holdersOf } from './holders.ts';
import { NUMBER_DIGITS, ownerPrefix, plainId, realmKeys, recordField } from './keys.ts';
import { readMeta, writeProvenance } from './marks.ts';
import { eventBytesOf, type StreamEntry } from './stored-event.ts';
import { decodeRecord } from './record.ts';
import { copyBeginLua, copyPageLua, copyReplaysLua, copyRestLua, placeLua } from './scripts/copy.ts';
import { LIMITS_PREFIX } from './scripts/limits.ts';
import type { Seal } from './seal.ts';

const [BEGIN_SCRIPT, PAGE_SCRIPT, REST_SCRIPT, REPLAYS_SCRIPT, PLACE_SCRIPT] = [scriptOf(copyBeginLua), scriptOf(copyPageLua), scriptOf(copyRestLua), scriptOf(copyReplaysLua), scriptOf(placeLua)];
const PAGE = 200;
const REST = 500;
const MOVED = 'moved:';

export interface CopyParts {
  readonly connection: Connection;
  readonly timeoutMs: number;
  readonly seal: Seal;
  /** That must have what was written before it counts. */
  readonly replicas: number;
  /** Owner and refs of a record whose names the server keeps as digests only; `undefined` when nobody knows. */
  readonly places: (record: StoredRecord) => { readonly owner: string; readonly refs: readonly RecordKey[] } | undefined;
  close(): void;
}

export const text = (value: unknown): string => (Buffer.isBuffer(value) ? value.toString('utf8') : String(value));

const keyOf = (field: string): RecordKey | undefined => {
  const id = plainId(field);
  return id === undefined ? undefined : { kind: parseKeyText(field).kind, id };
};

export const openRedisSource = async ({ connection, timeoutMs, seal, places, close }: CopyParts): Promise<CopySource> => {
  const meta = await readMeta(connection, timeoutMs);
  if (meta === undefined) throw new StoreUnavailable('there is no store in this database');
  const fault = unreadyFault(meta.provenance);
  if (fault !== undefined) throw fault;
  const { epoch, mode } = meta;
  const clockMark = await readClockMark(connection, timeoutMs);

  /** The epoch that the realm's state names now; '' where the realm never was. */
  const epochOf = async (realm: string): Promise<string> => {
    const found = await connection.command(timeoutMs, 'HGET', realmKeys(realm).state, 'epoch');
    return found === null ? '' : text(found);
  };
  const run = async (script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<readonly unknown[]> => {
    const answer = await connection.script(timeoutMs, script, keys, args);
    if (text(answer[0]) === 'epoch') throw new StoreUnavailable('the realm was replaced while it was copied');
    if (text(answer[0]) === 'ended') throw new StoreUnavailable('another copy of this realm was begun, or this one stood still too long: begin again');
    if (text(answer[0]) === 'older') throw new StoreUnavailable('a node of an older version committed meanwhile, of which copies know nothing: upgrade every node, then begin again');
    return answer;
  };

  /** From what the commit script packed. */
  const recordOf = (realm: string, field: string, packed: readonly unknown[]): CopiedRecord => {
    const [, createdSequence, createdAt, sequence, at, markedSequence, markedAt, count, body, refs, row] = packed as readonly [number, number, number, number, number, number, number, number, Buffer, readonly Buffer[], Buffer];
    const record = decodeRecord(seal, realm, [Buffer.from(field, 'utf8'), createdSequence, createdAt, sequence, at, markedSequence, markedAt, Number(count), body]);
    const names = refs.map((ref) => text(ref));
    const plain = names.map(keyOf);
    const rowText = text(row);
    const end = Number(rowText.slice(rowText.length - field.length - NUMBER_DIGITS, rowText.length - field.length)) as Instant;
    const ownerText = rowText.slice(0, rowText.length - field.length - NUMBER_DIGITS);
    const known = plain.includes(undefined) || (ownerText !== '' && !/^\d+:\./.test(ownerText)) ? places(record) : undefined;
    const owner = ownerText === '' ? undefined : /^\d+:\.(.*)$/s.exec(ownerText)?.[1] ?? known?.owner;
    const all = plain.every((ref) => ref !== undefined) ? plain : (known?.refs ?? []);
    if (all.length !== names.length || !all.every((ref, index) => recordField(ref) === names[index]) || (ownerText !== '' && (owner === undefined || ownerPrefix(owner) !== ownerText))) {
      throw new StoreUnavailable(`a record of kind ${record.key.kind} refers to names that are too long to be copied`);
    }
    return { ...record, refs: all, ...(owner === undefined ? {} : { index: { owner, end } }) };
  };
  const entriesOf = (realm: string, fields: readonly string[], found: readonly unknown[]): readonly Entry[] =>
    fields.map((field, index): Entry => {
      const packed = found[index];
      if (Array.isArray(packed)) return { what: 'record', record: recordOf(realm, field, packed) };
      const key = keyOf(field);
      if (key === undefined) throw new StoreUnavailable('a record with a name that is too long was dropped during the copy: begin again');
      return { what: 'dropped', key };
    });
  const endOf = (fields: readonly unknown[]): RealmEnd => {
    const [sequence, at, endings, hash] = fields.map(text) as [string, string, string, string];
    return { sequence: Number(sequence), at: Number(at) as Instant, endings: { sequence: Number(endings), hash } };
  };
  const eventsUpTo = async function* (realm: string, from: number, last: number): AsyncGenerator<readonly Entry[]> {
    for (let after = from; after < last; ) {
      const entries = (await connection.command(timeoutMs, 'XRANGE', realmKeys(realm).events, `${after + 1}-0`, `${last}-0`, 'COUNT', PAGE)) as readonly StreamEntry[];
      if (entries.length === 0) throw new StoreUnavailable('the log of the realm has a gap: restore the store from a backup');
      yield entries.map((entry) => eventEntry(eventBytesOf(entry)));
      after += entries.length;
    }
  };

  return {
    head: { epoch, mode, succeeds: meta.provenance.succeeds, ...(clockMark === undefined ? {} : { clockMark }) },
    copy: async function* (realm) {
      const { state, records, kinds, copying, copied, replays, replayEnds } = realmKeys(realm);
      const current = await epochOf(realm);
      if (current === '') return { sequence: 0, at: 0 as Instant, endings: NO_ENDINGS };
      const token = randomBytes(12).toString('base64url');
      await run(BEGIN_SCRIPT, [state, copying, copied], [current, token]);
      const keys = [state, records, copying, copied];
      for (let from = '-'; ; ) {
        const fields = ((await connection.command(timeoutMs, 'ZRANGEBYLEX', kinds, from, '+', 'LIMIT', 0, PAGE)) as readonly Buffer[]).map(text);
        if (fields.length === 0) break;
        const [, found] = await run(PAGE_SCRIPT, keys, [current, token, ...fields]);
        // One that went in between was noted.
        yield entriesOf(realm, fields, found as readonly unknown[]).filter(({ what }) => what === 'record');
        from = `(${fields.at(-1)}`;
      }
      let end: RealmEnd | undefined;
      while (end === undefined) {
        const [what, fields, found, stood] = await run(REST_SCRIPT, keys, [current, token, REST]);
        yield entriesOf(realm, (fields as readonly Buffer[]).map(text), found as readonly unknown[]);
        if (text(what) === 'last') end = endOf(stood as readonly unknown[]);
      }
      yield* eventsUpTo(realm, 0, end.sequence);
      for (let offset = 0; ; offset += PAGE) {
        const fields = ((await connection.command(timeoutMs, 'ZRANGEBYSCORE', replayEnds, '-inf', '+inf', 'LIMIT', offset, PAGE)) as readonly Buffer[]).map(text);
        if (fields.length === 0) return end;
        const [, found] = await run(REPLAYS_SCRIPT, [state, replays], [current, ...fields]);
        const { sequence: last } = end;
        yield fields.flatMap((field, index): Entry[] => {
          const kept = (found as readonly unknown[])[index];
          if (!Array.isArray(kept)) return [];
          const [digest, sequence, at, until, sealed] = kept as readonly unknown[];
          // Done after the instant of the copy: not in it.
          if (!(Number(sequence) <= last)) return [];
          const reply = seal.open(`reply ${realm}`, field, text(sealed));
          if (reply === undefined) throw new StoreUnavailable('an idempotency record is damaged or forged; restore the store from a backup');
          return [{ what: 'replay', replay: { hash: field, digest: text(digest), done: { sequence: Number(sequence), at: Number(at) as Instant }, until: Number(until), reply: JSON.parse(reply) as JsonValue } }];
        });
      }
    },
    events: async function* (realm, from) {
      const current = await epochOf(realm);
      if (current === '') return { sequence: 0, at: 0 as Instant, endings: NO_ENDINGS };
      const end = endOf((await connection.command(timeoutMs, 'HMGET', realmKeys(realm).state, 'sequence', 'at', 'endings', 'hash')) as readonly unknown[]);
      yield* eventsUpTo(realm, from, end.sequence);
      return end;
    },
    movedTo: (realm) => meta.provenance.moved[realm],
    retire: async (realm, to) => {
      const now = (await readMeta(connection, timeoutMs)) ?? { ...meta, provenance: PLAIN };
      await writeProvenance(connection, timeoutMs, { ...now, provenance: { ...now.provenance, moved: { ...now.provenance.moved, [realm]: to } } });
      // Every node that still runs is refused from here on.
      if ((await epochOf(realm)) === epoch) await run(PLACE_SCRIPT, [realmKeys(realm).state], [epoch, 'epoch', `${MOVED}${epoch}`]);
      // Except who answers from memory, until its lease is over; it gets no other. What was allowed until then may be in use, of which the other store knows nothing.
      const [rows, state] = (await Promise.all([connection.command(timeoutMs, 'HGETALL', realmKeys(realm).holders), connection.command(timeoutMs, 'HGETALL', realmKeys(realm).state)])) as readonly (readonly unknown[])[];
      const { all, longest } = holdersOf(0, rows, state?.map(String).filter((text) => text.startsWith(LIMITS_PREFIX)));
      const lastMs = Math.max(0, ...all.map(({ leaseMs }) => untilOver(leaseMs))) + (longest === undefined ? 0 : untilOver(longest.factsAgeMs + longest.pepCacheMs));
      await new Promise((resolve) => { setTimeout(resolve, lastMs); });
    },
    reinstate: async (realm) => {
      if ((await epochOf(realm)) === `${MOVED}${epoch}`) await run(PLACE_SCRIPT, [realmKeys(realm).state], [`${MOVED}${epoch}`, 'epoch', epoch]);
      const now = (await readMeta(connection, timeoutMs)) ?? { ...meta, provenance: PLAIN };
      await writeProvenance(connection, timeoutMs, { ...now, provenance: { ...now.provenance, moved: Object.fromEntries(Object.entries(now.provenance.moved).filter(([name]) => name !== realm)) } });
    },
    close: async () => close(),
  };
};
