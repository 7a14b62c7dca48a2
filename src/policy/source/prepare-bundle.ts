/** From what the sources gave to the one archive that is loaded. */
import { BundleRefused } from '../bundle/bundle-refused.ts';
import type { SourceBundle } from './bundle-source.ts';

export interface PreparedBundle {
  /** What the supervisor and every worker load. */
  readonly archive: Uint8Array;
}

/** Rejects with `BundleRefused` or `SourcesRefused`. */
export const prepareBundle = async (bundles: readonly SourceBundle[]): Promise<PreparedBundle> => {
  const [first] = bundles;
  if (bundles.length === 1 && first?.archive !== undefined && first.files.has('policy.wasm')) return { archive: first.archive };
  throw new BundleRefused('wasm.missing', 'has no policy.wasm (build it with `opa build -t wasm`)');
};
