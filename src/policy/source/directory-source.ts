/**
 * A bundle as a folder, watched. A change is told within a tenth of a second where the file system tells of changes, and
 * after `intervalMs` where it does not or where the whole folder was replaced.
 */
import { BUNDLE_LIMITS } from '../bundle/limits.ts';
import { readManifest } from '../bundle/manifest.ts';
import type { BundleSource } from './bundle-source.ts';
import { folderState, readFolder } from './read-folder.ts';
import { watchFolders, type FolderWatch } from './watch-folders.ts';

export interface DirectorySourceOptions {
  readonly name: string;
  readonly path: string;
  /** 0: only what the file system tells. */
  readonly intervalMs: number;
}

export const createDirectorySource = ({ name, path, intervalMs }: DirectorySourceOptions): BundleSource => {
  let state = '';
  let folders: ReadonlyMap<string, string> = new Map();
  let watching: FolderWatch | undefined;
  let timer: NodeJS.Timeout | undefined;

  return {
    name,
    where: path,
    read: async () => {
      const folder = await readFolder(path).catch((error: unknown) => {
        watching?.follow(new Map());
        throw error;
      });
      ({ state, folders } = folder);
      watching?.follow(folders);
      return { name, where: path, files: folder.files, manifest: readManifest(folder.files.get('.manifest'), BUNDLE_LIMITS), verified: false };
    },
    watch: (onChange) => {
      watching = watchFolders(onChange);
      watching.follow(folders);
      if (intervalMs === 0) return;
      const again = async (): Promise<void> => {
        const now = await folderState(path).catch((error: unknown) => String(error));
        if (now === state) return;
        state = now;
        onChange();
      };
      timer = setInterval(() => void again(), intervalMs).unref();
    },
    refresh: () => Promise.resolve(),
    close: () => {
      watching?.close();
      clearInterval(timer);
      return Promise.resolve();
    },
  };
};
