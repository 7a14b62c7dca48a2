/** I2, I5, I6: what a process answers from memory is the truth at one position, and only while it holds a lease. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Instant } from '../../../src/domain/instant.ts';
import { openLeasedStore } from '../../../src/store/leased/open.ts';
import { StoreUnavailable, type Commit, type FactsQuery, type FactsRead, type NodeStore } from '../../../src/store/port.ts';
import { redisStoreConfig } from '../../../src/store/redis/config.ts';
import { openRedisStore } from '../../../src/store/redis/open.ts';
import { createClock } from '../../../src/time/clock.ts';
import { describeWith } from '../../parts.ts';
import { MEMORY, startRedis, type RedisServer } from '../../support/redis.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const LEASE_MS = 400;
const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
const END = 4_000_000_000_000 as Instant;
const key = (id: string) => ({ kind: 'thing', id });
const put = (id: string, n: number, ending = false): Commit => ({
  realm: 'default', expect: [], puts: [{ key: key(id), value: { n } }], events: [{ type: 'noted', about: [], ending, data: {} }],
});
const ask = (...ids: readonly string[]): FactsQuery => ({ realm: 'default', keys: ids.map(key) });

describeWith(['redis'], 'a process that answers from memory', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis(MEMORY);
  });
  afterAll(() => server.stop());
  afterEach(() => server.send('FLUSHALL'));

  const slept = { ms: 0 };
  const openAt = async (port = server.port, leased = true, more: object = {}): Promise<NodeStore> => {
    slept.ms = 0;
    const real = createClock({ maxClockStepMs: 60_000 });
    const clock = { monotonicMs: real.monotonicMs, now: () => { const { earliest, latest, trusted } = real.now(); return { earliest: (earliest + slept.ms) as Instant, latest: (latest + slept.ms) as Instant, trusted }; } };
    const store = await openRedisStore({
      config: redisStoreConfig.parse({ port, durability: 'memory', mode: 'leased', leaseMs: LEASE_MS, readTimeoutMs: 2_000, commitTimeoutMs: 10_000, connectTimeoutMs: 10_000, ...more }),
      mode: 'production', clock, secrets: { readFile: () => '', env: () => undefined }, lookEveryMs: 50, decides: leased,
    });
    const opened = leased ? openLeasedStore(store, { clock, bytesMax: 2 ** 20 }) : store;
    cleanups.push(() => opened.close());
    return opened;
  };
  /** Asks until the answer comes from memory. */
  const fromMemory = (store: NodeStore, query: FactsQuery): Promise<FactsRead & { readonly holds: () => boolean }> =>
    until('an answer from memory', async () => {
      const read = await store.facts(query);
      return read.holds === undefined ? undefined : (read as FactsRead & { readonly holds: () => boolean });
    });
  const n = (read: FactsRead, id: string): unknown => read.records.get(`thing/${id}`)?.value['n'];

  test('what was read once is answered at once, also that something is not there; the server is not asked', async () => {
    const store = await openAt();
    await store.commit(put('a', 1));
    await fromMemory(store, ask('a', 'none'));
    const calls = async (): Promise<number> => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await server.send('INFO commandstats'))?.[1] ?? 0);
    const before = await calls();
    let remembered = 0;
    for (let round = 0; round < 2_000; round += 1) {
      const read = store.facts(ask('a', 'none'));
      if (!(read instanceof Promise)) remembered += 1;
      const known = await read;
      expect([n(known, 'a'), n(known, 'none')]).toEqual([1, undefined]);
      if (round % 20 === 0) await new Promise((resolve) => { setImmediate(resolve); });
    }
    // Apart from renewals, and from what a busy machine made it lose.
    expect(remembered).toBeGreaterThan(1_000);
    expect((await calls()) - before).toBeLessThan(2_000 - remembered + 200);
  });

  test('an ending is applied before it is acknowledged: once it is enforced nobody answers what was, and what was answered before holds no more', async () => {
    // A lease that no pause of a busy machine outlasts: who loses one has lapsed, and acknowledges nothing.
    const [store, other] = [await openAt(server.port, true, { leaseMs: 30_000 }), await openAt(server.port, false)];
    await other.commit(put('a', 0, true));
    for (let round = 1; round <= 50; round += 1) {
      const before = await fromMemory(store, ask('a'));
      expect([n(before, 'a'), before.holds()]).toEqual([round - 1, true]);
      const outcome = await other.commit(put('a', round, true));
      if (outcome.outcome !== 'committed') throw new Error(outcome.outcome);
      const by = await other.enforced?.('default', outcome.position.sequence, outcome.holders);
      expect(by?.map(({ state }) => state)).toEqual(['acknowledged']);
      expect(before.holds()).toBe(false);
      expect(n(await store.facts(ask('a')), 'a')).toBe(round);
    }
  });

  test('what another commits appears soon, also where it was not there before; rows too', async () => {
    const [store, other] = [await openAt(), await openAt(server.port, false)];
    const query: FactsQuery = { ...ask('new'), index: { owner: 'w', endsAfter: 0 as Instant } };
    expect((await fromMemory(store, query)).rows).toEqual([]);
    await other.commit({ ...put('new', 1), puts: [{ key: key('row'), value: { n: 1 }, index: { owner: 'w', end: END }, refs: [key('x')] }, { key: key('new'), value: { n: 1 } }] });
    const started = performance.now();
    let without = started;
    await until('the new row', async () => {
      const asked = performance.now();
      if ((await store.facts(query)).rows.length === 1) return true;
      without = asked;
      return false;
    });
    // By when it was asked: a slow machine asks later, and is told of it all the same.
    expect(without - started).toBeLessThan(LEASE_MS);
    const read = await fromMemory(store, query);
    expect([read.rows.map(({ value }) => value['n']), n(read, 'new')]).toEqual([[1], 1]);
    await other.commit(put('x', 5));
    await until('what the row refers to', async () => n(await store.facts(query), 'x') === 5);
  });

  test('I2: a row that has come to refer to more is answered with all of it, also when the row alone was read again', async () => {
    const [store, other] = [await openAt(), await openAt(server.port, false)];
    // Also one whose name UTF-8 can't hold.
    for (const id of ['x', '\ud800']) {
      const row = (refs: readonly string[]) => ({ key: key('row'), value: { n: refs.length }, index: { owner: 'w', end: END }, refs: refs.map(key) });
      await other.commit({ ...put(id, 5), puts: [{ key: key(id), value: { n: 5 } }, row([])] });
      const query: FactsQuery = { ...ask(), index: { owner: 'w', endsAfter: 0 as Instant } };
      await until('the row as it was', async () => (await fromMemory(store, query)).rows[0]?.value['n'] === 0);
      expect((await fromMemory(store, query)).records.size).toBe(0);
      await other.commit({ ...put(id, 5), puts: [row([id])] });
      await until('the row alone', async () => n(await fromMemory(store, ask('row')), 'row') === 1);
      expect(n(await store.facts(query), id)).toBe(5);
      expect(n(await fromMemory(store, query), id)).toBe(5);
      await other.commit({ ...put(id, 5), drops: [key('row')], puts: [] });
    }
  });

  test('I5: a process that slept, on either clock, or that can not renew, answers nothing from memory; its answers hold no more', async () => {
    const proxy = await startTcpProxy(server.port);
    cleanups.push(proxy.close);
    const store = await openAt(proxy.port);
    await store.commit(put('a', 1));
    const before = await fromMemory(store, ask('a'));
    slept.ms += LEASE_MS;
    expect(before.holds()).toBe(false);
    expect((await store.facts(ask('a'))).holds).toBeUndefined();
    const again = await fromMemory(store, ask('a'));
    const cut = performance.now();
    proxy.up = 'drop';
    let held = cut;
    await until('its lease to be over', () => {
      const asked = performance.now();
      if (!again.holds()) return true;
      held = asked;
      return false;
    });
    expect(held - cut).toBeLessThan(LEASE_MS);
    await expect(Promise.resolve(store.facts(ask('a')))).rejects.toThrow(StoreUnavailable);
    proxy.up = 'pass';
    proxy.reset();
    const healed = performance.now();
    await until('L1: answers from memory again', async () => (await Promise.resolve(store.facts(ask('a'))).catch(() => undefined))?.holds !== undefined);
    expect(performance.now() - healed).toBeLessThan(5_000);
  });

  test('a holder that can not be reached is waited for as long as its lease, then it is told as lapsed, and nobody waits for it again', async () => {
    const proxy = await startTcpProxy(server.port);
    cleanups.push(proxy.close);
    const [store, other] = [await openAt(proxy.port), await openAt(server.port, false)];
    await other.commit(put('a', 1, true));
    const held = await fromMemory(store, ask('a'));
    proxy.up = 'drop';
    const outcome = await other.commit(put('a', 2, true));
    if (outcome.outcome !== 'committed') throw new Error(outcome.outcome);
    const by = await other.enforced?.('default', outcome.position.sequence, outcome.holders);
    expect(by?.map(({ state }) => state)).toEqual(['lapsed']);
    expect(held.holds()).toBe(false);
    await until('its row to go', async () => (await other.holders?.('default'))?.all.length === 0);
    const next = await other.commit(put('a', 3, true));
    if (next.outcome !== 'committed') throw new Error(next.outcome);
    expect(await other.enforced?.('default', next.position.sequence, next.holders)).toEqual([]);
    // It comes back under the same id, and what it has missed is applied before its lease counts.
    proxy.up = 'pass';
    proxy.reset();
    const back = await until('answers from memory again', async () => {
      const read = await Promise.resolve(store.facts(ask('a'))).catch(() => undefined);
      return read?.holds === undefined ? undefined : read;
    });
    expect(n(back, 'a')).toBe(3);
  });

  test('I6: without replicas too, a new connection empties the memory: behind it may be an older state, with other commits under the positions that were read', async () => {
    const proxy = await startTcpProxy(server.port);
    cleanups.push(proxy.close);
    // No lease ends, and hardly one is renewed, while this lasts: nothing but the connection tells.
    const store = await openAt(proxy.port, true, { leaseMs: 60_000 });
    const writer = await openAt(server.port, false);
    await writer.commit(put('a', 1));
    for (const [name] of (await server.send('KEYS cf:*')).matchAll(/cf:\S+/g)) expect(await server.send(`COPY ${name} ${name} DB 1`)).toContain(':1');
    await writer.commit(put('a', 2));
    const before = await until('what was committed last', async () => {
      const read = await fromMemory(store, ask('a'));
      return n(read, 'a') === 2 ? read : undefined;
    });
    const elsewhere = await openAt(server.port, false, { database: 1 });
    await elsewhere.commit(put('a', 3));
    expect((await elsewhere.facts(ask('a'))).position).toEqual(before.position);
    await server.send('SWAPDB 0 1');
    proxy.reset();
    await until('the new connection', () => !before.holds());
    expect(n(await until('an answer', async () => Promise.resolve(store.facts(ask('a'))).catch(() => undefined)), 'a')).toBe(3);
  });

  test('what happened is no longer kept: everything that was read is forgotten', async () => {
    const [store, other] = [await openAt(), await openAt(server.port, false)];
    await other.commit(put('a', 1));
    await fromMemory(store, ask('a'));
    await server.send('XTRIM cf:{default}:changes MAXLEN 0');
    await other.commit(put('b', 1));
    await server.send('XTRIM cf:{default}:changes MAXLEN 0');
    await other.commit(put('a', 2));
    await until('the new value', async () => n(await store.facts(ask('a')), 'a') === 2);
    expect(n(await fromMemory(store, ask('a')), 'a')).toBe(2);
  });
});
