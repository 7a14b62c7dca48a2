/**
 * Tells that something in some folders changed, at once where the file system says so. Bursts are told once: after `quietMs`
 * without more, and after `latestMs` at the latest. Folders are watched one by one, since a file that an editor saves by
 * renaming is then seen as well; a folder that vanishes is told too.
 */
import { watch, type FSWatcher } from 'node:fs';

export interface FolderWatch {
  /** Watches these from now on, and no others; what tells one of the same name from another is the value. Tells a change when one is new, which may have happened before. */
  follow(folders: ReadonlyMap<string, string>): void;
  close(): void;
}

export const watchFolders = (onChange: () => void, { quietMs = 50, latestMs = 300 } = {}): FolderWatch => {
  const watchers = new Map<string, { readonly watcher: FSWatcher; readonly id: string }>();
  let quiet: NodeJS.Timeout | undefined;
  let latest: NodeJS.Timeout | undefined;

  const tell = (): void => {
    clearTimeout(quiet);
    clearTimeout(latest);
    quiet = latest = undefined;
    onChange();
  };
  const changed = (): void => {
    clearTimeout(quiet);
    quiet = setTimeout(tell, quietMs).unref();
    latest ??= setTimeout(tell, latestMs).unref();
  };
  const drop = (folder: string): void => {
    watchers.get(folder)?.watcher.close();
    watchers.delete(folder);
  };
  const add = (folder: string, id: string): void => {
    try {
      const watcher = watch(folder, { persistent: false }, changed);
      watcher.on('error', () => {
        drop(folder);
        changed();
      });
      watchers.set(folder, { watcher, id });
      changed();
    } catch {
      // Gone, or no watches left: whoever also looks every now and then finds out.
    }
  };

  return {
    follow: (folders) => {
      for (const [folder, { id }] of watchers) if (folders.get(folder) !== id) drop(folder);
      for (const [folder, id] of folders) if (!watchers.has(folder)) add(folder, id);
    },
    close: () => {
      clearTimeout(quiet);
      clearTimeout(latest);
      for (const folder of watchers.keys()) drop(folder);
    },
  };
};
