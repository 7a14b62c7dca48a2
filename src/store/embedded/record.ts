/**
 * Bytes of a record: a fixed head, then JSON. The head begins with the version, so that a reader that has the record in memory
 * sees without parsing that it is unchanged. The checksum runs over key and bytes: a damaged record, or one that stands under
 * another's key, is refused. It protects against accidents, not against someone who may write the file.
 */
import { crc32 } from 'node:zlib';
import type { Instant } from '../../domain/instant.ts';
import { isJsonObject, type JsonValue } from '../../domain/json.ts';
import { recordKeyText, StoreUnavailable, type RecordKey, type Stamp, type StoredRecord } from '../port.ts';

/** A key with its text, made once. */
export interface NamedKey extends RecordKey {
  readonly text: string;
}

/** A record with what only the store needs to know. */
export interface HeldRecord {
  readonly record: StoredRecord;
  readonly refs: readonly NamedKey[];
  readonly index?: { readonly owner: string; readonly end: Instant };
}

const FORMAT = 1;
/** version 0, instant 8, created 16 and 24, marked 32 and 40 (sequence 0 = never), format 48, checksum 52. */
const HEAD_BYTES = 56;
const FORMAT_AT = 48;
const CHECKSUM_AT = 52;

const checksum = (key: Uint8Array, bytes: Buffer): number =>
  crc32(bytes.subarray(HEAD_BYTES), crc32(bytes.subarray(0, CHECKSUM_AT), crc32(key)));

const namedKey = (kind: string, id: string): NamedKey => ({ kind, id, text: recordKeyText({ kind, id }) });

export const encodeRecord = (keyBytes: Buffer, held: HeldRecord): Buffer => {
  const { record, refs, index } = held;
  const body = JSON.stringify([
    record.key.id,
    record.value,
    refs.map((ref) => [ref.kind, ref.id]),
    index === undefined ? null : [index.owner, index.end],
  ]);
  const bytes = Buffer.alloc(HEAD_BYTES + Buffer.byteLength(body, 'utf8'));
  bytes.writeDoubleLE(record.modified.sequence, 0);
  bytes.writeDoubleLE(record.modified.at, 8);
  bytes.writeDoubleLE(record.created.sequence, 16);
  bytes.writeDoubleLE(record.created.at, 24);
  bytes.writeDoubleLE(record.marked?.sequence ?? 0, 32);
  bytes.writeDoubleLE(record.marked?.at ?? 0, 40);
  bytes.writeUInt32LE(FORMAT, FORMAT_AT);
  bytes.write(body, HEAD_BYTES, 'utf8');
  bytes.writeUInt32LE(checksum(keyBytes, bytes), CHECKSUM_AT);
  return bytes;
};

export const versionOf = (bytes: Buffer): number => bytes.readDoubleLE(0);

const damaged = (kind: string, cause?: unknown): StoreUnavailable =>
  new StoreUnavailable(`a record of kind ${kind} is damaged or not of a known format; restore the store from a backup`, { cause });

const stampAt = (bytes: Buffer, offset: number): Stamp => ({
  sequence: bytes.readDoubleLE(offset),
  at: bytes.readDoubleLE(offset + 8) as Instant,
});

/** Throws `StoreUnavailable` when the bytes aren't exactly what was written under this key (and for this id, where it is known). */
export const decodeRecord = (kind: string, id: string | undefined, keyBytes: Uint8Array, bytes: Buffer): HeldRecord => {
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE(FORMAT_AT) !== FORMAT) throw damaged(kind);
  if (bytes.readUInt32LE(CHECKSUM_AT) !== checksum(keyBytes, bytes)) throw damaged(kind);
  let body: readonly [string, JsonValue, readonly (readonly [string, string])[], readonly [string, Instant] | null];
  try {
    body = JSON.parse(bytes.toString('utf8', HEAD_BYTES)) as typeof body;
  } catch (cause) {
    throw damaged(kind, cause);
  }
  const [storedId, value, refs, index] = body;
  if ((id !== undefined && storedId !== id) || !isJsonObject(value)) throw damaged(kind);
  const marked = stampAt(bytes, 32);
  const record: StoredRecord = {
    key: { kind, id: storedId },
    created: stampAt(bytes, 16),
    modified: stampAt(bytes, 0),
    value,
    ...(marked.sequence > 0 ? { marked } : {}),
  };
  const held = { record, refs: refs.map(([refKind, refId]) => namedKey(refKind, refId)) };
  return index === null ? held : { ...held, index: { owner: index[0], end: index[1] } };
};
