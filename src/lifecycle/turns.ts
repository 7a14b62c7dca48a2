/**
 * Commands on one record take turns within a process, so that a burst on it does not spend itself on conflicts. An aid only: that
 * nothing moved between reading and committing is the store's expected versions' doing.
 */
export type Turns = <T>(key: string, act: () => Promise<T>) => Promise<T>;

export const createTurns = (): Turns => {
  const last = new Map<string, Promise<unknown>>();
  return async (key, act) => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(act, act);
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
};
