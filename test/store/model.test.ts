/** Both stores are the same store: whatever commands come in whatever order, they say what one model says, to the byte. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { openProvenStore } from '../../src/store/leased/proven.ts';
import type { FactsQuery, FactsRead, NodeStore, Store } from '../../src/store/port.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import { describeWith } from '../parts.ts';
import { MEMORY, startRedis, type RedisServer } from '../support/redis.ts';
import { compareWithModel } from './model-run.ts';
import { openTestLeased, openTestRedis } from './redis-location.ts';

const clockOf = (now: () => Instant) => ({ now: () => ({ earliest: now(), latest: now(), trusted: true }) });
const root = mkdtempSync(join(tmpdir(), 'curfew-model-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const RUNS = Number(process.env['CURFEW_TEST_MODEL_RUNS'] ?? 40);

const openEmbedded = async (now: () => Instant): Promise<readonly [Store, Store]> => {
  const path = mkdtempSync(join(root, 'store-'));
  const open = () => openEmbeddedStore({ path, mode: 'development', clock: clockOf(now), mapSizeBytes: 64 * 2 ** 20 });
  return [await open(), await open()];
};

test('the embedded store is what the model is', { timeout: 120_000 }, () => compareWithModel(openEmbedded, RUNS));

describeWith(['redis'], 'model', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis([...MEMORY, '--databases', '4']);
  });
  afterAll(() => server.stop());
  const open = async (now: () => Instant): Promise<readonly [Store, Store]> => {
    await server.send('FLUSHALL');
    const one = () => openTestRedis(JSON.stringify({ port: server.port }), clockOf(now));
    return [await one(), await one()];
  };
  test('the Redis store is what the model is', { timeout: 120_000 }, () => compareWithModel(open, RUNS));
  test('a Redis store that an earlier version made is what the model is, and stays readable for that version', { timeout: 120_000 }, async () => {
    const older = async (now: () => Instant): Promise<readonly [Store, Store]> => {
      await server.send('FLUSHALL');
      await server.send('HSET cf:{}meta format 1 mode development epoch madeByAnOlderOne');
      const one = () => openTestRedis(JSON.stringify({ port: server.port }), clockOf(now));
      return [await one(), await one()];
    };
    await compareWithModel(older, RUNS);
    const [one] = await older(() => 1_800_000_000_000 as Instant);
    await one?.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id: 'a' }, value: { who: 'w' }, index: { owner: 'w', end: 1_900_000_000_000 as Instant }, refs: [{ kind: 'thing', id: 'w' }] }], events: [] });
    expect(await server.send("EVAL \"local r = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'thing/.a')) return r[1] .. r[9] .. r[10][1] .. r[11]\" 1 cf:{default}:records"))
      .toContain('1-["a",{"who":"w"}]thing/.w2:.w001900000000000thing/.a');
    expect(await server.send('XRANGE cf:{default}:events - +')).toContain('"type":"changed"');
  });
  test('the leased store is what the model is, and answers from memory', { timeout: 120_000 }, async () => {
    let remembered = 0;
    const leased = async (now: () => Instant): Promise<readonly [Store, Store]> => {
      await server.send('FLUSHALL');
      const one = async (): Promise<Store> => {
        const store = await openTestLeased(JSON.stringify({ port: server.port }), clockOf(now));
        return {
          ...store,
          facts: async (query) => {
            // What is read strictly at first is remembered the next time, unless it counts something.
            for (let attempt = 0; ; attempt += 1) {
              const { holds, leaseEnds: _ends, provenMs: _proven, ...read } = await store.facts(query);
              if (holds !== undefined) remembered += 1;
              if (holds !== undefined || attempt === 8) return read;
              await new Promise((resolve) => { setTimeout(resolve, 1); });
            }
          },
        };
      };
      return [await one(), await one()];
    };
    await compareWithModel(leased, RUNS);
    // Half of all questions count something, and few commands are questions.
    expect(remembered).toBeGreaterThan(RUNS / 4);
  });
  test('the store that proves what it remembers is what the model is, and reads less', { timeout: 120_000 }, async () => {
    let [asked, read] = [0, 0];
    const proven = async (now: () => Instant): Promise<readonly [Store, Store]> => {
      const [one, two] = await open(now);
      const remembering = (inner: Store): Store => {
        const store = openProvenStore({ ...inner, facts: (query) => { read += 1; return inner.facts(query); } } as NodeStore, { bytesMax: 4 * 2 ** 20 });
        const facts = async (query: FactsQuery): Promise<FactsRead> => {
          asked += 1;
          return store.facts(query);
        };
        // What is read whole at first is remembered the next time, unless it counts something.
        return { ...store, facts: async (query) => { await Promise.all([facts(query), facts({ realm: query.realm, keys: [] })]); await facts(query); return facts(query); } };
      };
      return [remembering(one), remembering(two)];
    };
    await compareWithModel(proven, RUNS);
    expect(read).toBeLessThan(asked * 0.9);
  });
  test('positive control: a store that errs now and then is found out', { timeout: 120_000 }, async () => {
    const erring = async (now: () => Instant): Promise<readonly [Store, Store]> => {
      const [one, two] = await open(now);
      // Forgets that a put keeps its refs, as one that overwrites whole records would.
      return [one, { ...two, epoch: two.epoch, commit: (commit) => two.commit({ ...commit, puts: commit.puts.map((put) => ({ refs: [], ...put })) }) }];
    };
    await expect(compareWithModel(erring, 200)).rejects.toThrow(/Property failed/);
  });
});
