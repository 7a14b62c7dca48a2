/**
 * Remembers compiled bundles by what they were made of, so that tests of unchanged sources need no compiler. In the user's own
 * cache folder, for tests alone: what is built or served is always compiled. A file that is not whole is not used.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Toolchain } from './toolchain.ts';

const ENTRIES_MAX = 100;
const DIGEST_BYTES = 32;

const sha256 = (bytes: Uint8Array | string): Buffer => createHash('sha256').update(bytes).digest();

/** Where it is by the conventions of the platform; `undefined` when there is no home. */
export const compileCacheFolder = (env: Readonly<Record<string, string | undefined>>): string | undefined => {
  const { XDG_CACHE_HOME: shared = '', HOME: home = '' } = env;
  if (shared !== '') return join(shared, 'curfew', 'compiled');
  return home === '' ? undefined : join(home, '.cache', 'curfew', 'compiled');
};

const read = (path: string): Uint8Array | undefined => {
  try {
    const bytes = readFileSync(path);
    const archive = bytes.subarray(DIGEST_BYTES);
    return sha256(archive).equals(bytes.subarray(0, DIGEST_BYTES)) ? archive : undefined;
  } catch {
    return undefined;
  }
};

/** The oldest go when there are too many. */
const tidy = (folder: string): void => {
  const files = readdirSync(folder).map((name) => ({ path: join(folder, name), at: statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }));
  for (const { path } of files.toSorted((a, b) => b.at - a.at).slice(ENTRIES_MAX)) rmSync(path, { force: true });
};

const write = (folder: string, path: string, archive: Uint8Array): void => {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const part = `${path}.${process.pid}.part`;
    writeFileSync(part, Buffer.concat([sha256(archive), archive]), { mode: 0o600 });
    renameSync(part, path);
    tidy(folder);
  } catch {
    // Without it the next run compiles again.
  }
};

/** `salt`: what else the result depends on, such as the version of this program. */
export const withCompileCache = (toolchain: Toolchain, folder: string, salt: string): Toolchain => ({
  ...toolchain,
  compile: async (sources, options) => {
    const key = sha256(JSON.stringify([1, salt, toolchain.description, toolchain.build ?? '', Object.entries(sources).toSorted(([a], [b]) => (a < b ? -1 : 1)), options])).toString('hex');
    const path = join(folder, key);
    const known = read(path);
    if (known !== undefined) return known;
    const archive = await toolchain.compile(sources, options);
    write(folder, path, archive);
    return archive;
  },
});
