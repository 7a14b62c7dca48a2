/** A folder of Rego and data, read as OPA's bundle loader would: `.rego`, `data.json`, `data.yaml`, `.manifest`; nothing hidden. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { SourcesRefused } from './fault.ts';
import type { Sources } from './toolchain.ts';

export const SOURCE_LIMITS = { files: 2_000, bytes: 64 * 1024 * 1024 } as const;

const isSource = (name: string): boolean => name.endsWith('.rego') || ['data.json', 'data.yaml', 'data.yml', '.manifest'].includes(name);

/** Paths below the folder, sorted. Links are left out. */
const sourceFiles = (folder: string): readonly string[] =>
  readdirSync(folder, { withFileTypes: true })
    .flatMap((entry): readonly string[] => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return entry.name.startsWith('.') || entry.name === 'node_modules' ? [] : sourceFiles(path);
      return entry.isFile() && isSource(entry.name) ? [path] : [];
    })
    .toSorted();

/** Is there Rego in this folder, or below it? */
export const hasRego = (folder: string): boolean =>
  statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true && sourceFiles(folder).some((path) => path.endsWith('.rego'));

const refuse = (message: string): never => {
  throw new SourcesRefused([{ code: 'sources', message }]);
};

/** Throws `SourcesRefused` when the folder can't be read, is empty or too large. */
export const readSources = (folder: string): Sources => {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return refuse(`${folder} is not a folder`);
  const paths = sourceFiles(folder);
  if (!paths.some((path) => path.endsWith('.rego'))) return refuse(`${folder} has no .rego file`);
  if (paths.length > SOURCE_LIMITS.files) return refuse(`${folder} has more than ${SOURCE_LIMITS.files} files`);
  let bytes = 0;
  const sources: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const path of paths) {
    const text = readFileSync(path, 'utf8');
    bytes += text.length;
    if (bytes > SOURCE_LIMITS.bytes) return refuse(`${folder} has more than ${SOURCE_LIMITS.bytes} bytes`);
    sources[relative(folder, path).split(sep).join('/')] = text;
  }
  return sources;
};
