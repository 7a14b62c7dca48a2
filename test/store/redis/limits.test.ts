/** I2: whoever ends access waits by the longest limits by which anybody decides, whatever its own are: each node's configuration is its own. */
import { expect, test } from 'vitest';
import { createLifecycle, type Call } from '../../../src/lifecycle/lifecycle.ts';
import { lifecycleConfig } from '../../../src/lifecycle/config.ts';
import type { Longest } from '../../../src/store/longest.ts';
import type { NodeStore } from '../../../src/store/port.ts';
import { redisStoreConfig } from '../../../src/store/redis/config.ts';
import { connect, type Connection } from '../../../src/store/redis/connection.ts';
import { createOpenLimits, createRetireLimits, limitsRow } from '../../../src/store/redis/limits.ts';
import { openRedisStore } from '../../../src/store/redis/open.ts';
import { createClock } from '../../../src/time/clock.ts';
import { describeWith } from '../../parts.ts';
import { MEMORY, type RedisServer } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { opening } from './opening.ts';

const clock = createClock({ maxClockStepMs: 60_000 });
const { cleanups, serverWith, pairBehindAddress } = opening(clock);
const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:rita' } };
const SHORT: Longest = { factsAgeMs: 50, pepCacheMs: 0 };
const LONG: Longest = { factsAgeMs: 900, pepCacheMs: 400 };
const STATE = 'cf:{default}:state';

