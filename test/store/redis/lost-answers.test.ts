/** E8, I8: connections that break at the worst moment. At most one effect, and an unknown outcome is said to be unknown. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DurationMs } from '../../../src/domain/instant.ts';
import { StoreUnavailable, type Commit, type NodeStore } from '../../../src/store/port.ts';
import { redisStoreConfig } from '../../../src/store/redis/config.ts';
import { openRedisStore } from '../../../src/store/redis/open.ts';
import { createClock } from '../../../src/time/clock.ts';
import { describeWith } from '../../parts.ts';
import { MEMORY, startRedis, type RedisServer } from '../../support/redis.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const USES = { kind: 'uses', id: 'g' };
const use: Commit = { realm: 'default', expect: [], puts: [], increments: [{ key: USES, max: 1_000 }], events: [] };

describeWith(['redis'], 'a wire to Redis that breaks', () => {
  let server: RedisServer;
  let proxy: TcpProxy;
  let near: NodeStore;
  let far: NodeStore;
  const clock = createClock({ maxClockStepMs: 60_000 });
  const openAt = (port: number): Promise<NodeStore> =>
    openRedisStore({
      config: redisStoreConfig.parse({ port, durability: 'memory', readTimeoutMs: 300, commitTimeoutMs: 400, connectTimeoutMs: 500 }),
      mode: 'production', clock, secrets: { readFile: () => '', env: () => undefined }, lookEveryMs: 50,
    });
  beforeAll(async () => {
    server = await startRedis(MEMORY);
    proxy = await startTcpProxy(server.port);
    near = await openAt(server.port);
    far = await openAt(proxy.port);
    // The server has the script from here on: what is lost then is the commit's own answer.
    await far.commit(use);
  });
  afterAll(async () => {
    await far.close();
    await near.close();
    await proxy.close();
    await server.stop();
  });
  const count = async (): Promise<number> => ((await near.read('default', [USES]))[0]?.value['count'] as number | undefined) ?? 0;
  const PROBE: Commit = { realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id: 'probe' }, value: {} }], events: [] };
  /** Both of its connections. */
  const back = () => until('the far store to work', () => Promise.all([far.read('default', [USES]), far.commit(PROBE)]).then(() => true, () => false));
  /** What the commit says while the wire is broken by `fault`. */
  const during = async (commit: Commit, fault: () => Promise<unknown> | unknown): Promise<string> => {
    const outcome = far.commit(commit).then(({ outcome: said }) => said, (error: Error) => {
      expect(error).toBeInstanceOf(StoreUnavailable);
      return 'unknown';
    });
    await fault();
    return outcome;
  };

  test('the answer is lost and the connection reset: one effect, said to be unknown, and it is not sent again', async () => {
    for (let round = 1; round <= 10; round += 1) {
      await back();
      const before = await count();
      proxy.down = 'drop';
      const said = await during(use, async () => {
        await until('the effect', async () => (await count()) === before + 1);
        proxy.reset();
      });
      proxy.down = 'pass';
      await back();
      // Long enough for anything that would be sent again.
      await far.health();
      expect([said, await count()]).toEqual(['unknown', before + 1]);
    }
  });

  test('the answer never comes: unknown within the time of a commit', async () => {
    await back();
    proxy.down = 'drop';
    const started = performance.now();
    const before = await count();
    expect(await during(use, () => undefined)).toBe('unknown');
    expect(performance.now() - started).toBeLessThan(10_000);
    proxy.down = 'pass';
    proxy.reset();
    await back();
    expect(await count()).toBe(before + 1);
  });

  test('the question is lost: unknown, and no effect, also later', async () => {
    await back();
    const before = await count();
    proxy.up = 'drop';
    const from = proxy.sent();
    expect(await during(use, () => until('the question', () => proxy.sent() > from))).toBe('unknown');
    proxy.up = 'pass';
    proxy.reset();
    await back();
    expect(await count()).toBe(before);
  });

  test('the same command again under its idempotency key tells what became of it', async () => {
    await back();
    const before = await count();
    const keyed: Commit = { ...use, idempotency: { scope: 's', key: 'k', digest: 'd', reply: { n: 1 }, keepMs: 60_000 as DurationMs } };
    proxy.down = 'drop';
    expect(await during(keyed, async () => {
      await until('the effect', async () => (await count()) === before + 1);
      proxy.reset();
    })).toBe('unknown');
    proxy.down = 'pass';
    await back();
    expect(await far.commit(keyed)).toMatchObject({ outcome: 'replayed', reply: { n: 1 } });
    expect(await count()).toBe(before + 1);
  });

  test('without a connection everything fails at once, and nothing that was asked then happens later', async () => {
    await back();
    const before = await count();
    proxy.refuse = true;
    proxy.reset();
    await until('the connection to be known as gone', () => far.read('default', []).then(() => false, () => true));
    const started = performance.now();
    const said = await Promise.all(Array.from({ length: 100 }, () => during(use, () => undefined)));
    // One after the other, each for as long as a connection or a commit may take, it would be 40 s.
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(new Set(said)).toEqual(new Set(['unknown']));
    proxy.refuse = false;
    await back();
    expect(await count()).toBe(before);
  });

  test('C3: over a slow wire the interval of time is as wide as what is not known', async () => {
    const slow = await startTcpProxy(server.port);
    const store = await openAt(slow.port);
    slow.delayMs = 40;
    const wide = await until('a slow look', () => {
      const offset = store.authority?.();
      return offset !== undefined && offset.highMs - offset.lowMs > 70 ? offset : undefined;
    });
    expect(wide.lowMs).toBeLessThanOrEqual(0);
    expect(wide.highMs).toBeGreaterThanOrEqual(0);
    expect(wide.skewMs).toBe(0);
    await store.close();
    await slow.close();
  });
});
