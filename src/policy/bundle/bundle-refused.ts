/** Why a bundle was not taken. The active bundle stays. */
export type BundleFault =
  | 'archive.too_large'
  | 'archive.corrupt'
  | 'archive.ratio'
  | 'entry.count'
  | 'entry.name'
  | 'entry.type'
  | 'entry.duplicate'
  | 'entry.unexpected'
  | 'manifest.malformed'
  | 'data.malformed'
  | 'entitlements.invalid'
  | 'roots.conflict'
  | 'bundles.mixed'
  | 'wasm.missing'
  | 'wasm.invalid'
  | 'builtins.unserved'
  | 'signature.missing'
  | 'signature.malformed'
  | 'signature.key'
  | 'signature.invalid'
  | 'signature.scope'
  | 'signature.files'
  | 'revision.older'
  | 'entrypoint.missing'
  | 'tests.failed'
  | 'canary.failed';

export class BundleRefused extends Error {
  readonly fault: BundleFault;

  /** `message` is for operators and names the place; names from the archive appear quoted and shortened. */
  constructor(fault: BundleFault, message: string, options?: { cause?: unknown }) {
    super(`bundle refused: ${message}`, options);
    this.name = 'BundleRefused';
    this.fault = fault;
  }
}

/** A name from outside, fit for a message: quoted, escaped and at most 100 characters. */
export const quoted = (name: string): string => JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
