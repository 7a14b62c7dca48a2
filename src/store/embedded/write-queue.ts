/**
 * Lets few writes at a time into LMDB. All that wait there run in one turn of the event loop, inside one transaction: a thousand
 * of them would hold the loop, and with it every decision, for a tenth of a second. Those beyond wait here, in order.
 */
import { StoreUnavailable } from '../port.ts';

export interface WriteQueue {
  /** Runs `start` when there is room; rejects at once when too many wait. */
  run<T>(start: () => Promise<T>): Promise<T>;
  /** Resolves when nothing runs or waits. */
  idle(): Promise<void>;
}

const AT_ONCE = 64;
const WAITING_MAX = 10_000;

export const createWriteQueue = (): WriteQueue => {
  const waiting: (() => void)[] = [];
  const whenIdle: (() => void)[] = [];
  let running = 0;
  const done = (): void => {
    const next = waiting.shift();
    // The place goes over to the one that waits longest.
    if (next !== undefined) return next();
    running -= 1;
    if (running === 0) for (const resolve of whenIdle.splice(0)) resolve();
  };
  return {
    run: async (start) => {
      if (running >= AT_ONCE) {
        if (waiting.length >= WAITING_MAX) throw new StoreUnavailable(`${WAITING_MAX} writes wait already; nothing was changed`);
        await new Promise<void>((resolve) => waiting.push(resolve));
      } else running += 1;
      try {
        return await start();
      } finally {
        done();
      }
    },
    idle: () => (running === 0 ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve))),
  };
};
