/** I2, I4: a strict store that remembers answers nobody from what was read before they asked, and nobody without the server. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Instant } from '../../../src/domain/instant.ts';
import { openProvenStore } from '../../../src/store/leased/proven.ts';
import type { Changes, Followed } from '../../../src/store/leases.ts';
import { StoreUnavailable, type Commit, type FactsQuery, type FactsRead, type NodeStore } from '../../../src/store/port.ts';
import { StoreRegressed } from '../../../src/store/redis/witness.ts';
import { describeWith } from '../../parts.ts';
import { MEMORY, startRedis, type RedisServer } from '../../support/redis.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import { openTestProven, openTestRedis } from '../redis-location.ts';

const key = (id: string) => ({ kind: 'thing', id });
const ask = (...ids: readonly string[]): FactsQuery => ({ realm: 'default', keys: ids.map(key) });
const n = (read: FactsRead, id = 'a'): unknown => read.records.get(`thing/${id}`)?.value['n'];
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/** A server of one record, whose calls are answered when the test says so, with what was true when they were sent. */
const slowServer = () => {
  let [sequence, history] = [1, 0];
  const calls: { readonly what: 'facts' | 'follow'; readonly answer: () => void; readonly fail: (error: Error) => void }[] = [];
  const later = <T>(what: 'facts' | 'follow', value: T): Promise<T> =>
    new Promise((resolve, reject) => { calls.push({ what, answer: () => resolve(value), fail: reject }); });
  const mark = () => ({ sequence, hash: String(sequence) });
  const changes: Changes = {
    nameOf: ({ kind, id }) => `${kind}/${id}`,
    ownerNameOf: (owner) => owner,
    history: () => history,
    follow: (_realm, from): Promise<Followed> =>
      later('follow', { sequence, endings: mark(), whole: true, changes: from === undefined || from === sequence ? [] : [{ sequence, records: ['thing/a'], owners: [] }] }),
  };
  const record = () => ({ key: key('a'), created: { sequence: 1, at: 1 as Instant }, modified: { sequence, at: 1 as Instant }, value: { n: sequence } });
  const facts = (): Promise<FactsRead> =>
    later('facts', { position: { epoch: 'e', sequence }, endings: mark(), records: new Map([['thing/a', record()]]), rows: [], ended: [], truncated: false });
  const store = openProvenStore({ epoch: 'e', changes, facts } as unknown as NodeStore, { bytesMax: 2 ** 20 });
  const answerAll = async (): Promise<void> => {
    for (let quiet = 0; quiet < 3; quiet += 1) {
      for (const call of calls.splice(0)) {
        call.answer();
        quiet = 0;
      }
      await turn();
    }
  };
  return {
    store, calls, answerAll,
    change: () => { sequence += 1; },
    lose: () => { history += 1; },
    warm: async (): Promise<void> => {
      for (let round = 0; round < 3; round += 1) {
        const read = store.facts(ask('a'));
        await answerAll();
        await read;
      }
    },
  };
};
const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  let done = false;
  promise.then(() => { done = true; }, () => { done = true; });
  for (let turns = 0; turns < 5; turns += 1) await turn();
  return done;
};
const answerOne = async (server: ReturnType<typeof slowServer>): Promise<void> => {
  server.calls.shift()?.answer();
  await turn();
};
const factsOf = async (store: NodeStore, query: FactsQuery): Promise<FactsRead> => store.facts(query);

