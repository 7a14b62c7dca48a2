/** The processes that decide, where they can be asked: what ends access is then enforced when they say so, not after a time. */
import type { Instant } from '../domain/instant.ts';

/** A process in which an answer may still be that it re-checked before: it has not said otherwise, and has not ended. */
export interface Unconfirmed {
  readonly node: string;
  /** Random, never used again. */
  readonly holder: string;
  readonly state: 'pending';
}

export interface Deciders {
  /**
   * Resolves when every answer that any of them re-checked before the call has left it, or it has ended; after a while to those of which that is
   * not known. Never rejects.
   */
  left(): Promise<readonly Unconfirmed[]>;
  /** Those that were asked whether everything before `at` has left them, and have not said so yet. */
  owing(at: Instant): readonly Unconfirmed[];
}

/** Joins calls: each gets what a round brings that began no sooner than it, and one round is under way at a time. `round` does not throw at once. */
export const joinRounds = <T>(round: () => Promise<T>): (() => Promise<T>) => {
  let underWay: Promise<T> | undefined;
  let following: Promise<T> | undefined;
  const begin = (): Promise<T> => {
    following = undefined;
    const mine = round();
    underWay = mine;
    const over = (): void => {
      if (underWay === mine) underWay = undefined;
    };
    mine.then(over, over);
    return mine;
  };
  // A round that was called for and has not begun yet begins after this call.
  return () => following ?? (underWay === undefined ? begin() : (following = underWay.then(begin, begin)));
};
