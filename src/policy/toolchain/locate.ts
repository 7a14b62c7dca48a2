/** Where the toolchain is: in the npm package, in the clone, or an `opa` of the user's. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ToolchainMissing } from './fault.ts';

/** The version that toolchain/go.mod pins; a test compares them. */
export const OPA_VERSION = '1.22.2';

/** From dist/policy/toolchain and src/policy/toolchain: what `npm run toolchain` built in a clone, then what the package carries. */
const FOLDERS: readonly URL[] = ['../../../.cache/toolchain/', '../../toolchain/'].map((path) => new URL(path, import.meta.url));

export type Located =
  /** Path of its thread's script. */
  | { readonly kind: 'built'; readonly worker: string }
  /** A command on PATH, of the same minor version; it can't call builtins by name. */
  | { readonly kind: 'opa'; readonly command: string; readonly version: string };

const SCRIPTS = ['worker.mjs', 'wasm_exec.js'];

/** The built toolchain of a folder, when the folder is whole. */
const builtIn = (folder: URL): Located | undefined => {
  const has = (name: string): boolean => existsSync(new URL(name, folder));
  if (!SCRIPTS.every(has) || !(has('opa.wasm') || has('opa.wasm.br'))) return undefined;
  return { kind: 'built', worker: fileURLToPath(new URL('worker.mjs', folder)) };
};

const minorOf = (version: string): string => version.split('.').slice(0, 2).join('.');

const onPath = async (): Promise<Located | undefined> => {
  try {
    const { stdout } = await promisify(execFile)('opa', ['version'], { timeout: 10_000 });
    const version = /^Version: (\S+)/m.exec(stdout)?.[1];
    return version !== undefined && minorOf(version) === minorOf(OPA_VERSION) ? { kind: 'opa', command: 'opa', version } : undefined;
  } catch {
    return undefined;
  }
};

/** Rejects with `ToolchainMissing` when there is none; `folders` is for tests. */
export const locateToolchain = async (folders: readonly URL[] = FOLDERS): Promise<Located> => {
  for (const folder of folders) {
    const built = builtIn(folder);
    if (built !== undefined) return built;
  }
  const opa = await onPath();
  if (opa !== undefined) return opa;
  throw new ToolchainMissing(
    `no Rego toolchain: the npm package of curfew carries it; in a clone install Go (https://go.dev/dl) and run "npm run toolchain"; or put opa ${minorOf(OPA_VERSION)} on PATH (https://www.openpolicyagent.org/docs#1-download-opa)`,
  );
};
