/**
 * A bundle as a folder, watched. A change is told within a tenth of a second where the file system tells of changes, and
 * after `intervalMs` where it does not or where the whole folder was replaced.
 */
import { BUNDLE_LIMITS } from '../bundle/limits.ts';
import { readManifest } from '../bundle/manifest.ts';
import type { BundleSource } from './bundle-source.ts';
import { folderState, readFolder, stillThere } from './read-folder.ts';
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
      try {
        const { files, ...found } = await readFolder(path);
        ({ state, folders } = found);
        return { name, where: path, files, manifest: readManifest(files.get('.manifest'), BUNDLE_LIMITS), verified: false };
      } finally {
        // What is not as it must be may be mended in any of its folders.
        watching?.follow(await stillThere(folders));
      }
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
