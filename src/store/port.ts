/**
 * The store: one port of few operations, implemented by `embedded/` (LMDB) and later `redis/`, with one contract suite.
 * It knows records, versions, positions and events; it knows no domain rule. What it guarantees:
 *
 * - `commit` is atomic, and durable before its promise resolves with `committed`.
 * - Positions are gapless within a realm and epoch. Endings form a sequence of their own with a running hash.
 * - `facts` is one atomic read that sees every commit acknowledged, in any process, before it was called.
 * - A rejected promise or thrown `StoreUnavailable` means: unknown or not readable. Callers deny.
 */
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { DurationMs, Instant } from '../domain/instant.ts';
import type { Position } from '../domain/position.ts';
import type { Changes, Enforcement, Holders, Leases } from './leases.ts';
import type { Regress } from './lost.ts';

/** Names one record of a realm. `id` is any string; implementations make keys injective. */
export interface RecordKey {
  readonly kind: string;
  readonly id: string;
}

export const recordKeyText = (key: RecordKey): string => `${key.kind}/${key.id}`;

/** When something was committed: its sequence in the realm's epoch, and the store's instant. */
export interface Stamp {
  readonly sequence: number;
  readonly at: Instant;
}

export interface StoredRecord {
  readonly key: RecordKey;
  readonly created: Stamp;
  /** `modified.sequence` is the record's version, which commits expect. */
  readonly modified: Stamp;
  /** Stamp of the last put that asked for `mark`; kept by puts that don't. */
  readonly marked?: Stamp;
  readonly value: JsonObject;
}

/** One atomic read for one decision. */
export interface FactsQuery {
  readonly realm: string;
  /** Records to read in any case. */
  readonly keys: readonly RecordKey[];
  /** Read the live rows of one owner in the time index (grants of a workload), with the records that each one's `refs` name. */
  readonly index?: {
    readonly owner: string;
    /** Rows whose end is later than this. */
    readonly endsAfter: Instant;
    /** A hint: refs of records for which this is false need not be read. */
    readonly wanted?: (record: StoredRecord) => boolean;
    /** When no row is wanted, read up to so many rows that ended at or before `endsAfter`, latest first (for the reason of a denial only). */
    readonly lookBack?: number;
    /** Also tell where each row stands. Not every store can. */
    readonly places?: boolean;
  };
}

export interface FactsRead {
  readonly position: Position;
  readonly endings: EndingsMark;
  /** By `recordKeyText`; a missing record is absent. Holds `keys` and the refs of the rows. */
  readonly records: ReadonlyMap<string, StoredRecord>;
  readonly rows: readonly StoredRecord[];
  /** Rows of `lookBack`. */
  readonly ended: readonly StoredRecord[];
  /** The owner has more rows than the store reads (`ROWS_MAX`): those beyond are left out, the ones that end last are kept. */
  readonly truncated: boolean;
  /** Of `rows` and of `ended`, where the query asked for them. */
  readonly places?: { readonly rows: readonly RowPlace[]; readonly ended: readonly RowPlace[] };
  /** Read from memory, under a lease until `leaseEnds`: is it still the truth, and may it still be relied on? */
  readonly holds?: () => boolean;
  readonly leaseEnds?: Instant;
  /** On the monotonic clock: they were the truth then, or later. */
  readonly provenMs?: number;
}

export interface RowPlace {
  readonly end: Instant;
  /** Names of the records that it refers to. */
  readonly refs: readonly string[];
}

export const ROWS_MAX = 1_000;

export interface EndingsMark {
  readonly sequence: number;
  /** SHA-256, hex, over the previous hash and the event's bytes. */
  readonly hash: string;
}

export interface Put {
  readonly key: RecordKey;
  readonly value: JsonObject;
  /** Places the record in the time index. A record's owner and end never change. */
  readonly index?: { readonly owner: string; readonly end: Instant };
  /** Records that a facts read of this row brings along; kept by puts that don't say. */
  readonly refs?: readonly RecordKey[];
  readonly mark?: boolean;
}

export interface Increment {
  readonly key: RecordKey;
  /** The counter (`value.count`, absent = 0) may not exceed this; else nothing of the commit happens. */
  readonly max: number;
}

export interface EventDraft {
  readonly type: string;
  /** Ids of records whose history lists this event. */
  readonly about: readonly RecordKey[];
  /** Takes access away: also gets a place in the endings' sequence. */
  readonly ending: boolean;
  readonly data: JsonObject;
}

export interface StoredEvent {
  readonly sequence: number;
  readonly at: Instant;
  readonly type: string;
  readonly endingSequence?: number;
  readonly data: JsonObject;
  /** The stored bytes, canonical JSON: what a hash chain runs over. */
  readonly bytes: Uint8Array;
}

