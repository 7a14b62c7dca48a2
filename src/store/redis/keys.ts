/**
 * Names of the Redis store. All keys of a realm share one hash tag, so that a realm is one slot of a cluster. A record is a field
 * of one hash, so every key that a script touches is declared. Texts are injective in what they name: realms and ids that are
 * long, or hold what UTF-8 or a hash tag can't keep apart, are replaced by their SHA-256 under a mark of its own.
 */
import { createHash } from 'node:crypto';
import { idempotencyHash } from '../key-text.ts';
import type { RecordKey } from '../port.ts';

const PLAIN_REALM = /^[A-Za-z0-9._-]{1,128}$/;
const KIND = /^[a-z][a-z0-9-]{0,31}$/;
const SURROGATE = /[\ud800-\udfff]/;
const PLAIN_UNITS_MAX = 256;
const MEMO_MAX = 1_000;

const digest = (text: string): string => createHash('sha256').update(text, 'utf16le').digest('hex');

/** Epoch, mode, format and realms of the whole store. */
export const META_KEY = 'cf:{}meta';
/** Who does the housekeeping of the fleet. */
export const TURN_PREFIX = 'cf:{}turn:';
/** The number of one process's newest lease; on a cluster there is one for each realm, in its slot. */
export const FENCE_PREFIX = 'cf:{}fence:';

const realmTag = (realm: string): string => (PLAIN_REALM.test(realm) ? realm : `~${digest(realm)}`);

/** On which commits of the realm say that they happened. */
export const realmChannel = (realm: string): string => `cf:{${realmTag(realm)}}:changed`;

/** On a cluster: the number of one process's newest lease of the realm's primary. */
export const realmFencePrefix = (realm: string): string => `cf:{${realmTag(realm)}}:fence:`;

/** The realm's name within `META_KEY`. */
export const realmField = (realm: string): string => `realm:${realmTag(realm)}`;

export interface RealmKeys {
  /** Epoch, position, instant, endings' mark. */
  readonly state: string;
  /** Record field -> head and body. */
  readonly records: string;
  /** Record fields in order. */
  readonly kinds: string;
  /** Owner, end, record field. */
  readonly index: string;
  /** Stream of the events' bytes by sequence. */
  readonly events: string;
  /** Stream of the endings: sequence and hash. */
  readonly endings: string;
  /** Record field, sequence. */
  readonly history: string;
  /** What was done under which idempotency key, and until when that counts. */
  readonly replays: string;
  readonly replayEnds: string;
  /** Stream of the last commits by sequence: the one before, and what each of them touched. Trimmed; a gap means: read anew. */
  readonly changes: string;
  /** Who may answer from memory: holder -> row. */
  readonly holders: string;
  /** Is there while the realm is copied: who copies. Commits then note the fields that they change in `copied`. */
  readonly copying: string;
  readonly copied: string;
}

const realms = new Map<string, RealmKeys>();

export const realmKeys = (realm: string): RealmKeys => {
  const known = realms.get(realm);
  if (known !== undefined) return known;
  const at = (name: string): string => `cf:{${realmTag(realm)}}:${name}`;
  const keys = {
    state: at('state'), records: at('records'), kinds: at('kinds'), index: at('index'), events: at('events'), endings: at('endings'),
    history: at('history'), replays: at('replays'), replayEnds: at('replay-ends'), changes: at('changes'), holders: at('holders'),
    copying: at('copying'), copied: at('copied'),
  };
  if (realms.size >= MEMO_MAX) realms.clear();
  realms.set(realm, keys);
  return keys;
};

const isPlain = (text: string): boolean => text.length <= PLAIN_UNITS_MAX && !SURROGATE.test(text);

/** `.` before a text as it is, `#` before a digest. */
const part = (text: string): string => (isPlain(text) ? `.${text}` : `#${digest(text)}`);

/** Begins the fields of all records of one kind. */
export const kindField = (kind: string): string => {
  if (!KIND.test(kind)) throw new TypeError(`store: "${kind.slice(0, 40)}" is not a kind of record`);
  return `${kind}/`;
};

export const recordField = ({ kind, id }: RecordKey): string => `${kindField(kind)}${part(id)}`;

/** The id in a field, unless the field holds its digest. */
export const plainId = (field: string): string | undefined => {
  const at = field.indexOf('/') + 1;
  return at > 0 && field[at] === '.' ? field.slice(at + 1) : undefined;
};

/** A text that something follows, with its length in bytes. */
const measured = (text: string): string => `${Buffer.byteLength(text, 'utf8')}:${text}`;

/** Begins the rows of one owner in the time index. */
export const ownerPrefix = (owner: string): string => measured(part(owner));

/** Begins the history of one record. */
export const historyPrefix = (about: RecordKey): string => measured(recordField(about));

/** Every instant and every sequence there will be, in an order that is that of their texts. Sorts before `:`. */
export const NUMBER_DIGITS = 15;
export const numberText = (value: number): string => String(value).padStart(NUMBER_DIGITS, '0');

export const idempotencyField = (realm: string, scope: string, key: string): string => idempotencyHash(realm, scope, key).toString('hex');
