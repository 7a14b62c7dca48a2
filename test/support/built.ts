/** Path of a file in `dist/`, for tests that start processes. Builds first when the sources are newer. */
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../parts.ts';

const newest = (folder: string): number =>
  Math.max(0, ...readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs));

export const built = (file: string): string => {
  const path = join(repositoryRoot, 'dist', file);
  const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (made < newest(join(repositoryRoot, 'src'))) {
    const { status, stdout } = spawnSync(join(repositoryRoot, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], { cwd: repositoryRoot, encoding: 'utf8' });
    if (statSync(path, { throwIfNoEntry: false }) === undefined) throw new Error(`the build brought no ${file} (status ${status}):\n${stdout}`);
  }
  return path;
};
