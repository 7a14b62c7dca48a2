/** A bundle in one file, a `.tar.gz`. Read whole; looked at again every now and then, since renames and mounts tell nobody. */
import { stat } from 'node:fs/promises';
import { readBoundedBytes } from '../../bounded/file.ts';
import { BUNDLE_LIMITS } from '../bundle/limits.ts';
import { archiveBundle } from './archive-bundle.ts';
import type { BundleSource } from './bundle-source.ts';

export interface FileSourceOptions {
  readonly name: string;
  readonly path: string;
  /** 0: never. */
  readonly intervalMs: number;
}

export const createFileSource = ({ name, path, intervalMs }: FileSourceOptions): BundleSource => {
  let seen = '';
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<string> => {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    if (size > BUNDLE_LIMITS.archiveBytesMax) throw new Error(`${path} is larger than ${BUNDLE_LIMITS.archiveBytesMax} bytes`);
    return `${mtimeNs}/${size}/${ino}`;
  };
  return {
    name,
    where: path,
    read: async () => {
      seen = await look();
      // A device or a pipe in its place may have no end, or never begin.
      const found = readBoundedBytes(path, BUNDLE_LIMITS.archiveBytesMax);
      if ('fault' in found) throw new Error(`${path} ${found.fault}`);
      return archiveBundle({ name, where: path }, found.bytes);
    },
    watch: (onChange) => {
      if (intervalMs === 0) return;
      const again = async (): Promise<void> => {
        // A file that is missing for a moment is not a change.
        const now = await look().catch(() => seen);
        if (now === seen) return;
        seen = now;
        onChange();
      };
      timer = setInterval(() => void again(), intervalMs).unref();
    },
    refresh: () => Promise.resolve(),
    close: () => {
      clearInterval(timer);
      return Promise.resolve();
    },
  };
};