export interface Commit {
  readonly realm: string;
  /** Versions that must still hold; 0 = the record must not exist. */
  readonly expect: readonly { readonly key: RecordKey; readonly version: number }[];
  readonly puts: readonly Put[];
  /** After the puts. */
  readonly increments?: readonly Increment[];
  /**
   * Records that are there no more afterwards, nor their rows in the time index; one that is not there already is no fault. Their
   * versions are 0 again, their events and history stay. None of them may be put or incremented by the same commit.
   */
  readonly drops?: readonly RecordKey[];
  /** A commit without events gets one of type `changed` about its records, so that the log names every change. */
  readonly events: readonly EventDraft[];
  /** It takes effect before this instant of the store's clock, or not at all (`late`). */
  readonly before?: Instant;
  /** At most one effect: a later commit with the same scope and key gets the first one's outcome, if the digest is equal. */
  readonly idempotency?: {
    /** Realm, principal and command. */
    readonly scope: string;
    readonly key: string;
    readonly digest: string;
    /** What a replay is given back. */
    readonly reply: JsonValue;
    /** How long the key is remembered. */
    readonly keepMs: DurationMs;
  };
}

export type CommitOutcome =
  /** `holders`: who may answer from memory, as this commit saw it, when it ended something. */
  | { readonly outcome: 'committed'; readonly position: Position; readonly at: Instant; readonly holders?: Holders }
  | { readonly outcome: 'replayed'; readonly position: Position; readonly at: Instant; readonly reply: JsonValue; readonly holders?: Holders }
  | { readonly outcome: 'conflict'; readonly key: RecordKey }
  | { readonly outcome: 'exhausted'; readonly key: RecordKey }
  | { readonly outcome: 'late' }
  /** The idempotency key was used with another body. */
  | { readonly outcome: 'key-reused' };

export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; absent on the last page. */
  readonly next?: string;
}

export interface StoreHealth {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly detail?: string;
}

/** Reading fails, the file is damaged, the disk is full, the outcome of a commit is unknown. The message has no secret. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** The cursor given to `list` is not one that this listing gave out: the asker's mistake. */
export class CursorInvalid extends Error {
  override readonly name = 'CursorInvalid';
}

export interface Store {
  readonly epoch: string;
  /**
   * How facts are shown to be fresh at the last check. `endings` (default): by reading the endings' mark once more, at once. `age`: by
   * their age since before they were asked for.
   */
  readonly confirmsBy?: 'endings' | 'age';
  /** How much longer than by their age alone facts may be in use that an ending makes wrong, when it is committed now. Absent: 0. */
  fenceMs?(): number;
  /** Who may answer from memory in this realm now. Absent: nobody can. */
  holders?(realm: string): Promise<Holders>;
  /**
   * Resolves when nobody can rely any more on what was read from memory before this sequence. `holders`: as the commit saw them.
   * Never rejects: a holder that can't be asked is waited for.
   */
  enforced?(realm: string, sequence: number, holders?: Holders): Promise<readonly Enforcement[]>;
  facts(query: FactsQuery): FactsRead | Promise<FactsRead>;
  /** The endings' mark as it is now, for the re-check; sees every commit acknowledged before the call. */
  endings(realm: string): EndingsMark | Promise<EndingsMark>;
  commit(commit: Commit): Promise<CommitOutcome>;
  read(realm: string, keys: readonly RecordKey[]): Promise<readonly (StoredRecord | undefined)[]>;
  /** Records of one kind in key order; `owner` restricts to rows of the time index with this owner, by end. */
  list(realm: string, options: { readonly kind: string; readonly owner?: string; readonly after?: string; readonly limit: number }): Promise<Page<StoredRecord>>;
  /** Events after `after` (a sequence), in order; with `about`, only the history of that record. */
  events(realm: string, options: { readonly after: number; readonly limit: number; readonly about?: RecordKey }): Promise<readonly StoredEvent[]>;
  health(): Promise<StoreHealth>;
  close(): Promise<void>;
}

/** What is known of the clock of a shared store. Milliseconds. */
export interface AuthorityOffset {
  /** It is ahead of our `earliest` by no less than this, and of our `latest` by no more than that; either may be negative. */
  readonly lowMs: number;
  readonly highMs: number;
  /** It is surely this far from our wall clock, in whichever direction; 0: it may be the same. */
  readonly skewMs: number;
  /** It has been this late already: something was committed then. */
  readonly reached: Instant;
}

/** What the processes of a node need of their store beyond deciding. */
export interface NodeStore extends Store {
  /** The latest instant that any process wrote ahead of its clock. */
  readClockMark(): Instant | undefined | Promise<Instant | undefined>;
  /** Durable when it resolves. A mark never goes back: an earlier instant changes nothing. */
  writeClockMark(instant: Instant): Promise<void>;
  /** Of a store whose clock counts for all; `undefined` while it is not known. */
  authority?(): AuthorityOffset | undefined;
  /** Is it `holder`'s turn at this piece of housekeeping for the next `ms`? Absent: it always is. */
  takeTurn?(name: string, holder: string, ms: number): Promise<boolean>;
  /** Where it can be told what changed since something was read: strictly, like `facts`. */
  readonly changes?: Changes;
  /** Where a process may answer from what it has read while it holds a lease. */
  readonly leases?: Leases;
  /** Of the process of a node that keeps what the node knows. */
  readonly regress?: Regress;
}
