/** Reproducible draws: the same seed gives the same sequence on every machine. */
export type Draw = () => number;

/** mulberry32; [0, 1). */
export const randomOf = (seed: number): Draw => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

export const uniform = (count: number, random: Draw): Draw => () => Math.floor(random() * count);

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * Zipf with exponent 1 by its continuous form: rank k with probability log((k + 1) / k) / log(count + 1). Ranks are spread over the
 * indexes, so that the popular ones aren't neighbours in a store.
 */
export const zipf = (count: number, random: Draw): Draw => {
  let step = Math.max(1, Math.floor(count * 0.618));
  while (gcd(step, count) !== 1) step += 1;
  return () => {
    const place = Math.min(count, Math.floor((count + 1) ** random()));
    return (place * step) % count;
  };
};
