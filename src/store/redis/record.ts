/**
 * A record as the scripts know it: a head that they keep (stamps, counter, place in the index, refs) and a body that only this
 * module reads. A record that stands under another's field, or is not of a known form, is refused.
 *
 * The body is JSON `[id, value without its counter]`, sealed. The counter stands in the head, because scripts count; it and the
 * stamps are not under the seal: whoever may write to the server can undo anything anyway.
 */
import type { Instant } from '../../domain/instant.ts';
import { canonicalJson, isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { StoreUnavailable, type RecordKey, type StoredRecord } from '../port.ts';
import { recordField } from './keys.ts';
import type { Seal } from './seal.ts';

/** Version of the head; the commit script writes it, the facts script refuses others. */
export const RECORD_FORMAT = 1;
/** Far beyond any record that the domain's own limits let through. */
const BODY_BYTES_MAX = 1_000_000;
/** In place of a counter. */
export const NO_COUNT = '';

const isCount = (value: JsonValue | undefined): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

/** Body and counter of a value. Throws a `TypeError` for what isn't JSON. */
export const encodeBody = (seal: Seal, realm: string, key: RecordKey, value: JsonObject): { readonly body: string; readonly count: string } => {
  const { count, ...rest } = value;
  const counted = isCount(count);
  const text = canonicalJson([key.id, counted ? rest : value]);
  if (Buffer.byteLength(text, 'utf8') > BODY_BYTES_MAX) throw new TypeError(`store: a ${key.kind} record of ${text.length} characters`);
  return { body: seal.close(`record ${realm}`, recordField(key), text), count: counted ? String(count) : NO_COUNT };
};

/** Field, six numbers of stamps (created, modified, marked; 0 = never), counter (-1 = none), body. */
export type RecordReply = readonly [field: Buffer, createdSequence: number, createdAt: number, sequence: number, at: number, markedSequence: number, markedAt: number, count: number, body: Buffer];

const damaged = (kind: string, cause?: unknown): StoreUnavailable =>
  new StoreUnavailable(`a record of kind ${kind} is damaged, forged or not of a known format; restore the store from a backup`, { cause });

export const decodeRecord = (seal: Seal, realm: string, reply: RecordReply): StoredRecord => {
  const [fieldBytes, createdSequence, createdAt, sequence, at, markedSequence, markedAt, count, body] = reply;
  const field = fieldBytes.toString('utf8');
  const kind = field.slice(0, field.indexOf('/'));
  const text = seal.open(`record ${realm}`, field, body.toString('utf8'));
  if (text === undefined) throw damaged(kind);
  let id: JsonValue | undefined;
  let value: JsonValue | undefined;
  try {
    [id, value] = JSON.parse(text) as readonly JsonValue[];
  } catch (cause) {
    throw damaged(kind, cause);
  }
  if (typeof id !== 'string' || !isJsonObject(value) || recordField({ kind, id }) !== field) throw damaged(kind);
  return {
    key: { kind, id },
    created: { sequence: createdSequence, at: createdAt as Instant },
    modified: { sequence, at: at as Instant },
    value: count < 0 ? value : { ...value, count },
    ...(markedSequence > 0 ? { marked: { sequence: markedSequence, at: markedAt as Instant } } : {}),
  };
};
