/** What goes wrong with the servers in a history: one server, or two behind Sentinels. */
import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { redisStoreConfig } from '../../src/store/redis/config.ts';
import { openRedisStore } from '../../src/store/redis/open.ts';
import { createClock } from '../../src/time/clock.ts';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { pause, startAgain, type Fault } from './fault.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';
import type { Roles, World } from './world.ts';

/** What an operator does who accepts that the server lost something. */
const acceptLoss = async (world: World): Promise<void> => {
  const { fleet } = world;
  await Promise.all(fleet.nodes.map((node) => node.stop()));
  for (const index of fleet.nodes.keys()) rmSync(join(fleet.directory(index), '.curfew/store/redis-seen.json'), { force: true });
  await Promise.all([...fleet.nodes.keys()].map((index) => startAgain(world, index)));
};

export const SERVER_FAULTS: readonly Fault[] = [
  {
    name: 'the primary is frozen', mostMs: 900,
    begin: async ({ server }) => {
      server?.signal('SIGSTOP');
      return async () => server?.signal('SIGCONT');
    },
  },
  {
    name: 'the primary is slow', mostMs: 900,
    begin: async ({ server }, _node, random) => {
      let over = false;
      const [stopped, runs] = [random.between(10, 60), random.between(1, 15)];
      const slow = (async () => {
        while (!over) {
          server?.signal('SIGSTOP');
          await pause(stopped);
          server?.signal('SIGCONT');
          await pause(runs);
        }
      })();
      return async () => {
        over = true;
        await slow;
      };
    },
  },
  {
    name: 'the primary is killed and started again', mostMs: 400,
    begin: async ({ server }) => {
      await server?.kill();
      return async () => server?.start();
    },
  },
  {
    name: 'CONFIG SET maxmemory-policy', mostMs: 600, deniesAfterMs: 2_200,
    begin: async ({ server }) => {
      await server?.send('CONFIG SET maxmemory-policy allkeys-lru');
      return async () => void (await server?.send('CONFIG SET maxmemory-policy noeviction'));
    },
  },
  {
    name: 'FLUSHALL', mostMs: 400, loses: true, deniesAfterMs: 0,
    begin: async (world) => {
      await world.server?.send('FLUSHALL');
      return () => acceptLoss(world);
    },
  },
];

/** Time goes back at its end, which no clock of ours follows: what was reached stays. */
export const SERVER_CLOCK: readonly Fault[] = [
  {
    name: "the server's wall clock is set", mostMs: 1_500, setsServerClock: true, deniesAfterMs: 2_200,
    begin: async ({ serverWall }, _node, random) => {
      serverWall?.set(random.pick([-120, -30, -3, 3, 30, 120]));
      return async () => serverWall?.set(0);
    },
  },
  {
    name: "the server's wall clock is set a little", mostMs: 1_500, setsServerClock: true,
    begin: async ({ serverWall }, _node, random) => {
      serverWall?.set(random.pick([-0.6, -0.2, 0.2, 0.6]));
      return async () => serverWall?.set(0);
    },
  },
];

/** Commits as many endings as `count` on the server itself. */
const writeEndings = async (port: number, count: number): Promise<void> => {
  const store = await openRedisStore({
    config: redisStoreConfig.parse({ port }), mode: 'production', clock: createClock({ maxClockStepMs: 60_000 }), secrets: { readFile: () => '', env: () => undefined },
  });
  try {
    for (let index = 0; index < count; index += 1) await store.commit({ realm: 'default', expect: [], puts: [], events: [{ type: 'other', about: [], ending: true, data: { index } }] });
  } finally {
    await store.close();
  }
};

/** What the server holds is put back to an earlier moment, and others write there until it has as many endings as before. */
export const ROLLED_BACK: Fault = {
  name: 'the server is put back, and written to by others', mostMs: 900, loses: true,
  begin: async (world, _node, random) => {
    const server = world.server as RedisServer;
    const [data, earlier] = [join(server.directory, 'appendonlydir'), join(server.directory, 'earlier')];
    await server.kill();
    cpSync(data, earlier, { recursive: true });
    await server.start();
    await pause(random.between(600, 1_000));
    await server.kill();
    rmSync(data, { recursive: true });
    renameSync(earlier, data);
    await server.start();
    await writeEndings(server.port, 10);
    return () => acceptLoss(world);
  },
};

