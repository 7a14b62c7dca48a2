/** Work that is done again and again while the process runs, one round after the other. */
export interface Rounds {
  start(): void;
  /** Resolves when the round under way has ended. */
  stop(): Promise<void>;
}

export interface RoundsOptions {
  readonly round: () => Promise<unknown>;
  /** Pause before the first round, and after one that took `tookMs`. */
  readonly pauseMs: (tookMs: number) => number;
  readonly monotonicMs: () => number;
  /** Told when a round failed; the next one comes all the same. */
  readonly onError: (error: unknown) => void;
}

export const createRounds = ({ round, pauseMs, monotonicMs, onError }: RoundsOptions): Rounds => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let current: Promise<unknown> = Promise.resolve();
  let running = false;

  const later = (tookMs: number): void => {
    timer = setTimeout(() => {
      const beganMs = monotonicMs();
      current = round().catch(onError).then(() => {
        if (running) later(monotonicMs() - beganMs);
      });
    }, pauseMs(tookMs));
    timer.unref();
  };
  return {
    start: () => {
      if (running) return;
      running = true;
      later(0);
    },
    stop: async () => {
      running = false;
      clearTimeout(timer);
      await current;
    },
  };
};

export const together = (all: readonly Rounds[]): Rounds => ({
  start: () => {
    for (const rounds of all) rounds.start();
  },
  stop: async () => {
    await Promise.all(all.map((rounds) => rounds.stop()));
  },
});
