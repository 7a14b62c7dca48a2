/** The store over TLS, behind Sentinels, on a cluster, with replicas: real servers on loopback. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { StoreUnavailable, type Commit, type NodeStore } from '../../../src/store/port.ts';
import { createClock } from '../../../src/time/clock.ts';
import { certificate } from '../../identity/x509.ts';
import { describeWith } from '../../parts.ts';
import { freePorts } from '../../support/free-ports.ts';
import { ACL_PASSWORD, guideAcl, writeAclFile } from '../../support/redis-acl.ts';
import { FSYNC, MEMORY, REPLICATED, startSentinels, WITHOUT_TLS, type RedisServer } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { opening } from './opening.ts';

const clock = createClock({ maxClockStepMs: 60_000 });
const { cleanups, temporary, serverWith, openAt } = opening(clock);
const messageOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(() => 'no error', (error: Error) => {
    expect(error).toBeInstanceOf(StoreUnavailable);
    return error.message;
  });
const put = (id: string, realm = 'default'): Commit => ({ realm, expect: [], puts: [{ key: { kind: 'thing', id }, value: { id } }], events: [] });
const valueOf = async (store: NodeStore, id: string, realm = 'default'): Promise<unknown> => (await store.read(realm, [{ kind: 'thing', id }]))[0]?.value;
const loopback = (port: number) => ({ host: '127.0.0.1', port });

describeWith(['redis'], 'Redis, put up otherwise', () => {
  test.skipIf(WITHOUT_TLS)('E1: over TLS with certificates on both sides; a server that nobody vouches for, or one of another name, is no server', async () => {
    const folder = temporary();
    const life = { notBefore: Date.now() - 3_600_000, notAfter: Date.now() + 3_600_000 };
    const authority = certificate({ ...life, subject: [{ CN: 'authority' }], ca: true });
    const ours = certificate({ ...life, subject: [{ CN: 'redis' }], dns: ['localhost'], by: authority });
    const files = { ca: authority.pem, cert: ours.pem, key: ours.keyPem };
    const at = (name: keyof typeof files): string => join(folder, `${name}.pem`);
    for (const name of ['ca', 'cert', 'key'] as const) writeFileSync(at(name), files[name]);
    const [port] = (await freePorts(1)) as [number];
    const server = await serverWith([...MEMORY, '--tls-port', String(port), '--tls-cert-file', at('cert'), '--tls-key-file', at('key'), '--tls-ca-cert-file', at('ca')]);
    const config = { host: 'localhost', port, durability: 'memory' };
    const mutual = { ca: at('ca'), cert: at('cert'), key: at('key') };
    const store = await openAt({ ...config, tls: mutual });
    await store.commit(put('a'));
    expect(await valueOf(store, 'a')).toEqual({ id: 'a' });
    expect(await server.send('KEYS cf:*')).toMatch(/cf:\{default\}:records/);
    expect(await messageOf(openAt({ ...config, tls: { cert: at('cert'), key: at('key') } }))).toMatch(/no connection/);
    expect(await messageOf(openAt({ ...config, tls: { ...mutual, serverName: 'other.example.org' } }))).toMatch(/no connection/);
    expect(await messageOf(openAt({ ...config, tls: { ca: at('ca') } }))).toMatch(/no connection/);
    expect(await messageOf(openAt({ ...config, tls: { ca: join(folder, 'none.pem') } }))).toMatch(/can not be read: ENOENT/);
  });

  test('I7: with replicated: 1 a commit counts when the replica has it; without it, or with one too many, the server is too weak', async () => {
    const primary = await serverWith([...FSYNC, '--min-replicas-to-write', '1', '--repl-ping-replica-period', '1', '--repl-diskless-sync-delay', '0']);
    // Shorter than it takes to give up a primary that is not followed any more.
    const config = { port: primary.port, durability: { replicated: 1 }, commitTimeoutMs: 1_500 };
    expect(await messageOf(openAt(config))).toMatch(/0 of 1 replicas/);
    const replica = await serverWith([...FSYNC, '--replicaof', '127.0.0.1', String(primary.port)]);
    const linked = async (count: number) => until(`${count} replicas`, async () => (await primary.send('INFO replication')).includes(`connected_slaves:${count}`) && (await primary.send('INFO replication')).split('state=online').length > count);
    await linked(1);
    // A replica that has just begun to follow confirms slowly.
    const store = await until('a lease', () => openAt(config).catch(() => undefined));
    await store.commit(put('a'));
    expect(await replica.send('HGET cf:{default}:state sequence')).toMatch(/\r\n1\r\n/);
    // On its disk, where the server can tell.
    const [, major, minor] = /redis_version:(\d+)\.(\d+)/.exec(await primary.send('INFO server')) ?? [];
    const used = /^cmdstat_waitaof:calls=[1-9]\d*,.*failed_calls=0/m.test(await primary.send('INFO commandstats'));
    expect(used).toBe(Number(major) * 100 + Number(minor) >= 702);
    // Without a lease its connections are made anew, and say only that: this one outlasts the commit.
    const patient = await until('a lease', () => openAt({ ...config, leaseMs: 30_000, commitTimeoutMs: 1_500 }).catch(() => undefined));
    replica.signal('SIGSTOP');
    expect(await messageOf(patient.commit(put('b')))).toMatch(/0 of 1 replicas confirmed in time; the outcome is unknown|no answer in time/);
    replica.signal('SIGCONT');
    await until('commits again', async () => (await messageOf(store.commit(put('c')))) === 'no error');
    await serverWith([...FSYNC, '--replicaof', '127.0.0.1', String(primary.port)]);
    await linked(2);
    await until('a denial', async () => /could be promoted/.test(await messageOf(Promise.resolve(store.facts({ realm: 'default', keys: [] })))));
  });

  test('behind Sentinels the store follows the primary; nothing confirmed is lost', { timeout: 180_000 }, async () => {
    const primary = await serverWith(REPLICATED);
    const replica = await serverWith([...REPLICATED, '--replicaof', '127.0.0.1', String(primary.port)]);
    await until('the replica', async () => (await primary.send('INFO replication')).includes('state=online'));
    const sentinels = await startSentinels(primary.port);
    cleanups.push(...sentinels.map((sentinel) => sentinel.stop));
    const store = await until('a lease', () => openAt({ sentinels: sentinels.map(({ port }) => loopback(port)), durability: { replicated: 1 } }).catch(() => undefined));
    await store.commit(put('before'));
    await primary.kill();
    expect(await messageOf(store.commit(put('between')))).not.toBe('no error');
    // Alone the new primary is not enough: the old one must come back as its replica.
    await until('the replica to be promoted', async () => /master/.test(await replica.send('ROLE')));
    expect(await messageOf(store.commit(put('alone')))).not.toBe('no error');
    await primary.start();
    await until('the new primary', async () => (await messageOf(store.commit(put('after')))) === 'no error');
    // Facts need a lease besides, which is confirmed a moment later.
    await until('facts', async () => (await messageOf(Promise.resolve(store.facts({ realm: 'default', keys: [] })))) === 'no error');
    expect([await valueOf(store, 'before'), await valueOf(store, 'after')]).toEqual([{ id: 'before' }, { id: 'after' }]);
    // Which of the two it is in the end is the Sentinels' matter: some turn back when the old one returns soon.
    const roles = await Promise.all([primary, replica].map(async (server) => /master|slave/.exec(await server.send('ROLE'))?.[0]));
    expect(new Set(roles)).toEqual(new Set(['master', 'slave']));
  });

  test('on a cluster each realm is one slot, and many realms spread over the nodes; one with replicas is refused; as the ACL user of the guide', { timeout: 180_000 }, async () => {
    // Its usual place, 10,000 above the port, lies among those that the system gives to anybody.
    const buses = await freePorts(3);
    const servers = await Promise.all(buses.map((bus) => {
      const folder = temporary();
      return serverWith([...MEMORY, '--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '2000', '--aclfile', writeAclFile(folder, guideAcl()), '--masteruser', 'tests', '--masterauth', ACL_PASSWORD]);
    }));
    const login = `tests ${ACL_PASSWORD}`;
    const bounds = [[0, 5_460], [5_461, 10_922], [10_923, 16_383]] as const;
    for (const [index, server] of servers.entries()) {
      await server.send(`CLUSTER ADDSLOTSRANGE ${bounds[index]?.join(' ')}`, login);
      await server.send(`CLUSTER MEET 127.0.0.1 ${servers[0]?.port} ${buses[0]}`, login);
    }
    for (const server of servers) await until('the cluster', async () => /cluster_state:ok/.test(await server.send('CLUSTER INFO', login)) && /cluster_known_nodes:3/.test(await server.send('CLUSTER INFO', login)));
    const store = await openAt({ cluster: [loopback(servers[0]?.port ?? 0)], durability: 'memory', username: 'curfew', password: { env: 'ACL' } });
    const realms = Array.from({ length: 12 }, (_, index) => `realm-${index}`);
    for (const realm of realms) {
      expect(await store.commit(put('a', realm))).toMatchObject({ outcome: 'committed', position: { sequence: 1 } });
      expect(await valueOf(store, 'a', realm)).toEqual({ id: 'a' });
      expect((await store.list(realm, { kind: 'thing', limit: 5 })).items).toHaveLength(1);
      expect(await store.events(realm, { after: 0, limit: 5 })).toHaveLength(1);
    }
    const held = await Promise.all(servers.map(async (server) => [...(await server.send('KEYS cf:*:state', login)).matchAll(/cf:\{/g)].length));
    expect(held.reduce((sum, count) => sum + count, 0)).toBe(12);
    expect(held.every((count) => count > 0)).toBe(true);
    for (const server of servers) expect(await server.send('ACL LOG', login)).toMatch(/^\*0/);
    expect(await store.health()).toEqual({ readable: true, writable: true });
    // A replica could take its primary's place, and the primary not know it.
    const [bus = 0] = await freePorts(1);
    const replica = await serverWith([...MEMORY, '--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '2000', '--aclfile', writeAclFile(temporary(), guideAcl()), '--masteruser', 'tests', '--masterauth', ACL_PASSWORD]);
    await replica.send(`CLUSTER MEET 127.0.0.1 ${servers[0]?.port} ${buses[0]}`, login);
    const first = /[0-9a-f]{40}/.exec(await (servers[0] as RedisServer).send('CLUSTER MYID', login))?.[0] ?? '';
    await until('it to know the cluster', async () => (await replica.send('CLUSTER NODES', login)).includes(first));
    await until('it to follow', async () => /OK/.test(await replica.send(`CLUSTER REPLICATE ${first}`, login)));
    await until('a denial, by name', async () => /follow a primary of this cluster/.test(await messageOf(Promise.resolve(store.facts({ realm: 'realm-0', keys: [] })))));
    expect(await messageOf(openAt({ cluster: [loopback(servers[0]?.port ?? 0)], durability: 'memory', username: 'curfew', password: { env: 'ACL' } }))).toMatch(/follow a primary of this cluster/);
    await replica.kill();
    await until('facts again', async () => (await messageOf(Promise.resolve(store.facts({ realm: 'realm-0', keys: [] })))) === 'no error');
    // One slot's primary is gone: its realms deny, the others go on.
    await servers[2]?.kill();
    const answers = await Promise.all(realms.map((realm) => messageOf(Promise.resolve(store.read(realm, [{ kind: 'thing', id: 'a' }])))));
    expect(answers.some((answer) => answer !== 'no error')).toBe(true);
  });
});
