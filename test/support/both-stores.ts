/** Runs a suite over LMDB and over a real Redis server, under the test's clock. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import type { Clock } from '../../src/decision/ports.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import type { NodeStore } from '../../src/store/port.ts';
import { describeWith } from '../parts.ts';
import { openTestRedis } from '../store/redis-location.ts';
import { MEMORY, startRedis, type RedisServer } from './redis.ts';

/** A new, empty store; closed after the test. With `again`, the same one is opened once more, as another process would. */
export type OpenStore = (clock: Clock, again?: boolean) => Promise<NodeStore>;

export const onBothStores = (name: string, body: (open: OpenStore) => void): void => {
  describe(`${name}, embedded`, () => {
    const open: NodeStore[] = [];
    let path = '';
    afterEach(async () => {
      for (const store of open.splice(0)) await store.close();
      rmSync(path, { recursive: true, force: true });
    });
    body(async (clock, again = false) => {
      if (again) for (const store of open.splice(0)) await store.close();
      else path = mkdtempSync(join(tmpdir(), 'curfew-both-'));
      const store = await openEmbeddedStore({ path, mode: 'development', clock, mapSizeBytes: 256 * 2 ** 20 });
      open.push(store);
      return store;
    });
  });
  describeWith(['redis'], `${name}, Redis`, () => {
    const open: NodeStore[] = [];
    let server: RedisServer;
    let database = 0;
    beforeAll(async () => {
      server = await startRedis([...MEMORY, '--databases', '200']);
    });
    afterEach(async () => {
      for (const store of open.splice(0)) await store.close();
    });
    afterAll(() => server.stop());
    body(async (clock, again = false) => {
      if (!again) database += 1;
      const store = await openTestRedis(JSON.stringify({ port: server.port, database }), clock);
      open.push(store);
      return store;
    });
  });
};
