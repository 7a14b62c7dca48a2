/** Child processes of tests run TypeScript, which Node 20 doesn't: the compiler writes what they need under `.cache/`. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../parts.ts';

export interface Compiled {
  /** The compiled file of `entry`, a path within the repository. */
  fileOf(entry: string): string;
  remove(): void;
}

export const compile = (entries: readonly string[]): Compiled => {
  const cache = join(repositoryRoot, '.cache');
  mkdirSync(cache, { recursive: true });
  // Inside the repository, so that packages are found.
  const folder = mkdtempSync(join(cache, 'compiled-'));
  const project = join(folder, 'tsconfig.json');
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(repositoryRoot, 'tsconfig.json'),
      compilerOptions: { noEmit: false, outDir: join(folder, 'out'), rootDir: repositoryRoot, typeRoots: [join(repositoryRoot, 'node_modules/@types')] },
      include: [],
      files: entries.map((entry) => join(repositoryRoot, entry)),
    }),
  );
  const { status, stdout } = spawnSync(process.execPath, [join(repositoryRoot, 'node_modules/typescript/bin/tsc'), '-p', project], { encoding: 'utf8' });
  if (status !== 0) {
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`${entries.join(', ')} do not compile:\n${stdout}`);
  }
  return {
    fileOf: (entry) => join(folder, 'out', entry.replace(/\.ts$/, '.js')),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
};
