/**
 * Bounded memory for what was read. Memos of one space share its bound; each has two generations, so that what was used since
 * the last turn survives the next one.
 */
export interface MemoSpace {
  /** Bytes spent in this generation, estimated. */
  spent: number;
  generation: number;
  readonly generationBytes: number;
}

export interface Memo<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  delete(key: string): void;
}

/** All memos of the space together hold about `bytesMax` bytes. */
export const createMemoSpace = (bytesMax: number): MemoSpace => ({ spent: 0, generation: 0, generationBytes: bytesMax / 2 });

export const createMemo = <V extends { readonly cost: number }>(space: MemoSpace): Memo<V> => {
  let young = new Map<string, V>();
  let old = new Map<string, V>();
  let generation = space.generation;
  const turn = (): void => {
    if (generation === space.generation) return;
    old = generation === space.generation - 1 ? young : new Map<string, V>();
    young = new Map();
    generation = space.generation;
  };
  const keep = (key: string, value: V): void => {
    // A value that replaces another is counted as well: the bound errs on the small side.
    space.spent += value.cost;
    young.set(key, value);
    if (space.spent <= space.generationBytes) return;
    space.spent = 0;
    space.generation += 1;
  };
  return {
    get: (key) => {
      turn();
      const value = young.get(key);
      if (value !== undefined) return value;
      const older = old.get(key);
      if (older !== undefined) keep(key, older);
      return older;
    },
    set: (key, value) => {
      turn();
      keep(key, value);
    },
    delete: (key) => {
      young.delete(key);
      old.delete(key);
    },
  };
};

/** While there is room a second question is enough. Later what comes in puts something out, and must have been asked about that often. */
const TIMES_MAX = 8;

/**
 * Says whether what is under a key is worth remembering. With more records than memory, remembering each one that is read would cost
 * more than it saves: what comes in makes garbage of what was there, and most of it is never asked about again. It may err either
 * way; that costs a read, nothing else.
 */
export const createDoorkeeper = (space: MemoSpace, size: number): ((key: string) => boolean) => {
  const seen = new Int32Array(size);
  const times = new Uint8Array(size);
  return (key) => {
    let hash = 0x811c9dc5;
    for (let index = 0; index < key.length; index += 1) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
    const place = (hash >>> 1) % size;
    const before = times[place] as number;
    if (seen[place] === hash) {
      if (before < TIMES_MAX) times[place] = before + 1;
      return before + 1 >= (space.generation === 0 ? 2 : TIMES_MAX);
    }
    // What was asked about more often gives way slowly.
    if (before > 1) times[place] = before - 1;
    else {
      seen[place] = hash;
      times[place] = 1;
    }
    return false;
  };
};
