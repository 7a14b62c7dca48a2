/** I6: what a server loses that a node knows to have ended is put back by it, whoever else there is; and nobody says yes before. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createLifecycle, type Call } from '../../../src/lifecycle/lifecycle.ts';
import { lifecycleConfig } from '../../../src/lifecycle/config.ts';
import { createMender } from '../../../src/lifecycle/mend.ts';
import type { NodeStore } from '../../../src/store/port.ts';
import { openLeasedStore } from '../../../src/store/leased/open.ts';
import { redisStoreConfig } from '../../../src/store/redis/config.ts';
import { openRedisStore } from '../../../src/store/redis/open.ts';
import { readWitnessFile } from '../../../src/store/redis/witness-file.ts';
import { createClock } from '../../../src/time/clock.ts';
import { describeWith } from '../../parts.ts';
import { FSYNC, MEMORY, startRedis, type RedisServer } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
const clock = createClock({ maxClockStepMs: 60_000 });
const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:rita' } };
let asked = 0;
/** One that nobody asked about before. */
const unasked = (): string => `spiffe://example.org/new-${(asked += 1)}`;
const ending = (selector: string) => ({ realm: 'default', keys: [{ kind: 'ending', id: selector }] });

describeWith(['redis'], 'a server that lost its tail', () => {
  const folderOf = (): string => {
    const folder = mkdtempSync(join(tmpdir(), 'curfew-regress-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    return folder;
  };
  const openAt = async (port: number, durability: unknown, path: string, keeper: boolean, lookEveryMs = 20): Promise<NodeStore> => {
    const store = await openRedisStore({
      config: redisStoreConfig.parse({ port, durability, leaseMs: 1_500, readTimeoutMs: 5_000, commitTimeoutMs: 10_000 }),
      mode: 'production', clock, secrets: { readFile: () => '', env: () => undefined }, lookEveryMs, memory: { path, keeper, realms: ['default'] },
    });
    cleanups.push(() => store.close());
    return store;
  };
  const lifecycleOf = (store: NodeStore) =>
    createLifecycle({ store, clock, config: lifecycleConfig.parse({}), policy: () => undefined, development: true, enforcementMs: 0, settle: async () => undefined });
  const menderOf = (store: NodeStore) => createMender({ store, clock, realms: ['default'], intervalMs: 1_000, onMended: () => undefined, onError: (error) => { throw error; } });
  /** Keeps what the server has, and puts it back: what was written meanwhile is lost. */
  const keep = (server: RedisServer): Promise<string> => server.send(`EVAL "for _, k in ipairs(redis.call('KEYS', 'cf:{default}*')) do redis.call('COPY', k, 'kept:' .. k, 'REPLACE') end" 0`);
  const lose = (server: RedisServer): Promise<string> =>
    server.send(`EVAL "redis.call('DEL', unpack(redis.call('KEYS', 'cf:{default}*'))) for _, k in ipairs(redis.call('KEYS', 'kept:*')) do redis.call('COPY', k, string.sub(k, 6), 'REPLACE') end" 0`);
  const reasonOf = async (store: NodeStore): Promise<string> => Promise.resolve(store.facts({ realm: 'default', keys: [] })).then(() => 'no error', (error: { readonly reason?: string }) => error.reason ?? 'unavailable');
  const revoke = async (store: NodeStore, value: string): Promise<void> => {
    expect((await lifecycleOf(store).revoke(CALL, { selector: { kind: 'workload', value }, reason: 'over' }, true)).ok).toBe(true);
  };
  /** Every process's lease was confirmed by the replica since: what they read is surely there. */
  const renewed = async (server: RedisServer): Promise<void> => {
    const numbers = async (): Promise<readonly number[]> =>
      [...(await server.send(`EVAL "local n = {} for i, k in ipairs(redis.call('KEYS', 'cf:{}fence:*')) do n[i] = k .. ' ' .. redis.call('GET', k) end table.sort(n) return n" 0`)).matchAll(/fence:\S+ (\d+)/g)].map(([, number]) => Number(number));
    const before = await numbers();
    await until('renewals', async () => (await numbers()).filter((number, index) => number >= (before[index] ?? 0) + 3).length >= 2);
  };
  const known = (path: string) => until('the keeper to know', async () => readFileSync(`${path}.endings`, 'utf8').includes('spiffe://example.org/lost'));

  test('what it lost is put back, by any node and once; without replicas an operator decides whether to go on, and has it then', async () => {
    const server = await startRedis(MEMORY);
    cleanups.push(server.stop);
    const path = join(folderOf(), 'seen.json');
    const store = await openAt(server.port, 'memory', path, true);
    await revoke(store, 'spiffe://example.org/kept');
    await until('the keeper to have looked', async () => existsSync(`${path}.endings`));
    await keep(server);
    await revoke(store, 'spiffe://example.org/lost');
    expect((await lifecycleOf(store).suspend(CALL, { selector: { kind: 'owner', value: 'team:lost' }, reason: 'over' }, true)).ok).toBe(true);
    await known(path);
    await until('the suspension too', async () => readFileSync(`${path}.endings`, 'utf8').includes('team:lost'));
    await lose(server);
    await until('a denial', async () => (await reasonOf(store)) === 'facts.regressed');
    const mender = menderOf(store);
    await until('it to be put back', async () => (await mender.mend()) === 2);
    expect(await mender.mend()).toBe(0);
    const asItIs = await store.regress?.asItIs.facts({ realm: 'default', keys: ['workload:spiffe://example.org/kept', 'workload:spiffe://example.org/lost', 'owner:team:lost'].map((id) => ({ kind: 'ending', id })) });
    expect(asItIs?.records.size).toBe(3);
    expect(asItIs?.records.get('ending/workload:spiffe://example.org/lost')?.marked?.sequence).toBeGreaterThan(1);
    // It goes on denying: uses may be lost too, and only an operator knows why.
    expect(await reasonOf(store)).toBe('facts.regressed');
    await store.close();
    rmSync(path);
    const accepted = await openAt(server.port, 'memory', path, true);
    expect((await accepted.facts(ending('workload:spiffe://example.org/lost'))).records.size).toBe(1);
  });

  test('what ended before the first look of a keeper is kept and put back as well', async () => {
    const server = await startRedis(MEMORY);
    cleanups.push(server.stop);
    const path = join(folderOf(), 'seen.json');
    const early = await openAt(server.port, 'memory', path, false);
    await revoke(early, 'spiffe://example.org/kept');
    await keep(server);
    await revoke(early, 'spiffe://example.org/lost');
    const keeper = await openAt(server.port, 'memory', path, true);
    await until('the keeper to have looked', async () => existsSync(`${path}.endings`));
    await known(path);
    await lose(server);
    await until('a denial', async () => (await reasonOf(keeper)) === 'facts.regressed');
    const mender = menderOf(keeper);
    await until('it to be put back', async () => (await mender.mend()) === 1);
    expect((await keeper.regress?.asItIs.facts(ending('workload:spiffe://example.org/lost')))?.records.size).toBe(1);
  });

  test('with replicas everybody goes on once it is put back, processes too that keep nothing; another loss is another loss', { timeout: 120_000 }, async () => {
    const args = [...FSYNC, '--min-replicas-to-write', '1', '--min-replicas-max-lag', '30', '--repl-ping-replica-period', '1', '--repl-diskless-sync-delay', '0'];
    const server = await startRedis(args);
    cleanups.push(server.stop);
    const replica = await startRedis([...args, '--replicaof', '127.0.0.1', String(server.port)]);
    cleanups.push(replica.stop);
    await until('the replica', async () => (await server.send('INFO replication')).includes('state=online'));
    const path = join(folderOf(), 'seen.json');
    const keeper = await openAt(server.port, { replicated: 1 }, path, true);
    const worker = await openAt(server.port, { replicated: 1 }, path, false);
    for (const store of [keeper, worker]) await until('facts', async () => (await reasonOf(store)) === 'no error');
    await revoke(keeper, 'spiffe://example.org/kept');
    await until('the keeper to have looked', async () => existsSync(`${path}.endings`));
    const mender = menderOf(keeper);
    for (let round = 0; round < 2; round += 1) {
      await keep(server);
      await revoke(keeper, `spiffe://example.org/lost-${round}`);
      await until('the keeper to know', async () => readFileSync(`${path}.endings`, 'utf8').includes(`lost-${round}`));
      // A process that a busy machine held up has no lease for a moment.
      await until('facts', async () => (await reasonOf(worker)) === 'no error');
      await renewed(server);
      await lose(server);
      await until('a denial', async () => (await reasonOf(worker)) === 'facts.regressed');
      await until('a denial', async () => (await reasonOf(keeper)) === 'facts.regressed');
      await until('it to be put back', async () => (await mender.mend()) === 1);
      for (const store of [keeper, worker]) {
        await until('L1: facts again', async () => (await reasonOf(store)) === 'no error', 5_000);
        const read = await until('facts', () => Promise.resolve(store.facts(ending(`workload:spiffe://example.org/lost-${round}`))).catch(() => undefined));
        expect(read.records.size).toBe(1);
      }
    }
    // What a process remembers of the history that was lost is forgotten, although every number of it is there again.
    const decider = await openRedisStore({
      config: redisStoreConfig.parse({ port: server.port, durability: { replicated: 1 }, mode: 'leased', leaseMs: 6_000, readTimeoutMs: 5_000, commitTimeoutMs: 10_000 }),
      mode: 'production', clock, secrets: { readFile: () => '', env: () => undefined }, lookEveryMs: 20, decides: true,
    });
    const leased = openLeasedStore(decider, { clock, bytesMax: 2 ** 20 });
    cleanups.push(() => leased.close());
    await keep(server);
    await revoke(keeper, 'spiffe://example.org/lost-2');
    await until('the keeper to know', () => readFileSync(`${path}.endings`, 'utf8').includes('lost-2'));
    for (let round = 0; round < 20; round += 1) await keeper.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id: 'a' }, value: { round } }], events: [] });
    const query = ending('workload:spiffe://example.org/never');
    const held = await until('an answer from memory', async () => (await Promise.resolve(leased.facts(query)).catch(() => undefined))?.holds);
    await lose(server);
    await until('it to be put back', async () => (await mender.mend()) === 1);
    await until('facts again', async () => (await reasonOf(keeper)) === 'no error');
    // Whatever it was that it remembered: another history, and longer than the one before.
    await revoke(keeper, 'spiffe://example.org/never');
    for (let round = 0; round < 40; round += 1) await keeper.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id: 'a' }, value: { round } }], events: [] });
    await until('a strict read to tell', async () => Promise.resolve(leased.facts(ending(`workload:${unasked()}`))).then(({ holds }) => holds === undefined, () => false));
    expect(held()).toBe(false);
    await until('the truth from memory', async () => {
      const read = await Promise.resolve(leased.facts(query)).catch(() => undefined);
      if (read !== undefined) expect(read.records.size).toBe(1);
      return read?.holds !== undefined;
    });
    await leased.close();
    // A node that knows of endings which it can not name any more accepts nothing.
    copyFileSync(`${path}.endings`, `${path}.older`);
    await keep(server);
    await revoke(keeper, 'spiffe://example.org/lost-3');
    await until('the keeper to know', () => readFileSync(`${path}.endings`, 'utf8').includes('lost-3'));
    await keeper.close();
    copyFileSync(`${path}.older`, `${path}.endings`);
    await lose(server);
    const forgetful = await openAt(server.port, { replicated: 1 }, path, true);
    await until('a denial', async () => (await reasonOf(forgetful)) === 'facts.regressed');
    expect(await menderOf(forgetful).mend()).toBe(0);
    expect(await forgetful.regress?.accept('default')).toBe(false);
    expect(await reasonOf(forgetful)).toBe('facts.regressed');
  });

  /** A node of two processes that look at nothing by themselves, and another node: all know one ending, and the server is kept as it is then. */
  const nodeAndOther = async () => {
    const server = await startRedis(MEMORY);
    cleanups.push(server.stop);
    const path = join(folderOf(), 'seen.json');
    const [keeper, worker] = [await openAt(server.port, 'memory', path, true, 600_000), await openAt(server.port, 'memory', path, false, 600_000)];
    const other = await openAt(server.port, 'memory', join(folderOf(), 'seen.json'), true);
    await revoke(other, 'spiffe://example.org/kept');
    for (const store of [keeper, worker]) expect(await reasonOf(store)).toBe('no error');
    await keep(server);
    return { server, path, keeper, worker, other };
  };
  /** As it is with a server that was away, came back as it was kept, and that others wrote to meanwhile. */
  const putBack = async (server: RedisServer, other: NodeStore): Promise<void> => {
    await lose(server);
    for (let count = 0; count < 10; count += 1) await other.regress?.asItIs.commit({ realm: 'default', expect: [], puts: [], events: [{ type: 'other', about: [], ending: true, data: { count } }] });
    await server.send('CLIENT KILL TYPE normal');
  };
  const refused = (store: NodeStore) => until('it to be refused', async () => {
    const reason = await reasonOf(store);
    expect(reason).not.toBe('no error');
    return reason === 'facts.regressed';
  });

  test('I2: what a node has ended, all of its processes know once it is answered, those too that had not read it: a server that is put back, and written to by others, is refused', async () => {
    const { server, keeper, worker, other } = await nodeAndOther();
    await revoke(keeper, 'spiffe://example.org/lost');
    await putBack(server, other);
    for (const store of [keeper, worker]) await refused(store);
  });

  test('I2: what a process has read it does not forget for what another process of its node, that had read less, wrote down since', async () => {
    const { server, path, keeper, worker, other } = await nodeAndOther();
    await revoke(other, 'spiffe://example.org/lost');
    expect(await reasonOf(worker)).toBe('no error');
    await putBack(server, other);
    // It knows nothing that the server lacks, goes on and says how far it is.
    await until('the keeper to end something', async () => revoke(keeper, 'spiffe://example.org/later').then(() => true, () => false));
    expect(readWitnessFile(path)?.realms.get('default')?.endings.sequence).toBeGreaterThan(10);
    await server.send('CLIENT KILL TYPE normal');
    await refused(worker);
    expect(await reasonOf(worker)).toBe('facts.regressed');
  });

  test('a node that does not know what was lost puts nothing back and accepts nothing', async () => {
    const server = await startRedis(MEMORY);
    cleanups.push(server.stop);
    const path = join(folderOf(), 'seen.json');
    const store = await openAt(server.port, 'memory', path, false);
    const other = await openAt(server.port, 'memory', join(folderOf(), 'seen.json'), true);
    await revoke(other, 'spiffe://example.org/kept');
    await keep(server);
    await revoke(other, 'spiffe://example.org/lost');
    expect(await reasonOf(store)).toBe('no error');
    await other.close();
    await lose(server);
    const late = await openAt(server.port, 'memory', join(folderOf(), 'seen.json'), true);
    expect(await menderOf(late).mend()).toBe(0);
    expect(await late.regress?.accept('default')).toBe(false);
    expect(await reasonOf(store)).toBe('facts.regressed');
  });
});
