/** E6, I2: with replicas nobody reads from a primary that was replaced, past its lease; and an ending waits for those that may. */
import { afterEach, expect, test } from 'vitest';
import type { Instant } from '../../../src/domain/instant.ts';
import { openLeasedStore } from '../../../src/store/leased/open.ts';
import { StoreUnavailable, type Commit, type NodeStore } from '../../../src/store/port.ts';
import { redisStoreConfig } from '../../../src/store/redis/config.ts';
import { openRedisStore } from '../../../src/store/redis/open.ts';
import { createClock } from '../../../src/time/clock.ts';
import { describeWith } from '../../parts.ts';
import { FSYNC, startRedis, type RedisServer } from '../../support/redis.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const LEASE_MS = 600;
const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
const put = (id: string): Commit => ({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id }, value: { id } }], events: [{ type: 'noted', about: [], ending: true, data: {} }] });
const NOTHING = { realm: 'default', keys: [] } as const;
const messageOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(() => 'no error', (error: Error) => {
    expect(error).toBeInstanceOf(StoreUnavailable);
    return error.message;
  });

describeWith(['redis'], 'a primary with replicas', () => {
  const real = createClock({ maxClockStepMs: 60_000 });
  const slept = { ms: 0 };
  const clock = { monotonicMs: real.monotonicMs, now: () => { const { earliest, latest, trusted } = real.now(); return { earliest: (earliest + slept.ms) as Instant, latest: (latest + slept.ms) as Instant, trusted }; } };
  const openAt = async (port: number, more: object = {}): Promise<NodeStore> => {
    const store = await openRedisStore({
      config: redisStoreConfig.parse({ port, durability: { replicated: 1 }, leaseMs: LEASE_MS, connectTimeoutMs: 2_000, readTimeoutMs: 400, commitTimeoutMs: 800, ...more }),
      mode: 'production', clock, secrets: { readFile: () => '', env: () => undefined }, lookEveryMs: 50,
    });
    cleanups.push(() => store.close());
    // A replica that has just begun to follow confirms slowly.
    await until('facts', async () => (await messageOf(Promise.resolve(store.facts(NOTHING)))) === 'no error');
    return store;
  };
  const serverWith = async (args: readonly string[]): Promise<RedisServer> => {
    const server = await startRedis([...FSYNC, '--min-replicas-to-write', '1', '--min-replicas-max-lag', '30', '--repl-ping-replica-period', '1', '--repl-diskless-sync-delay', '0', ...args]);
    cleanups.push(server.stop);
    return server;
  };
  /** A primary and its replica, with a wire between them that can be cut. */
  const pair = async () => {
    slept.ms = 0;
    const primary = await serverWith([]);
    const wire = await startTcpProxy(primary.port);
    cleanups.push(wire.close);
    const replica = await serverWith(['--replicaof', '127.0.0.1', String(wire.port)]);
    await until('the replica', async () => (await primary.send('INFO replication')).includes('state=online'));
    return { primary, wire, replica };
  };

  test('a primary that was cut off denies within one lease, long before it notices itself', async () => {
    const { primary, wire, replica } = await pair();
    const store = await openAt(primary.port);
    await store.commit(put('a'));
    wire.up = 'drop';
    wire.down = 'drop';
    const cut = performance.now();
    await replica.send('REPLICAOF NO ONE');
    let believed = cut;
    await until('a denial', async () => {
      const asked = performance.now();
      const said = await messageOf(Promise.resolve(store.facts(NOTHING)));
      if (said === 'no error') believed = asked;
      return /no lease of the primary/.test(said);
    });
    // By when it was asked: however slow this machine is, nothing that was asked after the lease is answered.
    expect(believed - cut).toBeLessThan(LEASE_MS);
    // It still takes itself for a primary with a replica.
    expect(await primary.send('INFO replication')).toMatch(/role:master[^]*connected_slaves:1[^]*min_slaves_good_slaves:1/);
    expect(await messageOf(store.commit(put('b')))).not.toBe('no error');
  });

  test('control: without the lease the same primary is believed', async () => {
    const { primary, wire, replica } = await pair();
    const store = await openAt(primary.port, { durability: 'fsync' });
    wire.up = 'drop';
    wire.down = 'drop';
    await replica.send('REPLICAOF NO ONE');
    const cut = performance.now();
    let reads = 0;
    while (performance.now() - cut < LEASE_MS * 2) {
      await store.facts(NOTHING);
      reads += 1;
    }
    expect(reads).toBeGreaterThan(10);
  });

  test('a process that was frozen or asleep holds no lease when it wakes up', async () => {
    const { primary } = await pair();
    const store = await openAt(primary.port);
    slept.ms += 60_000;
    expect(await messageOf(Promise.resolve(store.facts(NOTHING)))).toMatch(/no lease/);
    await until('L1: facts again', async () => (await messageOf(Promise.resolve(store.facts(NOTHING)))) === 'no error');
  });

  test('facts of another server than the one that renewed are refused', async () => {
    const { primary } = await pair();
    const store = await openAt(primary.port);
    const rows = [...(await primary.send('KEYS cf:{}fence:*')).matchAll(/cf:\{\}fence:[\w-]+/g)].map(([key]) => key);
    expect(rows).toHaveLength(1);
    // What the old primary would have: the number of an earlier lease.
    let refused = 0;
    for (let round = 0; round < 50; round += 1) {
      await primary.send(`SET ${rows[0]} 0`);
      if (/no lease/.test(await messageOf(Promise.resolve(store.facts(NOTHING))))) refused += 1;
    }
    expect(refused).toBeGreaterThan(10);
  });

  test('leased: a renewal counts once the replica has its row; cut off, a process answers from memory for one lease and no more', async () => {
    const { primary, wire, replica } = await pair();
    const strict = await openRedisStore({
      config: redisStoreConfig.parse({ port: primary.port, durability: { replicated: 1 }, mode: 'leased', leaseMs: LEASE_MS, connectTimeoutMs: 2_000, readTimeoutMs: 400, commitTimeoutMs: 800 }),
      mode: 'production', clock, secrets: { readFile: () => '', env: () => undefined }, lookEveryMs: 50, decides: true,
    });
    const store = openLeasedStore(strict, { clock, bytesMax: 2 ** 20 });
    cleanups.push(() => store.close());
    const held = await until('an answer from memory', async () => (await Promise.resolve(store.facts(NOTHING)).catch(() => undefined))?.holds);
    // Whoever is promoted waits for it.
    const row = (await store.holders?.('default'))?.all[0];
    expect(await replica.send('HGETALL cf:{default}:holders')).toContain(row?.holder);
    wire.up = 'drop';
    wire.down = 'drop';
    const cut = performance.now();
    await replica.send('REPLICAOF NO ONE');
    let believed = cut;
    await until('its lease to be over', () => {
      const asked = performance.now();
      if (!held()) return true;
      believed = asked;
      return false;
    });
    expect(believed - cut).toBeLessThan(LEASE_MS);
    // The old primary takes renewals all the same; they count no more.
    for (let round = 0; round < 20; round += 1) {
      expect((await Promise.resolve(store.facts(NOTHING)).catch(() => undefined))?.holds).toBeUndefined();
      await new Promise((resolve) => { setTimeout(resolve, LEASE_MS / 20); });
    }
  });

  test('an ending waits for the leases of an earlier primary, until this one has been held as long', async () => {
    const { primary } = await pair();
    const store = await openAt(primary.port);
    expect(store.fenceMs?.()).toBeLessThanOrEqual(Math.ceil(LEASE_MS * 1.01));
    await until('nothing to wait for', () => store.fenceMs?.() === 0);
    await primary.send('CLIENT KILL TYPE normal SKIPME yes');
    await until('a wait again', () => (store.fenceMs?.() ?? 0) > 0);
    await until('nothing to wait for', () => store.fenceMs?.() === 0);
    const alone = await openAt(primary.port, { durability: 'fsync' });
    expect(alone.fenceMs?.()).toBe(0);
  });
});
