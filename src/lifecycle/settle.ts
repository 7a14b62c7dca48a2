/** Waits on the monotonic clock: a timer may fire early, and the wall clock may be set. */
export type Settle = (ms: number) => Promise<void>;

export const createSettle = (clock: { monotonicMs(): number }): Settle => async (ms) => {
  const until = clock.monotonicMs() + ms;
  for (let left = ms; left > 0; left = until - clock.monotonicMs()) {
    const wait = Math.ceil(left);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
};
