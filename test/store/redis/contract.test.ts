/** The contract of every store, on a real Redis server. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../../parts.ts';
import { startRedis, type RedisServer } from '../../support/redis.ts';
import { compile } from '../compiled.ts';
import { storeContract } from '../contract.ts';
import { openTestRedis } from '../redis-location.ts';

describeWith(['redis'], 'Redis', () => {
  let server: RedisServer;
  let places = 0;
  const compiled = compile(['test/store/peer.ts']);
  beforeAll(async () => {
    server = await startRedis(['--appendonly', 'no', '--save', '', '--databases', '200']);
  });
  afterAll(async () => {
    compiled.remove();
    await server.stop();
  });
  storeContract({
    driver: 'redis',
    place: () => {
      places += 1;
      return JSON.stringify({ port: server.port, database: places });
    },
    open: openTestRedis,
    peerFile: compiled.fileOf('test/store/peer.ts'),
  });

  test('the scripts are in the server as they are in the source, and nothing else was loaded', async () => {
    expect(await server.send('INFO memory')).toMatch(/number_of_cached_scripts:2\r\n/);
  });
});
