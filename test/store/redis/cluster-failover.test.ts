/** A cluster whose primaries have replicas: a realm is read under a lease of its own slot's primary, and a failover loses nothing that was confirmed. */
import { expect, test } from 'vitest';
import { slotOf } from '../../../src/store/redis/slot.ts';
import { StoreUnavailable, type Commit, type NodeStore } from '../../../src/store/port.ts';
import { createClock } from '../../../src/time/clock.ts';
import { describeWith } from '../../parts.ts';
import { ACL_PASSWORD, guideAcl, writeAclFile } from '../../support/redis-acl.ts';
import { REPLICATED } from '../../support/redis.ts';
import { startCluster, type RedisCluster } from '../../support/redis-cluster.ts';
import { until } from '../../support/until.ts';
import { opening } from './opening.ts';

const clock = createClock({ maxClockStepMs: 60_000 });
const { cleanups, temporary, openAt } = opening(clock);
const LOGIN = `tests ${ACL_PASSWORD}`;
const messageOf = async (work: unknown): Promise<string> =>
  Promise.resolve(work).then(() => 'no error', (error: Error) => {
    expect(error).toBeInstanceOf(StoreUnavailable);
    return error.message;
  });
const factsOf = async (store: NodeStore, realm: string): Promise<string> => messageOf((async () => store.facts({ realm, keys: [] }))());
const put = (id: string, realm: string): Commit => ({ realm, expect: [], puts: [{ key: { kind: 'thing', id }, value: { id } }], events: [{ type: 'noted', about: [], ending: true, data: {} }] });
const valueOf = async (store: NodeStore, id: string, realm: string): Promise<unknown> => (await store.read(realm, [{ kind: 'thing', id }]))[0]?.value;

const cluster = async (): Promise<RedisCluster> =>
  startCluster({
    // The primary itself notices nothing for a minute: what denies is the lease.
    replicasEach: 1, args: [...REPLICATED, '--min-replicas-max-lag', '60'], login: LOGIN,
    extra: () => ['--aclfile', writeAclFile(temporary(), guideAcl()), '--masteruser', 'tests', '--masterauth', ACL_PASSWORD],
  }, ({ stop }) => cleanups.push(stop));

describeWith(['redis'], 'a cluster with replicas', () => {
  test('I2, I7: realms are read under leases of their own primaries; a failover loses nothing confirmed; the other shards go on', { timeout: 120_000 }, async () => {
    const { servers, shardOf } = await cluster();
    const realms = ['realm-0', 'realm-1', 'realm-2', 'realm-3'];
    const config = { cluster: servers.slice(0, 2).map(({ port }) => ({ host: '127.0.0.1', port })), durability: { replicated: 1 }, username: 'curfew', password: { env: 'ACL' } };
    expect(await messageOf(openAt({ ...config, durability: 'fsync' }, { realms }))).toMatch(/follow a primary of this cluster/);
    const [store, other] = [await openAt(config, { realms: realms.slice(1) }), await openAt(config, { realms })];
    for (const realm of realms) {
      const key = `cf:{${realm}}:state`;
      expect(await servers[0]?.send(`CLUSTER KEYSLOT ${key}`, LOGIN)).toContain(`:${slotOf(key)}\r\n`);
      expect((await store.commit(put('before', realm))).outcome).toBe('committed');
      await until('facts', async () => (await factsOf(other, realm)) === 'no error');
      expect(await valueOf(other, 'before', realm)).toEqual({ id: 'before' });
      expect(await store.events(realm, { after: 0, limit: 5 })).toHaveLength(1);
    }
    for (const server of servers) expect(await server.send('ACL LOG', LOGIN)).toMatch(/^\*0/);

    const { primary, replicas: [replica] } = await shardOf('cf:{realm-0}:state');
    if (replica === undefined) throw new Error('there is no replica');
    // Its replica stands still: nothing is confirmed, and soon nothing is read either.
    replica.signal('SIGSTOP');
    expect(await messageOf(store.commit(put('unconfirmed', 'realm-0')))).not.toBe('no error');
    await until('a denial', async () => /no lease of the primary/.test(await factsOf(other, 'realm-0')));
    replica.signal('SIGCONT');
    await until('facts again', async () => (await factsOf(other, 'realm-0')) === 'no error');
    await until('commits again', async () => (await messageOf(store.commit(put('again', 'realm-0')))) === 'no error');

    await primary.kill();
    expect(await messageOf(store.commit(put('between', 'realm-0')))).not.toBe('no error');
    await until('the promotion', async () => (await shardOf('cf:{realm-0}:state')).primary === replica, 60_000);
    // Alone it is not enough: the old one must come back as its replica.
    expect(await messageOf(store.commit(put('alone', 'realm-0')))).not.toBe('no error');
    await primary.start();
    await until('commits to the new primary', async () => (await messageOf(store.commit(put('after', 'realm-0')))) === 'no error', 60_000);
    for (const realm of realms) await until(`facts of ${realm}`, async () => (await factsOf(other, realm)) === 'no error', 60_000);
    expect([await valueOf(other, 'before', 'realm-0'), await valueOf(other, 'again', 'realm-0'), await valueOf(other, 'after', 'realm-0')]).toEqual([{ id: 'before' }, { id: 'again' }, { id: 'after' }]);
  });

  test('a primary that was frozen while another one took its place is not believed when it wakes up', { timeout: 120_000 }, async () => {
    const { servers, shardOf } = await cluster();
    const realms = ['default'];
    const store = await openAt({ cluster: servers.map(({ port }) => ({ host: '127.0.0.1', port })), durability: { replicated: 1 }, username: 'curfew', password: { env: 'ACL' } }, { realms });
    await store.commit(put('a', 'default'));
    await until('facts', async () => (await factsOf(store, 'default')) === 'no error');
    const { primary, replicas: [replica] } = await shardOf('cf:{default}:state');
    primary.signal('SIGSTOP');
    await until('the promotion', async () => (await shardOf('cf:{default}:state')).primary === replica, 60_000);
    // What is written there, and nowhere else, must be in every answer from now on.
    await replica?.send('CONFIG SET min-replicas-to-write 0', LOGIN);
    await replica?.send('HSET cf:{default}:state mark here', LOGIN);
    const position = (await replica?.send('HGET cf:{default}:state sequence', LOGIN))?.split('\r\n')[1];
    await replica?.send(`HSET cf:{default}:state sequence ${Number(position) + 1}`, LOGIN);
    primary.signal('SIGCONT');
    const stale: number[] = [];
    for (const until = performance.now() + 3_000; performance.now() < until;) {
      const read = await Promise.resolve((async () => store.facts({ realm: 'default', keys: [] }))()).catch(() => undefined);
      if (read !== undefined && read.position.sequence <= Number(position)) stale.push(read.position.sequence);
    }
    expect(stale).toEqual([]);
  });
});
