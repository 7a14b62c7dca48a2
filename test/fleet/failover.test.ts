/** E5, I2, I7: two real nodes behind Sentinels, whose primary is killed and comes back as a replica. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import type { Curfew } from '../runtime/curfew.ts';
import { REPLICATED, startRedis, startSentinels, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startFleet, type Fleet } from './fleet.ts';

describeWith(['redis'], 'two nodes behind Sentinels', () => {
  const servers: RedisServer[] = [];
  let fleet: Fleet;
  beforeAll(async () => {
    const primary = await startRedis(REPLICATED);
    servers.push(primary);
    servers.push(await startRedis([...REPLICATED, '--replicaof', '127.0.0.1', String(primary.port)]));
    const sentinels = await startSentinels(primary.port);
    servers.push(...sentinels);
    await until('the replica', async () => (await primary.send('INFO replication')).includes('state=online'));
    fleet = await startFleet(`{sentinels: [${sentinels.map(({ port }) => `{host: 127.0.0.1, port: ${port}}`).join(', ')}], durability: {replicated: 1}}`);
  }, 120_000);
  afterAll(async () => {
    await fleet?.stop();
    for (const server of servers.toReversed()) await server.stop();
  });

  test('demand(53): what was revoked before a failover stays revoked, what lives goes on; while the new primary is alone, everything is denied', { timeout: 120_000 }, async () => {
    const [first, second] = fleet.nodes as readonly [Curfew, Curfew];
    const [primary, replica] = servers as [RedisServer, RedisServer];
    const bothAllow = async (): Promise<boolean> => (await fleet.ask(first)) === 200 && (await fleet.ask(second)) === 200;
    // Right after their start nodes may not have seen yet that the replica confirms.
    for (const node of fleet.nodes) await until('administration', () => fleet.administers(node));
    const [gone, kept] = [await fleet.issue(first), await fleet.issue(second)];
    expect((await fleet.revoke(second, gone)).status).toBe(201);
    await until('both allow', bothAllow);
    await primary.kill();
    await until('the promotion', async () => /master/.test(await replica.send('ROLE')), 60_000);
    expect(await Promise.all(fleet.nodes.map(fleet.ask))).toEqual([403, 403]);
    await primary.start();
    await until('L1: both allow again', bothAllow, 60_000);
    for (const node of fleet.nodes) await until('L1: administration', () => fleet.administers(node));
    expect((await fleet.read(first, `/grants/${gone}`)).body.state).toBe('ended');
    const revoked = await fleet.revoke(first, kept);
    expect(revoked.status).toBe(201);
    expect(await Promise.all(fleet.nodes.map(fleet.ask))).toEqual([403, 403]);
  });
});
