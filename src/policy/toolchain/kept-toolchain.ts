/** One toolchain for a process: opened when it is asked for first, warm until it is let go. */
import { openToolchain } from './open-toolchain.ts';
import type { Toolchain } from './toolchain.ts';

export interface KeptToolchain {
  /** Rejects with `ToolchainMissing`, and tries again at the next call. */
  get(): Promise<Toolchain>;
  /** Ends it, which frees some 200 MB; the next `get` starts another one. */
  letGo(): Promise<void>;
}

export const keepToolchain = (open: () => Promise<Toolchain> = openToolchain): KeptToolchain => {
  let kept: Promise<Toolchain> | undefined;
  return {
    get: () => {
      kept ??= open().catch((error: unknown) => {
        kept = undefined;
        throw error;
      });
      return kept;
    },
    letGo: async () => {
      const held = kept;
      kept = undefined;
      await (await held?.catch(() => undefined))?.close();
    },
  };
};
