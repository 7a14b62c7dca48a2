/** Opens the Redis store where a test says, under the test's clock. */
import type { Clock } from '../../src/decision/ports.ts';
import { openLeasedStore } from '../../src/store/leased/open.ts';
import { openProvenStore } from '../../src/store/leased/proven.ts';
import { redisStoreConfig } from '../../src/store/redis/config.ts';
import { openRedisStore } from '../../src/store/redis/open.ts';
import type { NodeStore } from '../../src/store/port.ts';

/** `location`: settings of `store.redis` as JSON. */
export const openTestRedis = (location: string, clock: Pick<Clock, 'now'>): Promise<NodeStore> =>
  openRedisStore({
    config: redisStoreConfig.parse({ durability: 'memory', ...JSON.parse(location) }),
    mode: 'development',
    clock: { ...clock, monotonicMs: () => performance.now() },
    secrets: { readFile: () => '', env: (name) => process.env[name] },
    instant: () => clock.now().latest,
  });

/** One that remembers, and asks what changed before it answers. */
export const openTestProven = async (location: string, clock: Pick<Clock, 'now'>): Promise<NodeStore> => openProvenStore(await openTestRedis(location, clock), { bytesMax: 4 * 2 ** 20 });

/**
 * One that answers facts from memory. What the contract says of acknowledged commits holds for enforced ones here, so its commits
 * are acknowledged when everybody has applied them, or can answer from memory no more.
 */
export const openTestLeased = async (location: string, testClock: Pick<Clock, 'now'>): Promise<NodeStore> => {
  const clock = { ...testClock, monotonicMs: () => performance.now() };
  const strict = await openRedisStore({
    config: redisStoreConfig.parse({ durability: 'memory', ...JSON.parse(location), mode: 'leased' }),
    mode: 'development', clock, decides: true,
    secrets: { readFile: () => '', env: (name) => process.env[name] },
    instant: () => clock.now().latest,
  });
  const store = openLeasedStore(strict, { clock, bytesMax: 4 * 2 ** 20, gatherMs: 0, acknowledgesAll: true });
  return {
    ...store,
    commit: async (commit) => {
      const done = await store.commit(commit);
      if (done.outcome !== 'committed' && done.outcome !== 'replayed') return done;
      const { holders: _holders, ...outcome } = done;
      await store.enforced?.(commit.realm, outcome.position.sequence);
      return outcome;
    },
  };
};