const isPrimary = async (server: RedisServer): Promise<boolean> => (await server.send('ROLE').catch(() => '')).includes('master');

/** Primary first. */
const pair = async ({ server, replica }: World): Promise<readonly [RedisServer, RedisServer]> => {
  if (server === undefined || replica === undefined) throw new Error('there is no replica');
  return (await isPrimary(server)) ? [server, replica] : [replica, server];
};

const followed = (primary: RedisServer) => async (): Promise<boolean> => (await primary.send('INFO replication').catch(() => '')).includes('state=online');

const RESTS_FOR_MS = 1_000;

/**
 * One of the two is primary, as all Sentinels say, and the other one follows it: for a while, because on a machine that does much else Sentinels
 * take a slow server for a lost one, and go on to the next failover.
 */
const atRest = async (world: World): Promise<void> => {
  let since = performance.now();
  await until('servers at rest', async () => {
    const [primary] = await pair(world);
    const said = await Promise.all(world.sentinels.map((sentinel) => sentinel.send('SENTINEL MASTER mymaster').catch(() => '')));
    const whole = await Promise.all(world.others.map(async (server) => /cluster_state:ok/.test(await server.send('CLUSTER INFO').catch(() => ''))));
    const right = !whole.includes(false) && (await followed(primary)()) && said.every((text) => text.includes(`\r\n${primary.port}\r\n`) && /\r\nflags\r\n\$6\r\nmaster\r\n/.test(text));
    if (!right) since = performance.now();
    return performance.now() - since > RESTS_FOR_MS;
  }, 120_000);
};

/** Whoever is primary has lost it, and follows the other one when it is back. `lag`: the other one lacks what was written last. */
const failover = (name: string, lag: boolean, lose: NodeJS.Signals): Fault => ({
  name, mostMs: 200,
  begin: async (world, _node, random) => {
    const [primary, next] = await pair(world);
    if (lag) {
      next.signal('SIGSTOP');
      await pause(random.between(50, 400));
    }
    if (lose === 'SIGKILL') await primary.kill();
    else primary.signal(lose);
    if (lag) next.signal('SIGCONT');
    await until('the promotion', () => isPrimary(next), 30_000);
    return async () => {
      if (lose === 'SIGKILL') await primary.start();
      else primary.signal('SIGCONT');
      await atRest(world);
    };
  },
});

/**
 * The primary is cut off from its replica, which takes its place, and goes on as if nothing had happened. Nodes' addresses are moved; one
 * node keeps its connections to the old one, but for the one that commits and renews its lease.
 */
export const MOVED: Fault = {
  name: 'a node reads from the old primary and commits to the new one', mostMs: 2_500,
  begin: async (world, node) => {
    const roles = world.roles as Roles;
    const { primary: old, replica: next, spare, link, nextLink } = roles;
    Object.assign(link, { up: 'drop', down: 'drop', refuse: true });
    await next.send('REPLICAOF NO ONE');
    await until('the next replica', followed(next), 30_000);
    for (const [index, wire] of world.wires.entries()) {
      wire.targetPort = next.port;
      if (index !== node) wire.reset();
    }
    await (world.wires[node] as TcpProxy).resetOn('\r\nSET\r\n');
    Object.assign(roles, { primary: next, replica: spare, spare: old, link: nextLink, nextLink: link });
    return async () => {
      for (const wire of world.wires) wire.reset();
      Object.assign(link, { up: 'pass', down: 'pass', refuse: false, targetPort: spare.port });
      link.reset();
      await old.send(`REPLICAOF 127.0.0.1 ${link.port}`);
      await until('the spare one', followed(spare), 60_000);
    };
  },
};

export const FAILOVERS: readonly Fault[] = [
  failover('failover: the primary is killed', false, 'SIGKILL'),
  failover('failover with a lost tail', true, 'SIGKILL'),
  failover('failover: the primary is frozen and comes back', false, 'SIGSTOP'),
];
