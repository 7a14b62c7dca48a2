/** Runs a suite on a real node over its own store and over a real Redis server. */
import { describeWith, type Part } from '../parts.ts';
import { MEMORY, startRedis } from './redis.ts';

export interface NodeStore {
  /** Lines of the node's configuration. */
  readonly yaml: string;
  /** So far the store's clock, which says when something was committed, may be from the node's: with Redis `maxClockSkewMs`. */
  readonly skewMs: number;
  stop(): Promise<void>;
}

export const onBothNodeStores = (needed: readonly Part[], name: string, body: (open: () => Promise<NodeStore>) => void): void => {
  describeWith(needed, `${name}, embedded`, () => body(async () => ({ yaml: '', skewMs: 1, stop: async () => undefined })));
  describeWith([...needed, 'redis'], `${name}, Redis`, () =>
    body(async () => {
      const server = await startRedis(MEMORY);
      return {
        yaml: `store: {kind: redis, redis: {port: ${server.port}, durability: memory, waitAtStartMs: 10000}}\n`,
        skewMs: 1_000,
        stop: async () => {
          const held = await server.send('DBSIZE');
          await server.stop();
          if (!/^:[1-9]/.test(held)) throw new Error(`the node kept nothing in Redis: ${held}`);
        },
      };
    }));
};
