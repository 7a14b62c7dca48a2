/** Opens the embedded store: looks before it touches, and refuses with what to do. */
import { chmodSync, mkdirSync, statSync, accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../decision/ports.ts';
import { StoreUnavailable } from '../port.ts';
import { PLAIN, refuseUnlessWhole, restoredFault } from '../provenance.ts';
import { checkDataFile } from './data-file.ts';
import { existingTable, openRoot, openTables, readingProcesses, unavailable, type Environment, type Root } from './environment.ts';
import { newEpoch, readAnyMarks, readMarks, writeMarks, type Marks, type StoreMode } from './marks.ts';
import { judgePlace, placeOf, readPlaceFile, refuseOtherNamespace, writePlaceFile, type Place } from './place.ts';
import { createStore, type EmbeddedStore } from './store.ts';

export type { EmbeddedStore } from './store.ts';
export type { StoreMode } from './marks.ts';

export interface EmbeddedStoreOptions {
  /** Directory on a file system of this machine; made (0700) if it is not there. */
  readonly path: string;
  /** A store belongs to the mode that made it. */
  readonly mode: StoreMode;
  readonly clock: Pick<Clock, 'now'>;
  readonly mapSizeBytes?: number;
  readonly memoBytesMax?: number;
  readonly readOnly?: boolean;
  readonly writePatienceMs?: number;
  /** Those that will be asked about; a store from which one of them was moved is refused. */
  readonly realms?: readonly string[];
  /** For the operator who says what has ended since the backup: the store answers all the same. */
  readonly asRestored?: boolean;
  /** For tests: where this process runs. */
  readonly place?: Place;
}

const MIB = 2 ** 20;
const MAP_SIZE_BYTES = 16 * 2 ** 30;

const prepareDirectory = (path: string, readOnly: boolean): void => {
  try {
    if (!readOnly) mkdirSync(path, { recursive: true, mode: 0o700 });
    const { mode } = statSync(path);
    // A directory that others may enter is closed to them; its files hold who may do what.
    if (!readOnly && (mode & 0o077) !== 0) chmodSync(path, 0o700);
    // Readers write too: their slots in LMDB's lock file keep the pages they look at from being used again.
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unavailable(`the store's directory ${path} cannot be used`, cause);
  }
};

export interface OpenedEnvironment {
  readonly environment: Environment;
  readonly marks: Marks;
  /** Notes that the store is used here from now on. */
  settle(): void;
}

/** The files, looked at before they are touched. `make`: what a new store says of itself; absent: there must be one. */
export const openEnvironment = async (
  options: Pick<EmbeddedStoreOptions, 'path' | 'mapSizeBytes' | 'readOnly' | 'place'>, mode: StoreMode | 'any', make?: Marks,
): Promise<OpenedEnvironment> => {
  const { path, mapSizeBytes = MAP_SIZE_BYTES, readOnly = false } = options;
  prepareDirectory(path, readOnly);
  const here = options.place ?? placeOf(path);
  const recorded = readPlaceFile(path);
  const verdict = judgePlace(path, recorded, here);
  const data = checkDataFile(join(path, 'data.mdb'));
  if (data === 'new' && recorded !== undefined) {
    throw new StoreUnavailable(`${join(path, 'data.mdb')} is gone or empty although a store was here: restore it from a backup, or use another directory`);
  }
  if (data === 'new' && make === undefined) throw new StoreUnavailable(`there is no store in ${path}`);
  const read = (state: Environment['state']): Marks | undefined => (mode === 'any' ? readAnyMarks(state) : readMarks(state, mode));

  let root: Root | undefined;
  try {
    root = openRoot({ path, mapSizeBytes, readOnly });
    if (verdict === 'other-namespace' && recorded !== undefined && readingProcesses(root).length > 0) throw refuseOtherNamespace(path, recorded);
    // Before any table is made: a store of another format or mode stays as it is.
    const before = existingTable(root, 'state');
    if (before !== undefined) read(before);
    else if (make === undefined) throw new StoreUnavailable(`there is no store in ${path}`);
    const environment = openTables(root);
    if (!readOnly && make !== undefined) {
      await root.transaction(() => {
        const found = read(environment.state);
        if (found === undefined || found.outdated === true) writeMarks(environment.state, found ?? make);
      });
    }
    root.resetReadTxn();
    const marks = read(environment.state);
    if (marks === undefined) throw new StoreUnavailable('the store has no marks; it was not made by Curfew');
    if (recorded !== undefined && recorded.epoch !== marks.epoch) {
      throw new StoreUnavailable(`the store in ${path} was replaced by another one: restore the right one, or delete place.json to use this one`);
    }
    return {
      environment, marks,
      settle: () => {
        if (!readOnly && (recorded === undefined || verdict !== 'same')) writePlaceFile(path, here, marks.epoch);
      },
    };
  } catch (cause) {
    await root?.close();
    throw unavailable('the store cannot be opened', cause);
  }
};

/** Opens the store in `path`, made new if there is none. Rejects with `StoreUnavailable`, which says what to do. */
export const openEmbeddedStore = async (options: EmbeddedStoreOptions): Promise<EmbeddedStore> => {
  const { path, mode, clock, mapSizeBytes = MAP_SIZE_BYTES, memoBytesMax = 12 * MIB, readOnly = false, writePatienceMs = 10_000, realms = [], asRestored = false } = options;
  const { environment, marks, settle } = await openEnvironment(options, mode, readOnly ? undefined : { mode, epoch: newEpoch(), provenance: PLAIN });
  try {
    refuseUnlessWhole(marks.provenance, realms);
    settle();
    // Read again at every question while it is so, and never again afterwards: nothing puts a store that is whole into this state.
    let restored = marks.provenance.restored !== undefined && !asRestored;
    const checkRestored = (): void => {
      if (!restored) return;
      restored = readMarks(environment.state, mode)?.provenance.restored !== undefined;
      if (restored) throw restoredFault();
    };
    return createStore({
      environment, epoch: marks.epoch, clock, dataFile: join(path, 'data.mdb'), mapSizeBytes, memoBytesMax, readOnly, writePatienceMs,
      ...(restored ? { check: checkRestored } : {}),
    });
  } catch (cause) {
    await environment.root.close();
    throw unavailable('the store cannot be opened', cause);
  }
};
