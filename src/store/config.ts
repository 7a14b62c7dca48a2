/** Options of the store: which one, and those of each. */
import { z } from 'zod';
import { embeddedStoreConfig } from './embedded/config.ts';
import { redisStoreConfig } from './redis/config.ts';

export const storeConfig = z.strictObject({
  kind: z.enum(['embedded', 'redis']).default('embedded').describe('`embedded`: LMDB in a directory, for one machine. `redis`: a Redis or Valkey server, for several nodes'),
  ...embeddedStoreConfig.shape,
  redis: redisStoreConfig.prefault({}),
});

export type StoreConfig = z.output<typeof storeConfig>;
