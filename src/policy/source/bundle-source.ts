/**
 * Where a bundle comes from. A source gives files in memory and says when they may have changed; it does not judge them:
 * signatures, compiling and the check before activation are the same for all sources (see `prepare-bundle.ts`).
 */
import type { Manifest } from '../bundle/manifest.ts';

export interface SourceBundle {
  /** Of the source. */
  readonly name: string;
  /** Path or address, for messages; no secrets. */
  readonly where: string;
  /** Every file by its name relative to the bundle's root, without a leading `/`; `.manifest` and `.signatures.json` too. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The archive as it came, where it came as one. */
  readonly archive?: Uint8Array;
  readonly manifest: Manifest;
  readonly etag?: string;
  /** A signature was checked, and holds over exactly these files. */
  readonly verified: boolean;
}

export interface BundleSource {
  /** As the configuration calls it; `bundle` where there is one only. */
  readonly name: string;
  /** Path or address, for messages; no secrets. */
  readonly where: string;
  /** What is there now, whole. Rejects when it can't be had; `BundleRefused` or `SourcesRefused` when it is not as it must be. */
  read(): Promise<SourceBundle>;
  /** From now on looks by itself, and calls `onChange` whenever `read` may give something else. Called once. */
  watch(onChange: () => void): void;
  /** Looks now. Resolves when `read` gives the newest there is; rejects with why that can't be known. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}
