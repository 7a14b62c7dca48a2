/** Runs something now and again after every change below some folders; ends only with the process, or when it fails. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { watchFolders } from '../../policy/source/watch-folders.ts';

/** Where the file system does not tell. */
const LOOK_MS = 1_000;
const FOLDERS_MAX = 5_000;

interface Seen {
  /** By path, which folder it is. */
  readonly folders: Map<string, string>;
  readonly files: string[];
}

const look = (folder: string, seen: Seen = { folders: new Map(), files: [] }): Seen => {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true || seen.folders.size >= FOLDERS_MAX) return seen;
  seen.folders.set(folder, `${found.dev}/${found.ino}`);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules') look(path, seen);
    if (!entry.isFile()) continue;
    const file = statSync(path, { throwIfNoEntry: false });
    if (file !== undefined) seen.files.push(`${path} ${file.mtimeMs}/${file.size}/${file.ino}`);
  }
  return seen;
};

export const onEveryChange = (folders: readonly string[], work: () => Promise<void>): Promise<never> =>
  new Promise((_, reject) => {
    let state: string | undefined;
    let running = false;
    const seen = (): Seen => folders.reduce((all, folder) => look(folder, all), { folders: new Map<string, string>(), files: [] as string[] } as Seen);
    const again = async (): Promise<void> => {
      if (running) return;
      running = true;
      try {
        for (;;) {
          const now = seen();
          watching.follow(now.folders);
          // What is saved while the tests run is another change.
          const next = now.files.toSorted().join('\n');
          if (next === state) break;
          state = next;
          await work();
        }
      } finally {
        running = false;
      }
    };
    const start = (): void => void again().catch(reject);
    const watching = watchFolders(start);
    // Also keeps the process.
    setInterval(start, LOOK_MS);
    start();
  });
