/**
 * Keys of the embedded store. Every key is injective in its parts: a text is written with a tag and, unless it is last, its
 * length, so that no text can look like two. Texts that are long or hold surrogates (which UTF-8 can't keep apart when they
 * stand alone) are replaced by their SHA-256 under a tag of its own. LMDB's limit here is 1,978 bytes; the longest key made
 * here is below 1,850.
 */
import { createHash } from 'node:crypto';
import { isPlainText, REALM_UNITS_MAX, textPart } from '../key-text.ts';
import type { RecordKey } from '../port.ts';

const PLAIN_UNITS_MAX = 256;
const PLAIN = 0;
const HASHED = 1;
/** The store's own kinds: the rows of one owner (`owner-rows.ts`), shapes of records (`packed-record.ts`). No kind of a caller begins with a capital. */
export const ROWS_KIND = 'Rows';
export const SHAPES_KIND = 'Shapes';
const KIND = /^[a-z][a-z0-9-]{0,31}$/;
const PREFIXES_MAX = 1_000;

const digest = (text: string): Buffer => createHash('sha256').update(text, 'utf16le').digest();

const isPlain = isPlainText;
const part = textPart;

/** A text at the end of a key: without its length, so that keys sort as their texts do. */
const lastPart = (text: string): Buffer =>
  isPlain(text, PLAIN_UNITS_MAX) ? Buffer.from(`\0${text}`, 'utf8') : Buffer.concat([Buffer.from([HASHED]), digest(text)]);

export const SEQUENCE_MAX = 2 ** 48 - 1;

/** 48 bits hold every instant up to the year 9999 and more sequences than there will be. */
const number48 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(6);
  bytes.writeUIntBE(value, 0, 6);
  return bytes;
};

const prefixes = new Map<string, Buffer>();

/** Begins the key of every record of one kind. */
export const kindPrefix = (realm: string, kind: string): Buffer => {
  const name = `${kind}/${realm}`;
  const known = prefixes.get(name);
  if (known !== undefined) return known;
  if (!KIND.test(kind) && kind !== ROWS_KIND && kind !== SHAPES_KIND) throw new TypeError(`store: "${kind.slice(0, 40)}" is not a kind of record`);
  const prefix = Buffer.concat([part(realm, REALM_UNITS_MAX), Buffer.from([kind.length]), Buffer.from(kind, 'latin1')]);
  if (prefixes.size >= PREFIXES_MAX) prefixes.clear();
  prefixes.set(name, prefix);
  return prefix;
};

/** A record's key before it is bytes. */
export interface PrefixedId {
  /** `kindPrefix` of the record's realm and kind. */
  readonly prefix: Buffer;
  readonly id: string;
}

/** Begins the keys of all ids that begin with `group` and stand in their keys as they are. */
export const groupPrefix = (prefix: Buffer, group: string): Buffer => Buffer.concat([prefix, Buffer.from([PLAIN]), Buffer.from(group, 'utf8')]);

/** The id in a key that begins with `groupPrefix(prefix, '')`. */
export const idOfPlainKey = (prefix: Buffer, key: Buffer): string => key.toString('utf8', prefix.length + 1);

export const keyBytes = ({ prefix, id }: PrefixedId): Buffer => Buffer.concat([prefix, lastPart(id)]);

/** Writes a key where LMDB looks for it: for a decision's many lookups, without a buffer for each. Returns where it ends. */
export const writeKey = (key: Uint8Array | PrefixedId, target: Buffer, start: number): number => {
  if (key instanceof Uint8Array) {
    target.set(key, start);
    return start + key.length;
  }
  const { prefix, id } = key;
  target.set(prefix, start);
  const at = start + prefix.length;
  // The tag is part of the text, as in `lastPart`.
  if (isPlain(id, PLAIN_UNITS_MAX)) return at + target.write(`\0${id}`, at, 'utf8');
  const last = lastPart(id);
  target.set(last, at);
  return at + last.length;
};

export const readKey = (target: Buffer, start: number, end: number): Buffer => Buffer.from(target.subarray(start, end));

/** Begins the time index's keys of one owner. */
export const ownerPrefix = (realm: string, owner: string): Buffer => Buffer.concat([part(realm, REALM_UNITS_MAX), part(owner)]);

export const indexKeyBytes = (owner: Buffer, end: number, key: RecordKey): Buffer =>
  Buffer.concat([owner, number48(end), Buffer.from([key.kind.length]), Buffer.from(key.kind, 'latin1'), lastPart(key.id)]);

/** Where rows of the owner that end at `end` begin. */
export const indexBound = (owner: Buffer, end: number): Buffer => Buffer.concat([owner, number48(end)]);

/** Takes the part of an index key that follows the owner apart; `id` is absent where the key holds a digest. */
export const parseIndexKey = (owner: Buffer, bytes: Buffer): { readonly end: number; readonly kind: string; readonly id?: string } => {
  const kindAt = owner.length + 6;
  const idAt = kindAt + 1 + (bytes[kindAt] as number);
  const row = { end: bytes.readUIntBE(owner.length, 6), kind: bytes.toString('latin1', kindAt + 1, idAt) };
  return bytes[idAt] === PLAIN ? { ...row, id: bytes.toString('utf8', idAt + 1) } : row;
};

/** Does a key hold a digest in place of this id? `before`: ASCII that the id begins with, before `rest`. */
export const isHashed = (rest: string, before = ''): boolean => !isPlain(rest, PLAIN_UNITS_MAX - before.length);

export const realmPrefix = (realm: string): Buffer => part(realm, REALM_UNITS_MAX);

export const sequenceKeyBytes = (prefix: Buffer, sequence: number): Buffer => Buffer.concat([prefix, number48(sequence)]);

/** Begins the history of one record. */
export const historyPrefix = (realm: string, about: RecordKey): Buffer => Buffer.concat([kindPrefix(realm, about.kind), part(about.id)]);

export const sequenceOfKey = (bytes: Buffer): number => bytes.readUIntBE(bytes.length - 6, 6);

/** The first key after every key that begins with `prefix`. */
export const after = (prefix: Buffer): Buffer => {
  const next = Buffer.from(prefix);
  for (let index = next.length - 1; index >= 0; index -= 1) {
    const byte = next[index] as number;
    if (byte < 0xff) {
      next[index] = byte + 1;
      return next.subarray(0, index + 1);
    }
  }
  return Buffer.alloc(64, 0xff);
};

export const startsWith = (bytes: Buffer, prefix: Buffer): boolean =>
  bytes.length >= prefix.length && prefix.equals(bytes.subarray(0, prefix.length));
