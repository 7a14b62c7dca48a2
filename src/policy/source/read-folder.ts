/**
 * A folder as a bundle: `.rego`, data, `.manifest`, `.signatures.json`, `policy.wasm`; nothing else that is hidden. Links are
 * followed inside of the folder, as mounts of Kubernetes have them; a link that leads out of it refuses the folder.
 */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { isDataFile } from '../bundle/entry-name.ts';
import { SourcesRefused } from '../toolchain/fault.ts';

export const FOLDER_LIMITS = { files: 2_000, bytes: 64 * 1024 * 1024, depth: 32 } as const;

export interface ReadFolder {
  /** By path relative to the folder, with `/`; sorted. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Every folder that was looked into, as it really is, and which one it is (another of the same name is another one): what there is to watch. */
  readonly folders: ReadonlyMap<string, string>;
  /** Changes when a file does. */
  readonly state: string;
}

const OTHERS: ReadonlySet<string> = new Set(['.manifest', '.signatures.json', 'policy.wasm']);

const refuse = (message: string, file?: string): never => {
  throw new SourcesRefused([{ code: 'sources', message, ...(file === undefined ? {} : { file }) }]);
};

const idOf = ({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string => `${dev}/${ino}`;

/** Those folders that are still the ones they were. */
export const stillThere = async (folders: ReadFolder['folders']): Promise<ReadFolder['folders']> => {
  const there = new Map<string, string>();
  for (const [folder, id] of folders) if ((await stat(folder, { bigint: true }).then(idOf, () => '')) === id) there.set(folder, id);
  return there;
};

interface Found {
  readonly name: string;
  /** Where it really is. */
  readonly path: string;
  readonly state: string;
  readonly size: number;
}

interface Walk {
  readonly root: string;
  readonly folders: Map<string, string>;
  readonly found: Found[];
}

const isWanted = (name: string, top: boolean): boolean => name.endsWith('.rego') || isDataFile(name) || (top && OTHERS.has(name));

const walk = async (to: Walk, folder: string, prefix: string, depth: number): Promise<void> => {
  if (depth > FOLDER_LIMITS.depth) return refuse(`is more than ${FOLDER_LIMITS.depth} folders deep`, prefix);
  const { dev, ino } = await stat(folder, { bigint: true });
  to.folders.set(folder, idOf({ dev, ino }));
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const name = `${prefix}${entry.name}`;
    if (entry.name === 'node_modules' || (entry.name.startsWith('.') && !OTHERS.has(entry.name))) continue;
    const wanted = isWanted(entry.name, prefix === '');
    if (!entry.isSymbolicLink() && !entry.isDirectory() && !wanted) continue;
    const path = await realpath(join(folder, entry.name)).catch(() => (wanted ? refuse('is a link to nothing', name) : undefined));
    if (path === undefined) continue;
    const { mtimeNs, size, ino, ...kind } = await stat(path, { bigint: true }).then((found) => ({
      mtimeNs: found.mtimeNs, size: found.size, ino: found.ino, isFile: found.isFile(), isFolder: found.isDirectory(),
    }));
    if (!kind.isFolder && !wanted) continue;
    if (!path.startsWith(`${to.root}${sep}`)) return refuse('is a link out of the folder', name);
    if (kind.isFolder) await walk(to, path, `${name}/`, depth + 1);
    else if (kind.isFile) to.found.push({ name, path, state: `${name} ${mtimeNs}/${size}/${ino}`, size: Number(size) });
    if (to.found.length > FOLDER_LIMITS.files) return refuse(`has more than ${FOLDER_LIMITS.files} files`);
  }
};

const look = async (folder: string): Promise<Walk> => {
  const root = await realpath(folder).catch(() => refuse(`${folder} is not there`));
  if (!(await stat(root)).isDirectory()) return refuse(`${folder} is not a folder`);
  const to: Walk = { root, folders: new Map(), found: [] };
  await walk(to, root, '', 0);
  to.found.sort((a, b) => (a.name < b.name ? -1 : 1));
  return to;
};

const stateOf = ({ found }: Walk): string => found.map(({ state }) => state).join('\n');

/** What `readFolder` would give as `state`, without reading files. */
export const folderState = async (folder: string): Promise<string> => stateOf(await look(folder));

const readOnce = async (folder: string): Promise<ReadFolder> => {
  const seen = await look(folder);
  if (seen.found.reduce((sum, { size }) => sum + size, 0) > FOLDER_LIMITS.bytes) return refuse(`has more than ${FOLDER_LIMITS.bytes} bytes`);
  if (!seen.found.some(({ name }) => !name.startsWith('.'))) return refuse(`${folder} has neither Rego nor data`);
  const files = new Map<string, Uint8Array>();
  for (const { name, path } of seen.found) files.set(name, await readFile(path));
  return { files, folders: seen.folders, state: stateOf(seen) };
};

/** Editors and checkouts replace files while we read. */
const TRIES = 3;

/** Rejects with `SourcesRefused`. */
export const readFolder = async (folder: string): Promise<ReadFolder> => {
  for (let tried = 1; ; tried += 1) {
    try {
      return await readOnce(folder);
    } catch (error) {
      if (error instanceof SourcesRefused) throw error;
      const { code = 'unknown', path = folder } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' || tried === TRIES) return refuse(`${path} can not be read (${code})`);
    }
  }
};
