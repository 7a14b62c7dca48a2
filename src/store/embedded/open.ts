/** Opens the embedded store: looks before it touches, and refuses with what to do. */
import { chmodSync, mkdirSync, statSync, accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../decision/ports.ts';
import { StoreUnavailable } from '../port.ts';
import { checkDataFile } from './data-file.ts';
import { existingTable, openRoot, openTables, readingProcesses, unavailable, type Root } from './environment.ts';
import { readMarks, writeMarks, type StoreMode } from './marks.ts';
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
  /** For tests: where this process runs. */
  readonly place?: Place;
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;

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

/** Opens the store in `path`, made new if there is none. Rejects with `StoreUnavailable`, which says what to do. */
export const openEmbeddedStore = async (options: EmbeddedStoreOptions): Promise<EmbeddedStore> => {
  const { path, mode, clock, mapSizeBytes = 16 * GIB, memoBytesMax = 16 * MIB, readOnly = false, writePatienceMs = 10_000 } = options;
  prepareDirectory(path, readOnly);
  const here = options.place ?? placeOf(path);
  const recorded = readPlaceFile(path);
  const verdict = judgePlace(path, recorded, here);
  const data = checkDataFile(join(path, 'data.mdb'));
  if (data === 'new' && recorded !== undefined) {
    throw new StoreUnavailable(`${join(path, 'data.mdb')} is gone or empty although a store was here: restore it from a backup, or use another directory`);
  }
  if (data === 'new' && readOnly) throw new StoreUnavailable(`there is no store in ${path}`);

  let root: Root | undefined;
  try {
    root = openRoot({ path, mapSizeBytes, readOnly });
    if (verdict === 'other-namespace' && recorded !== undefined && readingProcesses(root).length > 0) throw refuseOtherNamespace(path, recorded);
    // Before any table is made: a store of another format or mode stays as it is.
    const before = existingTable(root, 'state');
    if (before !== undefined) readMarks(before, mode);
    else if (readOnly) throw new StoreUnavailable(`there is no store in ${path}`);
    const environment = openTables(root);
    if (!readOnly) {
      await root.transaction(() => {
        if (readMarks(environment.state, mode) === undefined) writeMarks(environment.state, mode);
      });
    }
    root.resetReadTxn();
    const marks = readMarks(environment.state, mode);
    if (marks === undefined) throw new StoreUnavailable('the store has no marks; it was not made by Curfew');
    if (recorded !== undefined && recorded.epoch !== marks.epoch) {
      throw new StoreUnavailable(`the store in ${path} was replaced by another one: restore the right one, or delete place.json to use this one`);
    }
    if (!readOnly && (recorded === undefined || verdict !== 'same')) writePlaceFile(path, here, marks.epoch);
    return createStore({ environment, epoch: marks.epoch, clock, dataFile: join(path, 'data.mdb'), mapSizeBytes, memoBytesMax, readOnly, writePatienceMs });
  } catch (cause) {
    await root?.close();
    throw unavailable('the store cannot be opened', cause);
  }
};
