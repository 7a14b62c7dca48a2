/** What OPA built, reduced to what Curfew serves and made reproducible: the revision is a hash of the content. */
import { createHash } from 'node:crypto';
import { BUNDLE_LIMITS } from '../bundle/limits.ts';
import { readArchive } from '../bundle/read-archive.ts';
import { writeArchive } from '../bundle/write-archive.ts';
import { SourcesRefused } from './fault.ts';
import type { CompileOptions, Sources, Toolchain } from './toolchain.ts';

export interface PackedBundle {
  readonly revision: string;
  readonly archive: Uint8Array;
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** From OPA's archive; `name` begins the revision where none is given. */
export const packBundle = async (opaArchive: Uint8Array, name: string, given?: string): Promise<PackedBundle> => {
  const files = await readArchive(opaArchive, BUNDLE_LIMITS);
  const part = (file: string): Buffer => {
    const bytes = files.get(file);
    if (bytes === undefined) throw new SourcesRefused([{ code: 'opa_error', message: `OPA built a bundle without ${file}` }]);
    return bytes;
  };
  const [wasm, data] = [part('policy.wasm'), files.get('data.json') ?? Buffer.from('{}\n')];
  const { roots, wasm: entrypoints, rego_version } = JSON.parse(part('.manifest').toString('utf8')) as Record<string, unknown>;
  const content = createHash('sha256');
  for (const bytes of [wasm, data, Buffer.from(JSON.stringify([roots, entrypoints]))]) content.update(sha256(bytes));
  const revision = given ?? `${name}-${content.digest('hex').slice(0, 12)}`;
  const manifest = Buffer.from(JSON.stringify({ revision, roots, wasm: entrypoints, rego_version }));
  return { revision, archive: writeArchive([['.manifest', manifest], ['data.json', data], ['policy.wasm', wasm]]) };
};

/** Compiles sources into a bundle that this engine loads, the same bytes every time. */
export const buildBundle = async (toolchain: Toolchain, sources: Sources, name: string, options: CompileOptions): Promise<PackedBundle> =>
  packBundle(await toolchain.compile(sources, options), name);
