/**
 * Bytes of a record: a fixed head, then JSON `[id, value, [kind, id, ...] of the refs, [owner, end] | null]`. The version is in the
 * head, so that a reader that has the record in memory sees without parsing that it is unchanged. The checksum covers realm, kind, id and all the bytes: a damaged
 * record, or one that stands under another's key, is refused. It protects against accidents, not against someone who may write the file. A `version`
 * inside the value is the domain's: its readers answer `undefined` for one they don't know, and the caller denies.
 */
import { crc32 } from 'node:zlib';
import type { Instant } from '../../domain/instant.ts';
import { canonicalJson, isJsonObject, type JsonValue } from '../../domain/json.ts';
import { StoreUnavailable, type RecordKey, type Stamp, type StoredRecord } from '../port.ts';

/** A record with what only the store needs to know. */
export interface HeldRecord {
  readonly record: StoredRecord;
  readonly refs: readonly RecordKey[];
  readonly index?: { readonly owner: string; readonly end: Instant };
}

const FORMAT = 1;
/** checksum 0, format 4, version 8, instant 16, created 24 and 32, marked 40 and 48 (sequence 0 = never). */
const HEAD_BYTES = 56;
const FORMAT_AT = 4;
const MODIFIED_AT = 8;
const CREATED_AT = 24;
const MARKED_AT = 40;

/** `seed` is the checksum of the key's prefix; the id is in the bytes. */
const checksum = (seed: number, bytes: Buffer): number => crc32(bytes.subarray(FORMAT_AT), seed);

/** What the checksums of a kind's records in a realm begin with: a record moved to another kind or realm doesn't match. */
export const checksumSeed = (prefix: Uint8Array): number => crc32(prefix);

/** Throws a `TypeError` for a value that isn't JSON. */
export const encodeRecord = (prefix: Buffer, held: HeldRecord): Buffer => {
  const { record, refs, index } = held;
  const body = canonicalJson([
    record.key.id,
    record.value,
    refs.flatMap((ref) => [ref.kind, ref.id]),
    index === undefined ? null : [index.owner, index.end],
  ]);
  const bytes = Buffer.alloc(HEAD_BYTES + Buffer.byteLength(body, 'utf8'));
  bytes.writeUInt32LE(FORMAT, FORMAT_AT);
  writeStamp(bytes, record.modified, MODIFIED_AT);
  writeStamp(bytes, record.created, CREATED_AT);
  writeStamp(bytes, record.marked ?? { sequence: 0, at: 0 as Instant }, MARKED_AT);
  bytes.write(body, HEAD_BYTES, 'utf8');
  bytes.writeUInt32LE(checksum(checksumSeed(prefix), bytes), 0);
  return bytes;
};

const writeStamp = (bytes: Buffer, stamp: Stamp, offset: number): void => {
  bytes.writeDoubleLE(stamp.sequence, offset);
  bytes.writeDoubleLE(stamp.at, offset + 8);
};

export const versionOf = (bytes: Buffer): number => bytes.readDoubleLE(MODIFIED_AT);

const damaged = (kind: string, cause?: unknown): StoreUnavailable =>
  new StoreUnavailable(`a record of kind ${kind} is damaged or not of a known format; restore the store from a backup`, { cause });

const pairs = (texts: readonly string[]): RecordKey[] => {
  const keys: RecordKey[] = [];
  for (let at = 0; at + 1 < texts.length; at += 2) keys.push({ kind: texts[at] as string, id: texts[at + 1] as string });
  return keys;
};

const stampAt = (bytes: Buffer, offset: number): Stamp => ({
  sequence: bytes.readDoubleLE(offset),
  at: bytes.readDoubleLE(offset + 8) as Instant,
});

/** Throws `StoreUnavailable` when the bytes aren't exactly what was written under this key (and for this id, where it is known). */
export const decodeRecord = (kind: string, id: string | undefined, seed: number, bytes: Buffer): HeldRecord => {
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE(FORMAT_AT) !== FORMAT) throw damaged(kind);
  if (bytes.readUInt32LE(0) !== checksum(seed, bytes)) throw damaged(kind);
  let body: readonly [string, JsonValue, readonly string[], readonly [string, Instant] | null];
  try {
    body = JSON.parse(bytes.toString('utf8', HEAD_BYTES)) as typeof body;
  } catch (cause) {
    throw damaged(kind, cause);
  }
  const [storedId, value, refs, index] = body;
  if ((id !== undefined && storedId !== id) || !isJsonObject(value)) throw damaged(kind);
  const marked = stampAt(bytes, MARKED_AT);
  const record: StoredRecord = {
    key: { kind, id: storedId },
    created: stampAt(bytes, CREATED_AT),
    modified: stampAt(bytes, MODIFIED_AT),
    value,
    ...(marked.sequence > 0 ? { marked } : {}),
  };
  const held = { record, refs: pairs(refs) };
  return index === null ? held : { ...held, index: { owner: index[0], end: index[1] } };
};
