/** Waits for what a decision needs no longer than its deadline. */
import type { Reason } from '../domain/reasons.ts';
import { Denied } from './denied.ts';
import type { Clock } from './ports.ts';

/** Rejects with `late` as the denial. */
export type Within = <T>(value: Promise<T>, startedMs: number, late: Reason) => Promise<T>;

export const createWithin = (clock: Pick<Clock, 'monotonicMs'>, deadlineMs: number): Within => async (value, startedMs, late) => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const left = deadlineMs - (clock.monotonicMs() - startedMs);
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Denied(late)), Math.max(0, left));
  });
  try {
    return await Promise.race([value, timeout]);
  } finally {
    clearTimeout(timer);
  }
};
