/**
 * Where the processes of one store run. LMDB keeps its readers by process id in shared memory, so all of them must be on one
 * kernel and in one PID namespace. `place.json` in the store's directory says which.
 *
 * - Another PID namespace of this kernel: LMDB's own locks, which the kernel releases when a process dies, tell whether any of
 *   its processes lives. If one does, the store is not opened; else it is taken over.
 * - Another kernel (or an earlier boot of this one): a file system on a local device can't be mounted by two kernels, so the
 *   other is gone. On a network file system nothing proves that, and the store is not opened.
 */
import { closeSync, fsyncSync, openSync, readFileSync, readlinkSync, statfsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { StoreUnavailable } from '../port.ts';
import { writeWhole } from '../write-whole.ts';

export interface Place {
  /** The kernel's id of this boot; the same in every container on it. */
  readonly boot: string;
  readonly pidNamespace: string;
  /** For people who read a refusal. */
  readonly host: string;
  /** On a file system that several kernels may use at once. */
  readonly shared: boolean;
}

const FILE = 'place.json';
const placeFile = z.object({ boot: z.string(), pidNamespace: z.string(), host: z.string(), epoch: z.string() });
export type PlaceFile = z.infer<typeof placeFile>;

/** `f_type` of NFS, SMB1, CIFS, SMB2, 9P, Ceph, AFS, FUSE (sshfs, gluster, virtiofs), GFS2, OCFS2, Lustre. */
const SHARED_FILE_SYSTEMS = new Set([
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x01021997, 0x00c36400, 0x5346414f, 0x65735546, 0x01161970, 0x7461636f, 0x0bd00bd0,
]);

const readOr = (read: () => string): string => {
  try {
    return read().trim();
  } catch {
    return 'unknown';
  }
};

export const placeOf = (path: string): Place => ({
  boot: readOr(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
  pidNamespace: readOr(() => readlinkSync('/proc/self/ns/pid')),
  host: hostname(),
  // Negative numbers are 32-bit types on some platforms.
  shared: SHARED_FILE_SYSTEMS.has(statfsSync(path).type >>> 0),
});

export const readPlaceFile = (path: string): PlaceFile | undefined => {
  let text: string;
  try {
    text = readFileSync(join(path, FILE), 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StoreUnavailable(`${join(path, FILE)} cannot be read: ${(cause as Error).message}`, { cause });
  }
  try {
    return placeFile.parse(JSON.parse(text));
  } catch (cause) {
    throw new StoreUnavailable(`${join(path, FILE)} is damaged; if no process uses this store, delete that file and start again`, { cause });
  }
};

/** Makes the names in a directory durable: syncing a file doesn't promise that its name survives a power cut. */
const syncDirectory = (path: string): void => {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
};

/** Replaces the file whole, and makes it and the data file's name durable: a reader sees the old one or the new one. */
export const writePlaceFile = (path: string, place: Place, epoch: string): void => {
  const { boot, pidNamespace, host } = place;
  writeWhole(join(path, FILE), `${JSON.stringify({ boot, pidNamespace, host, epoch })}\n`);
  syncDirectory(path);
  syncDirectory(dirname(path));
};

/** What a process here has to do before it opens the store. */
export type PlaceVerdict = 'same' | 'other-namespace' | 'other-boot';

/** Throws when the store may be in use elsewhere and nothing here can tell. */
export const judgePlace = (path: string, recorded: PlaceFile | undefined, here: Place): PlaceVerdict => {
  if (recorded === undefined) return 'same';
  if (recorded.boot !== here.boot) {
    if (!here.shared) return 'other-boot';
    throw new StoreUnavailable(
      `the store in ${path} was last used on host "${recorded.host}", on a network file system, where two hosts would damage it. ` +
        `Stop Curfew there, then delete ${join(path, FILE)}; better, move the store to a local disk`,
    );
  }
  return recorded.pidNamespace === here.pidNamespace ? 'same' : 'other-namespace';
};

export const refuseOtherNamespace = (path: string, recorded: PlaceFile): StoreUnavailable =>
  new StoreUnavailable(
    `the store in ${path} is open in another container or PID namespace of this host (host name "${recorded.host}", ${recorded.pidNamespace}). ` +
      'Stop Curfew there first: processes that share a store must share a PID namespace',
  );
