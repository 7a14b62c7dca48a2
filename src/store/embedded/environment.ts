/**
 * The LMDB environment: opens the databases and turns LMDB's failures into `StoreUnavailable`.
 *
 * - `overlappingSync` is off: a promise of `transaction` then resolves after the data and the meta page were synced, never before.
 * - `mapSize` is address space, not memory; lmdb-js would enlarge it without end, so the cap is kept by `commit`.
 */
import { open, type Database, type RootDatabase } from 'lmdb';
import { StoreUnavailable } from '../port.ts';

export type Table = Database<Buffer, Buffer>;

export interface Environment {
  readonly root: RootDatabase<Buffer, Buffer>;
  /** Meta record, realms' states, clock mark. */
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

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const;
/** One slot per process that reads; with room for tools beside the workers. */
const READERS_MAX = 512;

export const unavailable = (what: string, cause: unknown): StoreUnavailable =>
  cause instanceof StoreUnavailable ? cause : new StoreUnavailable(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });

export const openEnvironment = (path: string, options: { readonly mapSizeBytes: number; readonly readOnly: boolean }): Environment => {
  try {
    const root = open<Buffer, Buffer>({
      path,
      mapSize: options.mapSizeBytes,
      maxDbs: 8,
      maxReaders: READERS_MAX,
      noSubdir: false,
      overlappingSync: false,
      readOnly: options.readOnly,
      ...BINARY,
    });
    const table = (name: string): Table => root.openDB({ name, ...BINARY });
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
  } catch (cause) {
    throw unavailable('the store cannot be opened', cause);
  }
};

/** The value's bytes, valid until the next read; `undefined` when there is none. */
export const bytesAt = (table: Table, key: Buffer): Buffer | undefined => {
  const bytes = table.getBinaryFast(key);
  // lmdb-js lends one large buffer and only overrides its `length`.
  return bytes === undefined ? undefined : bytes.subarray(0, bytes.length);
};