describe('what is remembered and proven', () => {
  test.each(['in a turn before its answer', 'in the turn of its answer'])('a question that comes while a call is under way, %s, is not answered by it, but by one that was sent later', async (when) => {
    const server = slowServer();
    await server.warm();
    const first = factsOf(server.store, ask('a'));
    await turn();
    server.change();
    const second = factsOf(server.store, ask('a'));
    if (when === 'in a turn before its answer') await turn();
    expect(server.calls[0]?.what).toBe('follow');
    server.calls.shift()?.answer();
    expect([n(await first), await settled(second)]).toEqual([1, false]);
    await server.answerAll();
    expect(n(await second)).toBe(2);
  });

  test('questions of one turn of the loop share a call, and each gets its own answer', async () => {
    const server = slowServer();
    await server.warm();
    const first = factsOf(server.store, ask('a'));
    const rest = Array.from({ length: 100 }, () => factsOf(server.store, ask('a')));
    await turn();
    expect(server.calls.length).toBe(2);
    await server.answerAll();
    expect((await Promise.all([first, ...rest])).map((read) => n(read))).toEqual(Array.from({ length: 101 }, () => 1));
  });

  test('a question that can not be answered fails alone', async () => {
    const server = slowServer();
    await server.warm();
    const poisoned: FactsQuery = { ...ask('a'), get index(): never { throw new TypeError('poisoned'); } };
    const before = factsOf(server.store, ask('a'));
    const [bad, worse, good] = [factsOf(server.store, poisoned), factsOf(server.store, { realm: 'default', keys: [{ kind: 'thing', id: 'b' }, { kind: 'Not a kind', id: 'a' }] }), factsOf(server.store, ask('a'))];
    const failed = expect(bad).rejects.toThrow('poisoned');
    const read = worse.then(() => 'read', () => 'refused');
    await server.answerAll();
    await failed;
    await read;
    expect([n(await before), n(await good)]).toEqual([1, 1]);
  });

  test('a call that fails denies those who waited for it, and only them', async () => {
    const server = slowServer();
    await server.warm();
    const first = factsOf(server.store, ask('a'));
    const failed = expect(first).rejects.toThrow('no answer');
    const second = factsOf(server.store, ask('a'));
    await turn();
    server.calls.shift()?.fail(new StoreUnavailable('no answer'));
    await failed;
    await server.answerAll();
    expect(n(await second)).toBe(1);
  });

  test.each(['another history', 'a regress'])('%s: nothing that was remembered is used, also when the call was under way', async (what) => {
    const server = slowServer();
    await server.warm();
    const read = factsOf(server.store, ask('a'));
    if (what === 'a regress') server.calls.shift()?.fail(new StoreRegressed('lost'));
    else {
      server.lose();
      await answerOne(server);
    }
    for (let turns = 0; turns < 3; turns += 1) await turn();
    expect(server.calls.map((call) => call.what)).toContain('facts');
    server.change();
    await server.answerAll();
    expect([1, 2]).toContain(n(await read));
  });
});

describeWith(['redis'], 'strict decisions that remember', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis(MEMORY);
  });
  afterAll(() => server.stop());
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    await server.send('FLUSHALL');
  });
  const clock = { now: () => ({ earliest: Date.now() as Instant, latest: Date.now() as Instant, trusted: true }) };
  const open = async (location: object): Promise<NodeStore> => {
    const store = await openTestProven(JSON.stringify(location), clock);
    cleanups.push(() => store.close());
    return store;
  };
  const put = (value: number): Commit => ({ realm: 'default', expect: [], puts: [{ key: key('a'), value: { n: value } }], events: [{ type: 'noted', about: [], ending: true, data: {} }] });
  const calls = async (): Promise<number> => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await server.send('INFO commandstats'))?.[1] ?? 0);

  test('what another process committed is seen by every question that begins afterwards, however many are under way', async () => {
    const store = await open({ port: server.port });
    const other = await openTestRedis(JSON.stringify({ port: server.port }), clock);
    cleanups.push(() => other.close());
    await other.commit(put(0));
    const wrong: unknown[] = [];
    let over = false;
    let atLeast = 0;
    let asked = 0;
    const asking = Array.from({ length: 8 }, async () => {
      while (!over) {
        const least = atLeast;
        const seen = n(await store.facts(ask('a', 'none')));
        asked += 1;
        if (!(typeof seen === 'number' && seen >= least)) wrong.push([seen, least]);
      }
    });
    for (let round = 1; round <= 200; round += 1) {
      await other.commit(put(round));
      atLeast = round;
      await turn();
    }
    over = true;
    await Promise.all(asking);
    expect(wrong).toEqual([]);
    expect(asked).toBeGreaterThan(200);
  });

  test('many questions at once cost few calls', async () => {
    const store = await open({ port: server.port });
    await store.commit(put(1));
    for (let round = 0; round < 3; round += 1) await store.facts(ask('a', 'none'));
    const before = await calls();
    for (let round = 0; round < 20; round += 1) await Promise.all(Array.from({ length: 50 }, () => factsOf(store, ask('a', 'none'))));
    expect((await calls()) - before).toBeLessThanOrEqual(60);
  });

  test('a server that says nothing, or is away, denies although all is remembered; it is asked again when it is back', async () => {
    const proxy = await startTcpProxy(server.port);
    cleanups.push(() => proxy.close());
    const store = await open({ port: proxy.port, readTimeoutMs: 2_000, connectTimeoutMs: 10_000 });
    await store.commit(put(1));
    for (let round = 0; round < 3; round += 1) expect(n(await store.facts(ask('a')))).toBe(1);
    server.signal('SIGSTOP');
    try {
      const silent = await Promise.allSettled(Array.from({ length: 20 }, () => factsOf(store, ask('a'))));
      expect(silent.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 'rejected'));
    } finally {
      server.signal('SIGCONT');
    }
    await until('an answer again', async () => n(await Promise.resolve(store.facts(ask('a'))).catch(() => ({ records: new Map() }) as unknown as FactsRead)) === 1);
  });
});
