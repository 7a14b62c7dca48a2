/** How fast is this machine, now? A fixed piece of arithmetic, by which times measured on different machines can be compared. */
const LOOPS = 40_000_000;

/** Milliseconds that 40 million steps of a 32-bit xorshift take, which an optimiser can't drop. */
export const calibrate = (monotonicMs: () => number, loops = LOOPS): number => {
  const from = monotonicMs();
  let state = 2_463_534_242;
  for (let index = 0; index < loops; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
  }
  const took = monotonicMs() - from;
  if (state === 0) throw new Error('a xorshift never reaches 0');
  return took;
};
