/** A bounded memory of two generations: what was used since the last turn survives the next one. */
export interface Memo<V> {
  get(key: string): V | undefined;
  /** `cost` in bytes, estimated. */
  set(key: string, value: V, cost: number): void;
}

interface Held<V> {
  readonly value: V;
  readonly cost: number;
}

/** Keeps at most about `costMax` bytes. */
export const createMemo = <V>(costMax: number): Memo<V> => {
  let young = new Map<string, Held<V>>();
  let old = new Map<string, Held<V>>();
  let spent = 0;
  const keep = (key: string, held: Held<V>): void => {
    if (spent + held.cost > costMax / 2) {
      old = young;
      young = new Map();
      spent = 0;
    }
    // A replaced value is counted again: the bound errs on the small side.
    spent += held.cost;
    young.set(key, held);
  };
  return {
    get: (key) => {
      const held = young.get(key);
      if (held !== undefined) return held.value;
      const older = old.get(key);
      if (older === undefined) return undefined;
      keep(key, older);
      return older.value;
    },
    set: (key, value, cost) => keep(key, { value, cost }),
  };
};