describeWith(['redis'], 'limits of a fleet', () => {
  const openWith = async (port: number, limits: Longest | undefined, durability: unknown = 'memory'): Promise<NodeStore> => {
    const store = await openRedisStore({
      config: redisStoreConfig.parse({ port, durability, leaseMs: 1_500, readTimeoutMs: 5_000, commitTimeoutMs: 1_000 }),
      mode: 'production', clock, secrets: { readFile: () => '', env: () => undefined }, ...(limits === undefined ? {} : { limits }),
    });
    cleanups.push(() => store.close());
    return store;
  };
  const connectionTo = async (port: number): Promise<Connection> => {
    const connection = connect({ topology: { kind: 'standalone', address: { host: '127.0.0.1', port } }, connectTimeoutMs: 1_000, inFlightMax: 10, database: 0 });
    cleanups.push(() => connection.close());
    await connection.ready();
    return connection;
  };
  const ended = async (store: NodeStore, name: string) => store.commit({ realm: 'default', expect: [], puts: [], events: [{ type: 'other', about: [], ending: true, data: { name } }] });
  const longestAt = async (store: NodeStore, name: string): Promise<Longest | undefined> => {
    const done = await ended(store, name);
    if (done.outcome !== 'committed') throw new Error(done.outcome);
    return done.holders?.longest;
  };
  const facts = async (store: NodeStore) => store.facts({ realm: 'default', keys: [] });
  const rows = async (server: RedisServer): Promise<string> => server.send(`HGETALL ${STATE}`);

  test('an ending is told the longest limits by which anybody has been told facts', async () => {
    const { port } = await serverWith(MEMORY);
    const [supervisor, short, long] = [await openWith(port, undefined), await openWith(port, SHORT), await openWith(port, LONG)];
    await facts(supervisor);
    expect(await longestAt(supervisor, 'before anybody decides')).toBeUndefined();
    await facts(short);
    expect(await longestAt(supervisor, 'one')).toEqual(SHORT);
    await facts(long);
    expect(await longestAt(supervisor, 'two')).toEqual(LONG);
    expect(await longestAt(short, 'three')).toEqual(LONG);
  });

  test('revoke waits by another node\'s longer limits', async () => {
    const { port } = await serverWith(MEMORY);
    const [short, long] = [await openWith(port, SHORT), await openWith(port, LONG)];
    await facts(long);
    const waited: number[] = [];
    const lifecycle = createLifecycle({
      store: short, clock, config: lifecycleConfig.parse({}), policy: () => undefined, development: true, enforcementMs: SHORT.factsAgeMs,
      settle: async (ms) => void waited.push(ms),
    });
    const done = await lifecycle.revoke(CALL, { selector: { kind: 'workload', value: 'spiffe://example.org/one' }, reason: 'over' }, false);
    expect(done.ok).toBe(true);
    expect(Math.max(...waited)).toBeGreaterThanOrEqual(LONG.factsAgeMs + LONG.pepCacheMs);
  });

  test('a follower of changes is told nothing either before its limits are open', async () => {
    const { port } = await serverWith(MEMORY);
    const [supervisor, long] = [await openWith(port, undefined), await openWith(port, LONG)];
    await long.changes?.follow('default', undefined);
    expect(await longestAt(supervisor, 'one')).toEqual(LONG);
  });

  test('rows that nobody uses are closed, and go when nothing told by them can be in use; who is there opens its own again first', async () => {
    const server = await serverWith(MEMORY);
    const [supervisor, short, long] = [await openWith(server.port, undefined), await openWith(server.port, SHORT), await openWith(server.port, LONG)];
    await facts(short);
    await facts(long);
    let nowMs = 0;
    const { epoch } = supervisor;
    const connection = await connectionTo(server.port);
    const retire = createRetireLimits({ connection, epoch, replicas: 0, timeoutMs: 1_000 }, { monotonicMs: () => nowMs }, 100, () => 1_000);
    await retire('default');
    nowMs += 100;
    await retire('default');
    expect(await rows(server)).toMatch(/limits:900:400\r\n\$\d+\r\n0 /);
    // Closed rows are waited for.
    expect(await longestAt(supervisor, 'closed')).toEqual(LONG);
    // One is used again, under another word than before.
    await facts(short);
    expect(await rows(server)).toMatch(/limits:50:0\r\n\$\d+\r\n1 /);
    nowMs += 1;
    await retire('default');
    nowMs += 999;
    await retire('default');
    expect(await rows(server)).toContain('limits:900:400');
    nowMs += 1;
    await retire('default');
    expect(await rows(server)).not.toContain('limits:900:400');
    expect(await longestAt(supervisor, 'gone')).toEqual(SHORT);
    // It was only away.
    await facts(long);
    expect(await longestAt(supervisor, 'back')).toEqual(LONG);
  });

  test('one that was opened while it was about to go stays', async () => {
    const server = await serverWith(MEMORY);
    const long = await openWith(server.port, LONG);
    await facts(long);
    const { epoch } = long;
    const connection = await connectionTo(server.port);
    let nowMs = 0;
    // Its user opens it after it was looked at, and before it is dropped.
    const meddled: Connection = { ...connection, at: () => meddled, script: async (...call) => { if (nowMs >= 2_000) await facts(long); return connection.script(...call); } };
    const retire = createRetireLimits({ connection: meddled, epoch, replicas: 0, timeoutMs: 1_000 }, { monotonicMs: () => nowMs }, 100, () => 1_000);
    await retire('default');
    nowMs = 100;
    await retire('default');
    await retire('default');
    expect(await rows(server)).toMatch(/limits:900:400\r\n\$\d+\r\n0 /);
    nowMs = 2_000;
    await retire('default');
    expect(await rows(server)).toMatch(/limits:900:400\r\n\$\d+\r\n1 /);
  });

  test('without a word of the replicas nothing is told by limits that they do not have', { timeout: 60_000 }, async () => {
    const { old: primary, next: replica, wire } = await pairBehindAddress();
    const supervisor = await until('a lease', () => openWith(primary.port, undefined, { replicated: 1 }).catch(() => undefined));
    await facts(supervisor);
    const { epoch } = supervisor;
    const connection = await connectionTo(primary.port);
    const open = createOpenLimits({ connection, epoch, replicas: 1, timeoutMs: 300 }, LONG);
    wire.down = 'hold';
    await expect(open('default')).rejects.toThrow();
    expect(await rows(primary)).toMatch(/limits:900:400\r\n\$\d+\r\n0 /);
    wire.down = 'pass';
    await until('it to be open', async () => open('default').then(() => true, () => false));
    expect(await rows(primary)).toMatch(/limits:900:400\r\n\$\d+\r\n1 /);
    expect(await rows(replica)).toContain(limitsRow(LONG));
  });

  test('a row that nobody understands is one that nobody can wait for: the outcome is unknown', async () => {
    const server = await serverWith(MEMORY);
    const short = await openWith(server.port, SHORT);
    await facts(short);
    await server.send(`HSET ${STATE} limits:whatever 1`);
    await expect(ended(short, 'one')).rejects.toThrow('the row of limits is damaged');
    expect((await facts(short)).endings.sequence).toBe(1);
  });
});
