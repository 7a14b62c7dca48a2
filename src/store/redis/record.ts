/**
 * A record as the scripts know it: a head that they keep (stamps, counter, place in the index, refs) and a body that only this
 * module reads. A record that stands under another's field, or is not of a known form, is refused.
 *
 * The body is JSON `[id, value without its counter]`, sealed; or, in a store whose records are short, a letter and the short text
 * (`short-text.ts`) of that, or of the value alone where the field holds the id. The counter stands in the head, because scripts count; it and the
 * stamps are not under the seal: whoever may write to the server can undo anything anyway.
 */
import type { Instant } from '../../domain/instant.ts';
import { canonicalJson, isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { StoreUnavailable, type Put, type RecordKey, type StoredRecord } from '../port.ts';
import { numberText, ownerPrefix, plainId, recordField } from './keys.ts';
import { packNames } from './packed-names.ts';
import { expand, shorten } from './short-text.ts';
import type { Seal } from './seal.ts';

/** Versions of the head; the scripts refuse others. The second one is for stores whose records are short. */
export const PLAIN_FORMAT = 1;
export const SHORT_FORMAT = 2;
/** Far beyond any record that the domain's own limits let through. */
const BODY_BYTES_MAX = 1_000_000;
/** In place of a counter. */
export const NO_COUNT = '';

const isCount = (value: JsonValue | undefined): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

/** A short body of a value, and of an id with its value. Others begin with what JSON begins with. */
const VALUE = 'v';
const ID_AND_VALUE = 'i';

/** How the records of a store are written. */
export interface Writing {
  readonly seal: Seal;
  /** `Meta.short` */
  readonly short: boolean;
}

/** Body and counter of a value. Throws a `TypeError` for what isn't JSON. */
export const encodeBody = ({ seal, short }: Writing, realm: string, key: RecordKey, value: JsonObject): { readonly body: string; readonly count: string } => {
  const { count, ...rest } = value;
  const counted = isCount(count);
  const uncounted = counted ? rest : value;
  const field = recordField(key);
  const alone = short && plainId(field) !== undefined;
  const text = canonicalJson(alone ? uncounted : [key.id, uncounted]);
  if (Buffer.byteLength(text, 'utf8') > BODY_BYTES_MAX) throw new TypeError(`store: a ${key.kind} record of ${text.length} characters`);
  return { body: seal.close(`record ${realm}`, field, short ? `${alone ? VALUE : ID_AND_VALUE}${shorten(text)}` : text), count: counted ? String(count) : NO_COUNT };
};

export interface PutArguments {
  readonly field: string;
  readonly body: string;
  readonly count: string;
  /** In the time index; '' = none. */
  readonly row: string;
  /** Its owner as packed by the body; '' = the row is kept as it is. */
  readonly owner: string;
  /** Their number and the fields; -1 = as they are; -2 and the packed names. */
  readonly refs: readonly (string | number)[];
}

/** A put as the scripts take it. Throws like `encodeBody`. */
export const putArguments = (writing: Writing, realm: string, { key, value, index, refs }: Put): PutArguments => {
  const field = recordField(key);
  const { body, count } = encodeBody(writing, realm, key, value);
  const names = refs?.map(recordField);
  const packed = writing.short && names !== undefined ? packNames(names, body) : undefined;
  const prefix = index === undefined ? undefined : ownerPrefix(index.owner);
  // Only an owner whose prefix can be written from it again.
  const owner = writing.short && index !== undefined && prefix?.endsWith(`:.${index.owner}`) === true ? packNames([index.owner], body) : undefined;
  return {
    field, body, count, owner: owner ?? '',
    row: index === undefined ? '' : `${prefix}${numberText(index.end)}${field}`,
    refs: names === undefined ? [-1] : packed === undefined ? [names.length, ...names] : [-2, packed],
  };
};

/** Id and value of an opened body. Throws for what is neither. */
const parsedBody = (field: string, text: string): readonly [id: JsonValue | undefined, value: JsonValue | undefined] => {
  if (text[0] === VALUE) return [plainId(field), JSON.parse(expand(text.slice(1))) as JsonValue];
  return JSON.parse(text[0] === ID_AND_VALUE ? expand(text.slice(1)) : text) as readonly [JsonValue, JsonValue];
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
    [id, value] = parsedBody(field, text);
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
