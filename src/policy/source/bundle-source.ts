/**
 * Where a bundle comes from. A source gives files in memory and says when they may have changed; it does not judge them:
 * signatures, compiling and the check before activation are the same for all sources (see `prepare-bundle.ts`).
 */
import type { Instant } from '../../domain/instant.ts';
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

/** When a server last said that the active bundle is the one it has, by both ways of counting time. */
export interface Confirmed {
  readonly at: Instant;
  readonly monotonicMs: number;
}

/** Told once, until something else happens. */
export interface SourceEvent {
  /** `failed`: can't be had. `refused`: had, and not acceptable. `kept.*`: the copy on disk can't be believed or written. */
  readonly kind: 'failed' | 'refused' | 'kept.refused' | 'kept.failed';
  readonly source: string;
  readonly detail: string;
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
  /** The last bundle that became active, from disk, verified again; `undefined` when there is none. */
  readKept?(): Promise<SourceBundle | undefined>;
  /** What `read` or `readKept` gave became active. */
  accepted?(bundle: SourceBundle): Promise<void>;
  /** Absent: this source has nobody who could stop confirming. */
  confirmed?(): Confirmed | undefined;
  /** Why what the source has last is not what is active, if so. */
  notice?(): SourceEvent | undefined;
  close(): Promise<void>;
}
