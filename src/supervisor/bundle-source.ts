/** The bundle file: read whole, and looked at again for changes. What is in it is somebody else's to judge. */
import { readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/schema.ts';

/** The bundle that comes with Curfew, wherever the working directory is. */
export const PACKAGED_BUNDLE = fileURLToPath(new URL('../../bundles/curfew.tar.gz', import.meta.url));

export const bundlePath = (config: Config): string => config.policy.bundle.file ?? PACKAGED_BUNDLE;

const BYTES_MAX = 256 * 1_048_576;

interface FileState {
  readonly mtimeNs: bigint;
  readonly size: bigint;
  readonly ino: bigint;
}

export interface BundleSource {
  readonly path: string;
  read(): Promise<Uint8Array>;
  /** The file's bytes when it is another one than at the last `read` or `changed`; `undefined` when not. */
  changed(): Promise<Uint8Array | undefined>;
}

export const createBundleSource = (path: string): BundleSource => {
  let seen: FileState | undefined;
  const look = async (): Promise<FileState> => {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    if (size > BYTES_MAX) throw new Error(`${path} is larger than ${BYTES_MAX} bytes`);
    return { mtimeNs, size, ino };
  };
  const read = async (): Promise<Uint8Array> => {
    seen = await look();
    return readFile(path);
  };
  return {
    path,
    read,
    changed: async () => {
      const now = await look();
      const same = seen !== undefined && now.mtimeNs === seen.mtimeNs && now.size === seen.size && now.ino === seen.ino;
      return same ? undefined : read();
    },
  };
};
