/** Bad servers and bad settings: each has its message, is refused before anything is touched, and denies where it comes later. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Instant } from '../../../src/domain/instant.ts';
import { StoreUnavailable, type Commit, type NodeStore } from '../../../src/store/port.ts';
import { redisStoreConfig } from '../../../src/store/redis/config.ts';
import { redisConfigFault } from '../../../src/store/redis/config-fault.ts';
import { openRedisStore } from '../../../src/store/redis/open.ts';
import { serverFault, type Durability } from '../../../src/store/redis/settings.ts';
import { errorText } from '../../../src/telemetry/log.ts';
import { createClock } from '../../../src/time/clock.ts';
import { describeWith } from '../../parts.ts';
import { FSYNC, MEMORY, startRedis, type RedisServer } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
const serverWith = async (args?: readonly string[]): Promise<RedisServer> => {
  const server = await startRedis(args);
  cleanups.push(server.stop);
  return server;
};
const clock = createClock({ maxClockStepMs: 60_000 });
const openAt = async (config: object, mode: 'development' | 'production' = 'production', env: Readonly<Record<string, string>> = {}, memory?: string): Promise<NodeStore> => {
  const store = await openRedisStore({
    config: redisStoreConfig.parse({ connectTimeoutMs: 3_000, readTimeoutMs: 2_000, commitTimeoutMs: 4_000, ...config }), mode, clock,
    secrets: { readFile: (path) => readFileSync(path, 'utf8'), env: (name) => env[name] },
    lookEveryMs: 50,
    ...(memory === undefined ? {} : { memory: { path: memory, keeper: true, realms: ['default'] } }),
  });
  cleanups.push(() => store.close());
  return store;
};
const messageOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(() => 'no error', (error: Error) => {
    expect(error).toBeInstanceOf(StoreUnavailable);
    return errorText(error);
  });
const put = (id: string, more: Partial<Commit> = {}): Commit => ({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id }, value: { id } }], events: [], ...more });
const NOTHING = { realm: 'default', keys: [] } as const;

test('E1: beyond loopback TLS, a password and an integrity key are needed; topologies are not mixed', () => {
  const fault = (config: object) => redisConfigFault(redisStoreConfig.parse(config));
  const far = { host: 'redis.example.org' };
  expect(fault({})).toBeUndefined();
  expect(fault(far)).toContain('`tls`');
  expect(fault({ ...far, tls: {} })).toContain('`password`');
  expect(fault({ ...far, tls: {}, password: { env: 'P' } })).toContain('`integrityKey`');
  expect(fault({ ...far, tls: {}, password: { env: 'P' }, integrityKey: { env: 'K' } })).toBeUndefined();
  expect(fault({ cluster: [{ host: '127.0.0.1', port: 1 }, { host: '10.0.0.1', port: 1 }] })).toContain('`tls`');
  expect(fault({ cluster: [{ host: '127.0.0.1', port: 1 }], sentinels: [{ host: '127.0.0.1', port: 1 }] })).toContain('two topologies');
  expect(fault({ sentinels: [{ host: '127.0.0.1', port: 1 }] })).toContain('replicated');
  expect(fault({ cluster: [{ host: '127.0.0.1', port: 1 }], durability: { replicated: 1 } })).toBeUndefined();
  expect(fault({ cluster: [{ host: '127.0.0.1', port: 1 }], database: 3 })).toContain('database');
  expect(fault({ tls: { cert: 'x' } })).toContain('belong together');
});

describeWith(['redis'], 'a database of the server', () => {
  test.each([
    ['which it does not have', ['--databases', '2'], {}, 'no such database'],
    ['which this user may not select', ['--user', 'default', 'on', 'nopass', '~*', '&*', '+@all', '-select'], { database: 1 }, 'NOPERM'],
  ])('E1: %s is refused; nothing goes into another one', async (_, args, over, says) => {
    const server = await serverWith([...FSYNC, ...args]);
    expect(await messageOf(openAt({ port: server.port, database: 7, ...over }))).toContain(says);
    expect(await server.send('DBSIZE')).toContain(':0\r\n');
  });
});

test('E4, I7: what a server says of itself is compared with what is configured, weakest first', () => {
  const good: Readonly<Record<string, string>> = {
    redis_version: '7.0.15', role: 'master', 'maxmemory-policy': 'noeviction', appendonly: 'yes', appendfsync: 'always', 'no-appendfsync-on-rewrite': 'no',
    aof_last_write_status: 'ok', 'min-replicas-to-write': '2', connected_slaves: '2', min_slaves_good_slaves: '2',
  };
  const fault = (durability: Durability, over: Readonly<Record<string, string | undefined>> = {}) =>
    serverFault(new Map(Object.entries({ ...good, ...over }).filter((entry): entry is [string, string] => entry[1] !== undefined)), durability);
  for (const durability of ['memory', 'fsync', { replicated: 2 }] as const) {
    expect(fault(durability)).toBeUndefined();
    expect(fault(durability, { redis_version: '6.2.14' })).toContain('6.2.14');
    expect(fault(durability, { redis_version: undefined })).toContain('unknown');
    expect(fault(durability, { role: 'slave' })).toContain('replica');
    for (const policy of ['allkeys-lru', 'volatile-ttl', undefined]) expect(fault(durability, { 'maxmemory-policy': policy })).toContain('noeviction');
  }
  for (const over of [{ appendonly: 'no' }, { appendfsync: 'everysec' }, { appendfsync: undefined }, { 'no-appendfsync-on-rewrite': 'yes' }, { aof_last_write_status: 'err' }]) {
    expect(fault('memory', over)).toBeUndefined();
    expect(fault('fsync', over)).toContain('durability');
    expect(fault({ replicated: 2 }, over)).toContain('durability');
  }
  expect(fault({ replicated: 2 }, { 'min-replicas-to-write': '1' })).toContain('min-replicas-to-write');
  expect(fault({ replicated: 2 }, { connected_slaves: '1' })).toContain('1 of 2');
  expect(fault({ replicated: 2 }, { connected_slaves: '3' })).toContain('could be promoted');
  expect(fault({ replicated: 2 }, { connected_slaves: undefined })).toContain('durability');
  expect(fault({ replicated: 2 }, { min_slaves_good_slaves: '1' })).toContain('may have been replaced');
});

describeWith(['redis'], 'a Redis server that is not good enough', () => {
  test('unreachable at the start: said within the time to connect', async () => {
    const started = performance.now();
    expect(await messageOf(openAt({ port: 1 }))).toMatch(/no connection to 127\.0\.0\.1:1 \(ECONNREFUSED\)/);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
  test('unreachable at the start: waited for, if configured; a server that is not good enough is not', async () => {
    const server = await serverWith();
    await server.kill();
    const opening = openAt({ port: server.port, waitAtStartMs: 30_000 });
    await server.start();
    await (await opening).facts(NOTHING);
    const weak = await serverWith(MEMORY);
    expect(await messageOf(openAt({ port: weak.port, waitAtStartMs: 30_000 }))).toMatch(/appendonly/);
  });
  test('something that never answers is no server, and is given up', async () => {
    const silent: Server = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => silent.close());
    const { port } = silent.address() as { port: number };
    expect(await messageOf(openAt({ port }))).toMatch(/no connection|no answer/);
  });
  test('a wrong or missing password, without the password in the message', async () => {
    const { port } = await serverWith([...FSYNC, '--requirepass', 'right-secret']);
    const env = { P: 'wrong-secret' };
    const wrong = await messageOf(openAt({ port, password: { env: 'P' } }, 'production', env));
    expect(wrong).toMatch(/WRONGPASS|password/);
    expect(wrong).not.toContain('secret');
    expect(await messageOf(openAt({ port }))).toMatch(/NOAUTH/);
    expect(await messageOf(openAt({ port, password: { env: 'NOT_SET' } }))).toMatch(/password is empty/);
    await openAt({ port, password: { env: 'P' } }, 'production', { P: 'right-secret' });
  });
  test('G4: a server that quotes what it was sent gets no secret into a message', async () => {
    const { port } = await serverWith([...MEMORY, '--rename-command', 'AUTH', '', '--rename-command', 'CONFIG', '']);
    const message = await messageOf(openAt({ port, username: 'curfew', password: { env: 'P' }, durability: 'memory' }, 'production', { P: 'canary-secret' }));
    expect(message).not.toBe('no error');
    expect(message).not.toContain('canary');
  });
  test('weaker than configured at the start, by name', async () => {
    const { port } = await serverWith(MEMORY);
    expect(await messageOf(openAt({ port }))).toMatch(/weaker than store\.redis\.durability: appendonly is no/);
    await openAt({ port, durability: 'memory' });
  });
  test('a replica given as the primary', async () => {
    const primary = await serverWith(MEMORY);
    const replica = await serverWith([...MEMORY, '--replicaof', '127.0.0.1', String(primary.port)]);
    expect(await messageOf(openAt({ port: replica.port, durability: 'memory' }))).toMatch(/replica/);
  });
  test('another mode, another format, keys of another program', async () => {
    const server = await serverWith(MEMORY);
    const memory = { port: server.port, durability: 'memory' };
    const store = await openAt(memory, 'development');
    expect(await messageOf(openAt(memory, 'production'))).toMatch(/made in development/);
    await server.send('HSET cf:{}meta format 9');
    expect(await messageOf(openAt(memory, 'development'))).toMatch(/format 9/);
    await server.send('SADD cf:{default}:records foreign');
    expect(await messageOf(Promise.resolve(store.facts(NOTHING)))).toMatch(/another program/);
    await server.send('DEL cf:{default}:records');
    await store.facts(NOTHING);
  });

  test('E4: settings that become weaker deny until they are right again', async () => {
    const server = await serverWith();
    const store = await openAt({ port: server.port });
    await store.commit(put('a'));
    for (const [bad, good, said] of [['maxmemory-policy allkeys-lru', 'maxmemory-policy noeviction', /noeviction/], ['appendfsync everysec', 'appendfsync always', /appendfsync/]] as const) {
      await server.send(`CONFIG SET ${bad}`);
      await until('a denial', async () => said.test(await messageOf(Promise.resolve(store.facts(NOTHING)))));
      expect(await messageOf(store.commit(put('b')))).toMatch(said);
      expect(await store.health()).toMatchObject({ readable: false, writable: false, detail: expect.stringMatching(said) });
      await server.send(`CONFIG SET ${good}`);
      await until('facts again', async () => (await messageOf(Promise.resolve(store.facts(NOTHING)))) === 'no error');
    }
    expect(await store.read('default', [{ kind: 'thing', id: 'b' }])).toEqual([undefined]);
  });

  test('demand(59) E2: records that were edited, moved or come from another version deny', async () => {
    const server = await serverWith();
    const env = { K: 'k'.repeat(40) };
    const config = { port: server.port, integrityKey: { env: 'K' } };
    const store = await openAt(config, 'production', env);
    await store.commit(put('a'));
    await store.commit(put('b'));
    const read = (id: string) => messageOf(store.read('default', [{ kind: 'thing', id }]));
    expect(await read('a')).toBe('no error');
    const edit = (lua: string) => server.send(`EVAL "${lua}" 1 cf:{default}:records`);
    const moved = "local b = redis.call('HGET', KEYS[1], 'thing/.a') redis.call('HSET', KEYS[1], 'thing/.b', b)";
    await edit(moved);
    expect(await read('b')).toMatch(/damaged, forged/);
    await edit("local r = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'thing/.a')) r[9] = r[9] .. ' ' redis.call('HSET', KEYS[1], 'thing/.a', cmsgpack.pack(r))");
    expect(await read('a')).toMatch(/damaged, forged/);
    await store.commit(put('c'));
    await edit("local r = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'thing/.c')) r[1] = 3 redis.call('HSET', KEYS[1], 'thing/.c', cmsgpack.pack(r))");
    expect(await read('c')).toMatch(/another format/);
    await store.commit(put('d'));
    const other = await openAt(config, 'production', { K: 'x'.repeat(40) });
    expect(await messageOf(other.read('default', [{ kind: 'thing', id: 'd' }]))).toMatch(/forged/);
    const none = await openAt({ port: server.port });
    expect(await messageOf(none.read('default', [{ kind: 'thing', id: 'd' }]))).toMatch(/forged/);
    expect(await messageOf(openAt(config, 'production', { K: 'short' }))).toMatch(/shorter than 32/);
  });

  test('E5, E13: a server that was emptied, replaced or put back denies; nothing is made anew over it', async () => {
    const server = await serverWith(MEMORY);
    const memory = { port: server.port, durability: 'memory' };
    const store = await openAt(memory);
    await store.commit(put('a', { events: [{ type: 'noted', about: [], ending: true, data: {} }] }));
    await store.facts(NOTHING);
    await server.send('FLUSHALL');
    expect(await messageOf(Promise.resolve(store.facts(NOTHING)))).toMatch(/emptied or replaced/);
    expect(await messageOf(store.commit(put('b')))).toMatch(/emptied or replaced/);
    expect(await server.send('KEYS *')).toMatch(/^\*0/);
    // Another program's start makes a new store; the one that knows the old one still denies.
    const next = await openAt(memory);
    await next.commit(put('c'));
    expect(await messageOf(Promise.resolve(store.facts(NOTHING)))).toMatch(/replaced/);
    // One realm lost, the rest there.
    await server.send('DEL cf:{default}:state');
    const third = await openAt(memory);
    expect(await messageOf(Promise.resolve(third.facts(NOTHING)))).toMatch(/gone from the store/);
  });

  test('E5: a server that knows less than it told before is regressed; so is one with other endings', async () => {
    const server = await serverWith(MEMORY);
    const store = await openAt({ port: server.port, durability: 'memory' });
    const ending = put('a', { events: [{ type: 'noted', about: [], ending: true, data: {} }] });
    await store.commit(ending);
    await store.commit(ending);
    await store.facts(NOTHING);
    await server.send('HSET cf:{default}:state sequence 1');
    expect(await messageOf(Promise.resolve(store.facts(NOTHING)))).toMatch(/knows less/);
    await server.send('HSET cf:{default}:state sequence 2');
    await store.facts(NOTHING);
    // The tail was lost, and others have gone on from there: as many endings and more, but not the same.
    await server.send("EVAL \"local e = redis.call('XRANGE', KEYS[1], '2-0', '2-0')[1] redis.call('XTRIM', KEYS[1], 'MAXLEN', 0) redis.call('DEL', KEYS[1]) redis.call('XADD', KEYS[1], '2-0', 's', '2', 'h', string.rep('1', 64)) redis.call('XADD', KEYS[1], '3-0', 's', '3', 'h', string.rep('2', 64))\" 1 cf:{default}:endings");
    await server.send(`HSET cf:{default}:state sequence 3 endings 3 hash ${'2'.repeat(64)}`);
    const other = await openAt({ port: server.port, durability: 'memory' });
    await other.facts(NOTHING);
    expect(await messageOf(Promise.resolve(store.facts(NOTHING)))).toMatch(/knows less/);
    await expect(Promise.resolve(store.facts(NOTHING))).rejects.toMatchObject({ reason: 'facts.regressed' });
  });

  test('E5, E13: a node remembers across restarts what it knew: an emptied, replaced or older server is refused, until the loss is accepted', async () => {
    const server = await serverWith();
    const folder = mkdtempSync(join(tmpdir(), 'curfew-seen-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'deep', 'seen.json');
    const start = () => openAt({ port: server.port }, 'production', {}, file);
    const ending = put('a', { events: [{ type: 'noted', about: [], ending: true, data: {} }] });
    const first = await start();
    for (let count = 0; count < 3; count += 1) await first.commit(ending);
    await until('what it knows to be written', () => existsSync(file) && readFileSync(file, 'utf8').includes('"sequence":3'));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await first.close();
    const second = await start();
    await second.facts(NOTHING);
    await second.close();
    // A backup of yesterday.
    await server.send('HSET cf:{default}:state sequence 2 endings 2');
    const third = await start();
    await expect(Promise.resolve(third.facts(NOTHING))).rejects.toMatchObject({ reason: 'facts.regressed' });
    await third.close();
    await server.send('FLUSHALL');
    expect(await messageOf(start())).toMatch(/another store than the one this node knew.+accept the loss with `curfew endings accept-loss`/);
    writeFileSync(file, '{"format": 1}');
    expect(await messageOf(start())).toMatch(/is damaged/);
    rmSync(file);
    await (await start()).facts(NOTHING);
  });

  test('I9: commits take their instants from the server, which never go back; a commit that comes too late is late', async () => {
    const server = await serverWith(MEMORY);
    const store = await openAt({ port: server.port, durability: 'memory' });
    const before = Date.now();
    const first = await store.commit(put('a'));
    const after = Date.now();
    expect(first).toMatchObject({ outcome: 'committed' });
    const { at } = first as { at: number };
    expect(at >= before - 1 && at <= after + 1).toBe(true);
    expect((await store.commit(put('b', { before: (at - 60_000) as Instant }))).outcome).toBe('late');
    expect((await store.commit(put('b', { before: (at + 60_000) as Instant }))).outcome).toBe('committed');
    await server.send(`HSET cf:{default}:state at ${at + 3_600_000}`);
    expect(await store.commit(put('c'))).toMatchObject({ at: at + 3_600_000 });
  });

  test('the clock mark is moved by the server only, and never back', async () => {
    const server = await serverWith(MEMORY);
    const store = await openAt({ port: server.port, durability: 'memory' });
    expect(await store.readClockMark()).toBeUndefined();
    await store.writeClockMark((Date.now() + 86_400_000) as Instant);
    const mark = (await store.readClockMark()) as number;
    expect(mark).toBeLessThanOrEqual(Date.now() + 1_001);
    expect(mark).toBeGreaterThan(Date.now() - 60_000);
    await store.writeClockMark(1 as Instant);
    expect(await store.readClockMark()).toBe(mark);
    await expect(store.writeClockMark(Number.NaN as Instant)).rejects.toThrow(TypeError);
  });

  test('housekeeping is one process at a time, and another takes over from one that stopped', async () => {
    const { port } = await serverWith(MEMORY);
    const [one, two] = [await openAt({ port, durability: 'memory' }), await openAt({ port, durability: 'memory' })];
    expect([await one.takeTurn?.('sweeper', 'a', 60_000), await two.takeTurn?.('sweeper', 'b', 60_000), await one.takeTurn?.('sweeper', 'a', 150)]).toEqual([true, false, true]);
    expect(await two.takeTurn?.('other', 'b', 60_000)).toBe(true);
    await until('the other to take over', () => two.takeTurn?.('sweeper', 'b', 60_000));
    expect(await one.takeTurn?.('sweeper', 'a', 60_000)).toBe(false);
  });

  test('more questions than may wait at once fail at once', async () => {
    const server = await serverWith(MEMORY);
    const store = await openAt({ port: server.port, durability: 'memory', inFlightMax: 10 });
    await store.facts(NOTHING);
    server.signal('SIGSTOP');
    const started = performance.now();
    const answers = await Promise.all(Array.from({ length: 200 }, () => messageOf(Promise.resolve(store.facts(NOTHING)))));
    expect(answers.filter((answer) => /10 commands wait/.test(answer)).length).toBeGreaterThanOrEqual(190);
    // Each for the time of a read would be more than a minute.
    expect(performance.now() - started).toBeLessThan(10_000);
    server.signal('SIGCONT');
    await until('facts again', async () => (await messageOf(Promise.resolve(store.facts(NOTHING)))) === 'no error');
  });

  test('I7: with fsync, what was confirmed before kill -9 is there afterwards, over and over', async () => {
    const server = await serverWith();
    const store = await openAt({ port: server.port });
    let number = 0;
    const confirmed: number[] = [];
    for (let cycle = 0; cycle < 5; cycle += 1) {
      let stop = false;
      const writing = Promise.all(Array.from({ length: 4 }, async () => {
        while (!stop) {
          number += 1;
          const mine = number;
          await store.commit(put(`n${mine}`)).then(() => confirmed.push(mine), () => new Promise((resolve) => { setTimeout(resolve, 5); }));
        }
      }));
      const before = confirmed.length;
      await until('some commits', () => confirmed.length > before + 20);
      await server.kill();
      stop = true;
      await writing;
      await server.start();
      await until('facts again', async () => (await messageOf(Promise.resolve(store.facts(NOTHING)))) === 'no error');
      const found = await store.read('default', confirmed.map((mine) => ({ kind: 'thing', id: `n${mine}` })));
      expect(found.filter((record) => record === undefined)).toEqual([]);
    }
    const events = await store.events('default', { after: 0, limit: 1_000 });
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_event, index) => index + 1));
  });
});
