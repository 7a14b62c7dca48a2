/**
 * Places for decisions in a log. With `block` a decision begins only when there is one: its record fits into what may wait, and its number
 * lies in what is reserved on disk. It waits for one as long as it may, then gets none, and is to be denied. Otherwise everybody has one.
 */
export interface Places {
  /** `undefined`: there is a place. Otherwise resolves to whether there is one after all. */
  take(): Promise<boolean> | undefined;
  /** So many decisions that had a place are written, or given up. */
  done(count: number): void;
  /** Decisions up to this number are reserved. */
  reserved(to: number): void;
  /** Up to where should be reserved now. */
  wanted(): number;
  /** How many decisions came since the last call; reserving looks ahead by as many. */
  measure(): void;
  readonly waiting: number;
}

export interface PlacesOptions {
  readonly blocks: boolean;
  /** Decisions under way or waiting to be written. */
  readonly max: number;
  readonly waitMs: number;
  /** More has to be reserved, now. */
  readonly onWant: () => void;
}

export const RANGE_MIN = 256;
const RANGE_MAX = 16_384;

export const createPlaces = ({ blocks, max, waitMs, onWant }: PlacesOptions): Places => {
  let given = 0;
  let finished = 0;
  let reservedTo = 0;
  let range = RANGE_MIN;
  let measured = 0;
  const waiters = new Set<(got: boolean) => void>();

  const room = (): boolean => given - finished < max && given < reservedTo;
  const look = (): void => {
    if (!(given < reservedTo - range / 2)) onWant();
  };
  const release = (): void => {
    for (const waiter of waiters) {
      if (!room()) return;
      given += 1;
      waiter(true);
    }
  };

  return {
    take: () => {
      if (!blocks || (waiters.size === 0 && room())) {
        given += 1;
        look();
        return undefined;
      }
      look();
      if (waiters.size >= max) return Promise.resolve(false);
      return new Promise((resolve) => {
        const waiter = (got: boolean): void => {
          clearTimeout(timer);
          waiters.delete(waiter);
          resolve(got);
        };
        const timer = setTimeout(waiter, waitMs, false);
        waiters.add(waiter);
      });
    },
    done: (count) => {
      finished += count;
      release();
    },
    reserved: (to) => {
      reservedTo = Math.max(reservedTo, to);
      release();
    },
    wanted: () => Math.max(reservedTo, given + range),
    measure: () => {
      range = Math.min(RANGE_MAX, Math.max(RANGE_MIN, given - measured));
      measured = given;
    },
    get waiting() {
      return waiters.size;
    },
  };
};
