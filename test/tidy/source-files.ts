/** What the tidy tests look at: the sources, and every tracked text file. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../parts.ts';

export interface SourceFile {
  /** From the repository's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

export const read = (path: string): SourceFile => ({ path, text: readFileSync(join(repositoryRoot, path), 'utf8') });

const below = (folder: string): readonly string[] =>
  readdirSync(join(repositoryRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(repositoryRoot.length))
    .toSorted();

export const sourceFiles = (): readonly SourceFile[] => below('src').filter((path) => path.endsWith('.ts')).map(read);

/** Tracked files, and those that would be added; not what git ignores. */
export const trackedFiles = (): readonly string[] => {
  try {
    return execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: repositoryRoot, maxBuffer: 64 * 1_048_576 })
      .toString().split('\0').filter((path) => path !== '');
  } catch {
    // Not a clone, an unpacked archive.
    return ['src', 'test', 'scripts', 'docs', 'deploy', 'policies', 'bench', 'toolchain'].flatMap(below);
  }
};

const IMPORT = /(?:^|\n)\s*(?:import|export)\s+(?:type\s+)?(?:[\w*{}\s,$]+?\sfrom\s+)?'([^']+)'|import\(\s*'([^']+)'\s*\)|new URL\(\s*'(\.[^']+)'/g;

/** Module specifiers of imports, re-exports, dynamic imports and `new URL('./...')`. */
export const importsOf = ({ text }: SourceFile): readonly string[] =>
  [...text.matchAll(IMPORT)].map(([, fixed, dynamic, url]) => fixed ?? dynamic ?? url ?? '');
