/**
 * What was done under which idempotency key. An entry counts until `keepMs` after its commit; those that ended are dropped a few
 * at a time by later commits, so that the table stays as small as its keys are short-lived.
 */
import type { Instant } from '../../domain/instant.ts';
import type { JsonValue } from '../../domain/json.ts';
import { StoreUnavailable, type Commit, type CommitOutcome, type Stamp } from '../port.ts';
import { bytesAt, type Environment } from './environment.ts';
import { sequenceKeyBytes } from './keys.ts';
import { idempotencyHash } from '../key-text.ts';

type Idempotency = NonNullable<Commit['idempotency']>;

export interface Remembered {
  /** Absent in entries that earlier versions wrote. */
  readonly realm?: string;
  readonly digest: string;
  readonly sequence: number;
  readonly at: Instant;
  readonly reply: JsonValue;
  readonly until: number;
}

/** Entries stand under `K` + hash of scope and key, their ends under `E` + end + that hash. */
export const ENTRY = Buffer.from('K');
const END = Buffer.from('E');
const DROPPED_AT_ONCE = 4;

export const entryKey = (hash: Buffer): Buffer => Buffer.concat([ENTRY, hash]);
export const endKey = (until: number, hash: Buffer): Buffer => Buffer.concat([sequenceKeyBytes(END, until), hash]);

export const parseRemembered = (bytes: Buffer): Remembered => {
  try {
    return JSON.parse(bytes.toString('utf8')) as Remembered;
  } catch (cause) {
    throw new StoreUnavailable('an idempotency record is damaged; restore the store from a backup', { cause });
  }
};

export const readIdempotent = (environment: Environment, realm: string, asked: Idempotency, epoch: string, now: Instant): CommitOutcome | undefined => {
  const bytes = bytesAt(environment.idempotency, entryKey(idempotencyHash(realm, asked.scope, asked.key)));
  if (bytes === undefined) return undefined;
  const entry = parseRemembered(bytes);
  if (!(now < entry.until)) return undefined;
  if (entry.digest !== asked.digest) return { outcome: 'key-reused' };
  return { outcome: 'replayed', position: { epoch, sequence: entry.sequence }, at: entry.at, reply: entry.reply };
};

export const writeIdempotent = (environment: Environment, realm: string, asked: Idempotency, stamp: Stamp, now: Instant): void => {
  const table = environment.idempotency;
  const ended = [...table.getKeys({ start: END, end: sequenceKeyBytes(END, now), limit: DROPPED_AT_ONCE })];
  for (const key of ended) {
    table.removeSync(key);
    const entry = entryKey(key.subarray(END.length + 6));
    const bytes = bytesAt(table, entry);
    // A key used again after its end has a later entry under the same hash.
    if (bytes !== undefined && !(now < parseRemembered(bytes).until)) table.removeSync(entry);
  }
  const hash = idempotencyHash(realm, asked.scope, asked.key);
  const entry: Remembered = { realm, digest: asked.digest, ...stamp, reply: asked.reply, until: now + asked.keepMs };
  table.putSync(entryKey(hash), Buffer.from(JSON.stringify(entry), 'utf8'));
  table.putSync(endKey(entry.until, hash), Buffer.from([1]));
};
