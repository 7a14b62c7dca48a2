/** A real Redis Cluster on loopback: primaries that share the slots, each with replicas. */
import { freePorts } from './free-ports.ts';
import { startRedis, type RedisServer } from './redis.ts';
import { until } from './until.ts';

export interface ClusterOptions {
  readonly replicasEach: number;
  /** Of each server, for its directory-less settings; `extra` gives those that differ. */
  readonly args: readonly string[];
  readonly extra?: () => readonly string[];
  /** `user password`, where the servers know users. */
  readonly login?: string;
}

export interface RedisCluster {
  readonly servers: readonly RedisServer[];
  /** Of the slot that this key is in: who is the primary, and who follows, as most of the servers say. */
  shardOf(key: string): Promise<{ readonly primary: RedisServer; readonly replicas: readonly RedisServer[] }>;
}

const PRIMARIES = 3;
const BOUNDS = ['0 5460', '5461 10922', '10923 16383'] as const;

interface Line {
  readonly id: string;
  readonly port: number;
  readonly flags: string;
  readonly of: string;
  readonly slots: readonly string[];
}

const linesOf = (nodes: string): readonly Line[] =>
  nodes.split('\n').flatMap((line) => {
    const [id = '', address = '', flags = '', of = '', , , , link = '', ...slots] = line.trim().split(' ');
    return /^[0-9a-f]{40}$/.test(id) && link !== '' ? [{ id, port: Number(/:(\d+)@/.exec(address)?.[1]), flags, of, slots }] : [];
  });

const holds = (slots: readonly string[], slot: number): boolean =>
  slots.some((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return Number(from) <= slot && slot <= Number(to);
  });

/** Ends what it has started when it fails; later that is the caller's: `servers`. */
export const startCluster = async ({ replicasEach, args, extra, login }: ClusterOptions, started: (server: RedisServer) => void): Promise<RedisCluster> => {
  // A bus's usual place, 10,000 above the port, lies among those that the system gives to anybody.
  const buses = await freePorts(PRIMARIES * (1 + replicasEach));
  const servers = await Promise.all(buses.map(async (bus) => {
    const server = await startRedis([...args, ...(extra?.() ?? []), '--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '2000', '--cluster-allow-replica-migration', 'no']);
    started(server);
    return server;
  }));
  const [first] = servers as [RedisServer];
  for (const [index, bounds] of BOUNDS.entries()) await servers[index]?.send(`CLUSTER ADDSLOTSRANGE ${bounds}`, login);
  for (const server of servers) await server.send(`CLUSTER MEET 127.0.0.1 ${first.port} ${buses[0]}`, login);
  const nodesOf = async (server: RedisServer): Promise<readonly Line[]> => linesOf(await server.send('CLUSTER NODES', login).catch(() => ''));
  for (const server of servers) await until('all servers to know one another', async () => (await nodesOf(server)).length === servers.length);
  for (const [index, server] of servers.entries()) {
    if (index < PRIMARIES) continue;
    const id = (await nodesOf(server)).find(({ port }) => port === servers[index % PRIMARIES]?.port)?.id ?? '';
    await until('it to follow', async () => (await server.send(`CLUSTER REPLICATE ${id}`, login)).includes('OK'));
  }
  for (const server of servers) await until('all servers to know who follows whom', async () => (await nodesOf(server)).filter(({ flags }) => flags.includes('slave')).length === PRIMARIES * replicasEach);
  for (const server of servers) await until('the cluster', async () => /cluster_state:ok/.test(await server.send('CLUSTER INFO', login)));
  for (const server of servers.slice(0, PRIMARIES)) {
    await until('its replicas', async () => (await server.send('INFO replication', login)).split('state=online').length === replicasEach + 1);
  }
  const at = (port: number): RedisServer => servers.find((server) => server.port === port) as RedisServer;
  return {
    servers,
    shardOf: async (key) => {
      const slot = Number(/:(\d+)/.exec((await Promise.any(servers.map(async (server) => {
        const answer = await server.send(`CLUSTER KEYSLOT ${key}`, login);
        return answer.startsWith(':') ? answer : Promise.reject(new Error(answer));
      }))))?.[1]);
      const votes = await Promise.all(servers.map(nodesOf));
      const told = votes.flatMap((lines) => {
        const primary = lines.find(({ flags, slots }) => flags.includes('master') && holds(slots, slot));
        return primary === undefined ? [] : [{ primary, replicas: lines.filter(({ of }) => of === primary.id) }];
      });
      const counts = new Map<number, number>();
      for (const { primary } of told) counts.set(primary.port, (counts.get(primary.port) ?? 0) + 1);
      const [port = 0] = [...counts].toSorted((a, b) => b[1] - a[1])[0] ?? [];
      const agreed = told.find(({ primary }) => primary.port === port);
      if (agreed === undefined) throw new Error('no server says whose the slot is');
      return { primary: at(port), replicas: agreed.replicas.map((replica) => at(replica.port)) };
    },
  };
};
