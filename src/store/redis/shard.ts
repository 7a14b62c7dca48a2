/**
 * One primary of a cluster, as the library's map says at the moment of each command. What is sent through it goes over one connection, in order,
 * and is never sent elsewhere: a server that is not the one any more says so, the command fails, and the map is asked for anew. So `WAIT` speaks of
 * what was written before it, and a lease of the server that facts are read from.
 */
import type { Cluster, Redis } from 'ioredis';
import { slotOf } from './slot.ts';

export interface Shard {
  /** Throws where nobody is known. */
  primary(): Redis;
  /** Another number with every other primary and every other connection to it; NaN, which equals nothing, where there is none. */
  generation(): number;
  /** Who is the primary may have changed. */
  missed(): void;
}

const REFRESH_AT_MOST_EVERY_MS = 100;

/** `generationOf`: of one server's connection. */
export const shardsOf = (cluster: Cluster, generationOf: (node: Redis) => number | undefined): { of(key: string): Shard; refresh(): void } => {
  let resting = false;
  const refresh = (): void => {
    if (resting) return;
    resting = true;
    setTimeout(() => { resting = false; }, REFRESH_AT_MOST_EVERY_MS).unref();
    cluster.refreshSlotsCache(() => undefined);
  };
  const find = (slot: number): Redis | undefined => {
    const name = cluster.slots[slot]?.[0];
    return name === undefined ? undefined : cluster.nodes('master').find(({ options: { host, port } }) => `${host}:${port}` === name);
  };
  const shards = new Map<number, Shard>();
  return {
    refresh,
    of: (key) => {
      const slot = slotOf(key);
      const known = shards.get(slot);
      if (known !== undefined) return known;
      const shard: Shard = {
        primary: () => {
          const found = find(slot);
          if (found === undefined) throw new Error('Connection is closed: no primary of this slot is known');
          return found;
        },
        generation: () => {
          const found = find(slot);
          return (found === undefined ? undefined : generationOf(found)) ?? Number.NaN;
        },
        missed: refresh,
      };
      shards.set(slot, shard);
      return shard;
    },
  };
};
