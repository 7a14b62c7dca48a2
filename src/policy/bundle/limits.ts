/** What a bundle's archive may cost before it is understood. */
export interface BundleLimits {
  readonly archiveBytesMax: number;
  readonly unpackedBytesMax: number;
  /** Unpacked size over archive size; archives that unpack to less than `ratioFreeBytes` are not judged by it. */
  readonly ratioMax: number;
  readonly ratioFreeBytes: number;
  readonly entriesMax: number;
  readonly nameCharsMax: number;
  readonly jsonDepthMax: number;
}

export const BUNDLE_LIMITS: BundleLimits = {
  archiveBytesMax: 32 * 1024 * 1024,
  unpackedBytesMax: 128 * 1024 * 1024,
  ratioMax: 100,
  ratioFreeBytes: 1024 * 1024,
  entriesMax: 1_000,
  nameCharsMax: 255,
  jsonDepthMax: 64,
};
