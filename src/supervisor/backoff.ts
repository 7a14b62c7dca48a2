/** How long to wait before a worker is replaced: not at all the first time, then doubling up to a bound; long life starts it anew. */
const FIRST_MS = 100;
const MS_MAX = 5_000;
const FORGOTTEN_AFTER_MS = 30_000;

export interface Backoff {
  /** Call when a worker has ended by itself; `livedMs` is how long it had been ready. */
  next(livedMs: number): number;
}

export const createBackoff = (): Backoff => {
  let failures = 0;
  return {
    next: (livedMs) => {
      if (livedMs >= FORGOTTEN_AFTER_MS) failures = 0;
      failures += 1;
      return failures === 1 ? 0 : Math.min(MS_MAX, FIRST_MS * 2 ** (failures - 2));
    },
  };
};
