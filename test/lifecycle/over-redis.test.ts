/** The life of a grant over Redis: the tests of requests, approvals, extension, delegation, leaving, self-service, tasks and the admin API, as they are, on a real server. */
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { NodeStore } from '../../src/store/port.ts';
import { describeWith } from '../parts.ts';
import { openTestRedis } from '../store/redis-location.ts';
import { MEMORY, startRedis, type RedisServer } from '../support/redis.ts';
import { worldsOver } from './world.ts';

describeWith(['redis'], 'over Redis', async () => {
  let server: RedisServer;
  let database = 0;
  const open: NodeStore[] = [];
  beforeAll(async () => {
    server = await startRedis([...MEMORY, '--databases', '4000']);
    worldsOver(async (clock) => {
      database += 1;
      const store = await openTestRedis(JSON.stringify({ port: server.port, database }), clock);
      open.push(store);
      return store;
    });
  });
  afterEach(async () => {
    for (const store of open.splice(0)) await store.close();
  });
  afterAll(async () => {
    worldsOver(undefined);
    await server.stop();
  });
  await import('./requests.test.ts');
  await import('./extension.test.ts');
  await import('./delegation.test.ts');
  await import('./leaving.test.ts');
  await import('./guards.test.ts');
  await import('./near-and-late.test.ts');
  await import('./self-service.test.ts');
  await import('./tasks.test.ts');
  await import('./sweeper.test.ts');
  await import('../admin/contract.test.ts');
});
