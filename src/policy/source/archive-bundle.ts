/** From an archive's bytes to what a source gives. */
import { BUNDLE_LIMITS, type BundleLimits } from '../bundle/limits.ts';
import { readManifest } from '../bundle/manifest.ts';
import { readArchive } from '../bundle/read-archive.ts';
import type { SourceBundle } from './bundle-source.ts';

/** Rejects with `BundleRefused`. */
export const archiveBundle = async (
  from: Pick<SourceBundle, 'name' | 'where' | 'etag'>,
  archive: Uint8Array,
  limits: BundleLimits = BUNDLE_LIMITS,
): Promise<SourceBundle> => {
  const files = await readArchive(archive, limits);
  return { ...from, files, archive, manifest: readManifest(files.get('.manifest'), limits), verified: false };
};
