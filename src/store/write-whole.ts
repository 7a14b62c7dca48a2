/** Replaces a file of this node: a reader sees the old one or the new one, whole. `flush`: so that what it says outlives the machine, too, which takes some milliseconds. */
import { renameSync, writeFileSync } from 'node:fs';

export const writeWhole = (path: string, text: string, flush = true): void => {
  const next = `${path}.${process.pid}.new`;
  writeFileSync(next, text, { mode: 0o600, flush });
  renameSync(next, path);
};
