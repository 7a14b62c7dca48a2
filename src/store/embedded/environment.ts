/**
 * The LMDB environment: opens the tables and turns LMDB's failures into `StoreUnavailable`.
 *
 * - `overlappingSync` is off: a promise of `transaction` then resolves after the data and the meta page were synced, never before.
 * - `mapSize` is address space, not memory. lmdb-js would enlarge it without end, so the cap is kept by `commit`.
 * - One process must not open and close `lock.mdb` beside LMDB: that would drop its locks.
 */
import { open, type Database, type RootDatabase } from 'lmdb';
import { StoreUnavailable } from '../port.ts';
import { readKey, writeKey, type PrefixedId } from './keys.ts';

export type Table = Database<Buffer, Buffer>;

export interface Environment {
  readonly root: RootDatabase<Buffer, Buffer>;
  /** Marks, realms' states, clock mark. */
  readonly state: Table;
  readonly records: Table;
  /** (realm, owner, end, record). */
  readonly index: Table;
  /** (realm, sequence) -> bytes. */
  readonly events: Table;
  /** (realm, record, sequence). */
  readonly history: Table;
  /** (realm, endings' sequence) -> sequence and hash. */
  readonly endings: Table;
  readonly idempotency: Table;
}

/** One slot per process that reads; with room for tools beside the workers. */
const READERS_MAX = 512;
// In a variable, because lmdb-js declares `keyEncoder` for the root only.
const TABLE = { encoding: 'binary', keyEncoder: { writeKey, readKey } } as const;

/** LMDB's and the system's own words, with what a person can do about it. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/No space left|ENOSPC|EDQUOT|quota/i, 'free space on the disk'],
  [/MDB_MAP_FULL/, 'the store is full: raise store.mapSizeBytes and restart; what was acknowledged is safe'],
  [/MDB_CORRUPTED|MDB_PAGE_NOTFOUND|MDB_INVALID|MDB_PANIC|MDB_BAD_TXN/, 'the store is damaged: restore it from a backup'],
  [/MDB_VERSION_MISMATCH/, 'the store was written by another version of LMDB: use the version of Curfew that wrote it'],
  [/MDB_READERS_FULL/, `more than ${READERS_MAX} processes read this store`],
  [/EROFS|Read-only file system|EACCES|EPERM|Permission denied/i, 'the directory or its files cannot be written by this user'],
];

export const unavailable = (what: string, cause: unknown): StoreUnavailable => {
  if (cause instanceof StoreUnavailable) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  const advice = ADVICE.find(([pattern]) => pattern.test(message))?.[1];
  return new StoreUnavailable(`${what}: ${message}${advice === undefined ? '' : ` (${advice})`}`, { cause });
};

export interface EnvironmentOptions {
  readonly path: string;
  readonly mapSizeBytes: number;
  readonly readOnly: boolean;
}

export type Root = RootDatabase<Buffer, Buffer>;

export const openRoot = (options: EnvironmentOptions): Root =>
  open<Buffer, Buffer>({
    path: options.path,
    mapSize: options.mapSizeBytes,
    maxDbs: 8,
    maxReaders: READERS_MAX,
    noSubdir: false,
    overlappingSync: false,
    // With it a failed commit leaves a rejected promise that nobody can reach, which ends the process.
    eventTurnBatching: false,
    readOnly: options.readOnly,
    encoding: 'binary',
    keyEncoding: 'binary',
    ...FILE_MODE,
  });

/** Of `data.mdb` and `lock.mdb`; not among lmdb-js's declared options. */
const FILE_MODE = { permissionsMode: 0o600 };

/** A table that is there already, for looking before anything is made. */
export const existingTable = (root: Root, name: keyof Environment): Table | undefined => {
  const absent = { ...TABLE, create: false };
  const table: Table | undefined = root.openDB(name, absent);
  return table;
};

export const openTables = (root: Root): Environment => {
  const table = (name: keyof Environment): Table => root.openDB(name, TABLE);
  return {
    root,
    state: table('state'),
    records: table('records'),
    index: table('index'),
    events: table('events'),
    history: table('history'),
    endings: table('endings'),
    idempotency: table('idempotency'),
  };
};

/** Process ids in LMDB's table of readers, without those that died. */
export const readingProcesses = (root: Root): readonly number[] => {
  root.readerCheck();
  return [...root.readerList().matchAll(/^\s*(\d+)\s+[0-9a-f]+\s/gm)].map((match) => Number(match[1]));
};

/** The value's bytes, valid until the next read; `undefined` when there is none. */
export const bytesAt = (table: Table, key: Buffer | PrefixedId): Buffer | undefined => {
  // lmdb-js hands the key to `writeKey` as it is; its type of keys doesn't know of encoders.
  const bytes = table.getBinaryFast(key as Buffer);
  // It lends one large buffer and only overrides its `length`.
  return bytes?.subarray(0, bytes.length);
};
