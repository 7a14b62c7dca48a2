/** A compiled bundle, understood: what the engine loads and what a decision cites. Nothing here runs the policy. */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../../domain/json.ts';
import { BundleRefused, quoted } from './bundle-refused.ts';
import { isDataFile } from './entry-name.ts';
import { readManifest } from './manifest.ts';
import { parseJsonObject } from './parse-json.ts';
import { readArchive } from './read-archive.ts';
import { BUNDLE_LIMITS, type BundleLimits } from './limits.ts';
import { checkRoots } from './roots.ts';

export interface Bundle {
  /** The manifest's revision; where it has none, `sha256-` and the first 12 digits of the digest. */
  readonly revision: string;
  /** SHA-256 of the archive's bytes as loaded, hex. */
  readonly digest: string;
  readonly wasm: Uint8Array;
  readonly data: JsonObject;
  /** `data` as it stood in the archive: numbers keep their digits. */
  readonly dataText: string;
  /** Entrypoints by the manifest, in its order. */
  readonly entrypoints: readonly string[];
  readonly roots: readonly string[];
  /** `.signatures.json` as it stood in the archive. */
  readonly signatures?: Uint8Array;
}

/** Reads a `.tar.gz`; rejects with `BundleRefused`, and with nothing else. */
export const readBundle = async (archive: Uint8Array, limits: BundleLimits = BUNDLE_LIMITS): Promise<Bundle> => {
  const files = await readArchive(archive, limits);
  const stray = [...files.keys()].find((name) => isDataFile(name) && name !== 'data.json');
  if (stray !== undefined) throw new BundleRefused('entry.unexpected', `${quoted(stray)} has no place in a compiled bundle, whose data is in data.json`);
  if (!files.has('.manifest')) throw new BundleRefused('manifest.malformed', 'has no .manifest');
  const manifest = readManifest(files.get('.manifest'), limits);
  if (manifest.wasm === undefined || manifest.wasm.length === 0) throw new BundleRefused('manifest.malformed', '.manifest: "wasm" names no entrypoint');
  const wasm = files.get('policy.wasm');
  if (wasm === undefined) throw new BundleRefused('wasm.missing', 'has no policy.wasm (build it with `opa build -t wasm`)');
  const data = parseJsonObject(files.get('data.json') ?? Buffer.from('{}'), 'data.malformed', 'data.json', limits);
  checkRoots(manifest.roots, data.value);
  const digest = createHash('sha256').update(archive).digest('hex');
  const signatures = files.get('.signatures.json');
  return {
    revision: manifest.revision === '' ? `sha256-${digest.slice(0, 12)}` : manifest.revision,
    digest,
    wasm,
    data: data.value,
    dataText: data.text,
    entrypoints: manifest.wasm.map(({ entrypoint }) => entrypoint),
    roots: manifest.roots,
    ...(signatures === undefined ? {} : { signatures }),
  };
};
