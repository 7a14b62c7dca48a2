/**
 * The embedded store: LMDB in one directory, shared by the processes of one machine.
 *
 * - A read sees every commit that any process acknowledged before the read began.
 * - A commit's promise resolves after its data was synced to disk. A rejected one is `StoreUnavailable`: the outcome is unknown.
 * - A record, event or state whose bytes aren't what was written throws `StoreUnavailable`; the caller denies.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../decision/ports.ts';
import { isInstant, type Instant } from '../../domain/instant.ts';
import { StoreUnavailable, type EndingsMark, type FactsRead, type Store } from '../port.ts';
import { applyCommit, checkCommit } from './commit.ts';
import { openEnvironment, unavailable, type Environment } from './environment.ts';
import { createFactsReader } from './facts.ts';
import { eventsAfter, listKind, listOwner } from './pages.ts';
import { bytesAt } from './environment.ts';

export type StoreMode = 'development' | 'production';

export interface EmbeddedStoreOptions {
  /** Directory; made if it is not there. */
  readonly path: string;
  readonly mode: StoreMode;
  readonly clock: Pick<Clock, 'now'>;
  readonly mapSizeBytes?: number;
  readonly memoBytesMax?: number;
  readonly readOnly?: boolean;
}

export interface EmbeddedStore extends Store {
  facts(query: Parameters<Store['facts']>[0]): FactsRead;
  endings(realm: string): EndingsMark;
  /** The latest instant that any process wrote ahead of its clock. */
  readClockMark(): Instant | undefined;
  /** Durable when it resolves. A mark never goes back. */
  writeClockMark(instant: Instant): Promise<void>;
}

const GIB = 2 ** 30;
const MAP_SIZE_DEFAULT = 16 * GIB;
const MEMO_BYTES_DEFAULT = 24 * 2 ** 20;
const META_KEY = Buffer.from('meta');
const CLOCK_KEY = Buffer.from('clock');
const FORMAT = 1;

const readMeta = async (environment: Environment, mode: StoreMode): Promise<string> => {
  const read = (): string | undefined => {
    const bytes = bytesAt(environment.state, META_KEY);
    return bytes === undefined ? undefined : bytes.toString('utf8');
  };
  const text =
    read() ??
    (await environment.root.transaction(() => {
      const there = read();
      if (there !== undefined) return there;
      const meta = JSON.stringify({ format: FORMAT, mode, epoch: randomBytes(12).toString('base64url') });
      environment.state.putSync(META_KEY, Buffer.from(meta, 'utf8'));
      return meta;
    }));
  const meta = JSON.parse(text) as { format: number; mode: StoreMode; epoch: string };
  if (meta.format !== FORMAT) throw new StoreUnavailable(`the store has format ${meta.format}, this version reads ${FORMAT}`);
  if (meta.mode !== mode) throw new StoreUnavailable(`this store was made in ${meta.mode} mode and is not opened in ${mode} mode`);
  return meta.epoch;
};

export const openEmbeddedStore = async (options: EmbeddedStoreOptions): Promise<EmbeddedStore> => {
  const { path, mode, clock, mapSizeBytes = MAP_SIZE_DEFAULT, memoBytesMax = MEMO_BYTES_DEFAULT, readOnly = false } = options;
  const environment = openEnvironment(path, { mapSizeBytes, readOnly });
  const { root } = environment;
  const epoch = await readMeta(environment, mode);
  const reader = createFactsReader(environment, epoch, memoBytesMax);

  const fresh = <T>(read: () => T): T => {
    try {
      root.resetReadTxn();
      return read();
    } catch (cause) {
      if (cause instanceof RangeError) throw cause;
      throw unavailable('the store cannot be read', cause);
    }
  };

  return {
    epoch,
    facts: (query) => fresh(() => reader.facts(query)),
    endings: (realm) => fresh(() => reader.state(realm).endings),
    commit: async (commit) => {
      checkCommit(commit);
      if (readOnly) throw new StoreUnavailable('the store was opened for reading only');
      try {
        return await root.childTransaction(() => applyCommit(environment, epoch, commit, clock.now().latest));
      } catch (cause) {
        if (cause instanceof TypeError) throw cause;
        throw unavailable('the store cannot be written', cause);
      }
    },
    read: async (realm, keys) => fresh(() => keys.map((key) => reader.find(realm, key)?.record)),
    list: async (realm, { owner, ...rest }) =>
      fresh(() => (owner === undefined ? listKind(environment, realm, rest) : listOwner(environment, realm, { ...rest, owner }))),
    events: async (realm, query) => fresh(() => eventsAfter(environment, realm, query)),
    health: async () => {
      try {
        fresh(() => bytesAt(environment.state, META_KEY));
        return { readable: true, writable: !readOnly };
      } catch (error) {
        return { readable: false, writable: false, detail: (error as Error).message };
      }
    },
    close: async () => {
      await root.close();
    },
    readClockMark: () => fresh(() => clockMark(environment)),
    writeClockMark: async (instant) => {
      if (!isInstant(instant)) throw new TypeError('store: a clock mark that is not an instant');
      try {
        await root.childTransaction(() => {
          const mark = clockMark(environment);
          if (mark !== undefined && mark >= instant) return;
          const bytes = Buffer.alloc(8);
          bytes.writeDoubleLE(instant);
          environment.state.putSync(CLOCK_KEY, bytes);
        });
      } catch (cause) {
        throw unavailable('the clock mark cannot be written', cause);
      }
    },
  };
};

const clockMark = (environment: Environment): Instant | undefined => {
  const bytes = bytesAt(environment.state, CLOCK_KEY);
  if (bytes === undefined) return undefined;
  const mark = bytes.readDoubleLE(0);
  if (!isInstant(mark)) throw new StoreUnavailable('the clock mark is damaged; restore the store from a backup');
  return mark;
};
