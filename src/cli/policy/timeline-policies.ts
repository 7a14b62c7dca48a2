/** What a timeline is told about: the folder under test, the pack that comes with Curfew, or folders laid over one another. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Policy } from '../../decision/ports.ts';
import { loadPolicy } from '../../policy/load-policy.ts';
import { SourcesRefused } from '../../policy/toolchain/fault.ts';
import { hasRego, readSources } from '../../policy/toolchain/read-sources.ts';
import type { Sources } from '../../policy/toolchain/toolchain.ts';
import type { OpenToolchain } from './test-folder.ts';

export const DEFAULT_PACK = fileURLToPath(new URL('../../../policies/curfew/', import.meta.url));
const DEFAULT_BUNDLE = fileURLToPath(new URL('../../../bundles/curfew.tar.gz', import.meta.url));
const ENTRYPOINTS = ['curfew/access/decision'];
const DEFAULT = 'default';

/** One bundle's sources out of several folders; tests stay out. Faults are told with where a file really is. */
const layered = (folders: readonly string[]): { readonly sources: Sources; readonly paths: ReadonlyMap<string, string> } => {
  const sources: Record<string, string> = Object.create(null) as Record<string, string>;
  const paths = new Map<string, string>();
  for (const folder of folders) {
    for (const [name, text] of Object.entries(readSources(folder))) {
      if (name.endsWith('_test.rego') || name === '.manifest') continue;
      const other = paths.get(name);
      if (other !== undefined) throw new SourcesRefused([{ code: 'sources', message: `${join(folder, name)} and ${other} have one name: give one of them another, or put it into a folder (data.json: by the path of its data)` }]);
      sources[name] = text;
      paths.set(name, join(folder, name));
    }
  }
  return { sources, paths };
};

const placed = (error: unknown, paths: ReadonlyMap<string, string>): unknown =>
  error instanceof SourcesRefused ? new SourcesRefused(error.faults.map((fault) => (fault.file === undefined ? fault : { ...fault, file: paths.get(fault.file) ?? fault.file }))) : error;

/** For the timelines of one folder; each policy is compiled once. */
export const policiesOf = (open: OpenToolchain, folder: string): ((file: string, folders: readonly string[] | undefined) => Promise<Policy>) => {
  const known = new Map<string, Promise<Policy>>();

  const load = async (folders: readonly string[]): Promise<Policy> => {
    if (folders.length === 1 && folders[0] === DEFAULT_PACK) return loadPolicy(readFileSync(DEFAULT_BUNDLE), { entrypoints: ENTRYPOINTS });
    const { sources, paths } = layered(folders);
    try {
      const toolchain = await open();
      return await loadPolicy(await toolchain.compile(sources, { entrypoints: ENTRYPOINTS }), { entrypoints: ENTRYPOINTS, opaBuiltins: true });
    } catch (error) {
      throw placed(error, paths);
    }
  };
  return (file, folders) => {
    const own = hasRego(folder) ? [folder] : [DEFAULT_PACK];
    const resolved = folders?.map((one) => (one === DEFAULT ? DEFAULT_PACK : join(dirname(file), one))) ?? own;
    const key = JSON.stringify(resolved);
    const policy = known.get(key) ?? load(resolved);
    known.set(key, policy);
    return policy;
  };
};
