/**
 * Writes down, ahead of time, an instant below which no later process may fall (I9). Ahead of the wall, not of the mark itself:
 * quick restarts don't push it into the future.
 */
import type { Clock } from '../decision/ports.ts';
import { plus, type Instant } from '../domain/instant.ts';

const EVERY_MS = 500;
const AHEAD_MS = 1_000;

export const nextClockMark = (clock: Pick<Clock, 'now'>): Instant => {
  const { earliest, latest } = clock.now();
  return Math.max(latest, plus(earliest, AHEAD_MS)) as Instant;
};

export interface ClockMarkWriter {
  stop(): void;
}

/** Resolves after the first mark is written. */
export const startClockMark = async (
  clock: Pick<Clock, 'now'>, write: (mark: Instant) => Promise<void>, onFailure: (error: unknown) => void,
): Promise<ClockMarkWriter> => {
  await write(nextClockMark(clock));
  let writing = false;
  const timer = setInterval(() => {
    if (writing || !clock.now().trusted) return;
    writing = true;
    write(nextClockMark(clock)).catch(onFailure).finally(() => { writing = false; });
  }, EVERY_MS);
  return { stop: () => clearInterval(timer) };
};
