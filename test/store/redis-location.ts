/** Opens the Redis store where a test says, under the test's clock. */
import type { Clock } from '../../src/decision/ports.ts';
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
