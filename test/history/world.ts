/** A fleet of the real program with a real store, in which many histories are played: each node has a wire of its own to the server. */
import { startFleet, type Fleet, type FleetOptions } from '../fleet/fleet.ts';
import type { Curfew } from '../runtime/curfew.ts';
import { FSYNC, REPLICATED, startRedis, startSentinels, type RedisServer } from '../support/redis.ts';
import { startCluster } from '../support/redis-cluster.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { createWall, type Wall } from './wall.ts';

export const WORLDS = ['strict', 'leased', 'embedded', 'sentinels', 'leased-sentinels', 'cluster', 'leased-cluster', 'moved'] as const;
export type WorldKind = (typeof WORLDS)[number];

/** Servers behind addresses that an operator moves; who is what changes. */
export interface Roles {
  primary: RedisServer;
  replica: RedisServer;
  /** Follows the replica, and takes its place when that is promoted. */
  spare: RedisServer;
  /** From the replica to its primary, and from the spare one to the replica. */
  link: TcpProxy;
  nextLink: TcpProxy;
}

export interface World {
  readonly kind: WorldKind;
  readonly fleet: Fleet;
  /** Of each node. */
  readonly workers: number;
  /** The server; none behind the embedded store. */
  readonly server: RedisServer | undefined;
  /** Behind Sentinels, and on a cluster in the shard of the realm: the other one; which of the two is primary changes. */
  readonly replica: RedisServer | undefined;
  readonly sentinels: readonly RedisServer[];
  /** The others of the cluster. */
  readonly others: readonly RedisServer[];
  /** In the world of moved addresses. */
  readonly roles: Roles | undefined;
  /** From each node to the server. */
  readonly wires: readonly TcpProxy[];
  /** The wall clock of each node, where it can be set. */
  readonly walls: readonly (Wall | undefined)[];
  /** That of the server, where it can be set. */
  readonly serverWall: Wall | undefined;
  /** No allow may rest on older facts, nor on an older proof that memory is right. */
  readonly maxFactsAgeMs: number;
  node(index: number): Curfew;
  /** All processes of a node, its supervisor first. */
  processes(index: number): readonly number[];
  close(): Promise<void>;
}

export const NODES = 2;
/** More than the default: the machine that runs the histories does much else. */
const MAX_FACTS_AGE_MS = 150;
/** A step of a node's wall clock that is not larger is believed, and what it told then stays told. */
export const MAX_CLOCK_STEP_MS = 2_000;
const LEASE_MS = 600;
const TIMES = 'readTimeoutMs: 600, commitTimeoutMs: 1000, connectTimeoutMs: 1000';

const startRoles = async (primary: RedisServer, cleanups: (() => unknown)[]): Promise<Roles> => {
  const [link, nextLink] = [await startTcpProxy(primary.port), await startTcpProxy(primary.port)];
  cleanups.push(link.close, nextLink.close);
  const replica = await startRedis([...REPLICATED, '--replicaof', '127.0.0.1', String(link.port)]);
  cleanups.push(replica.stop);
  nextLink.targetPort = replica.port;
  const spare = await startRedis([...REPLICATED, '--replicaof', '127.0.0.1', String(nextLink.port)]);
  cleanups.push(spare.stop);
  for (const server of [primary, replica]) await until('its replica', async () => (await server.send('INFO replication')).includes('state=online'));
  return { primary, replica, spare, link, nextLink };
};

export const startWorld = async (kind: WorldKind, more: Pick<FleetOptions, 'entry' | 'more'> = {}): Promise<World> => {
  const cleanups: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const size = kind === 'embedded' ? 1 : NODES;
    const workers = kind === 'embedded' ? 2 : 1;
    const behindSentinels = kind === 'sentinels' || kind === 'leased-sentinels';
    const leased = kind.startsWith('leased');
    const serverWall = kind === 'strict' || kind === 'leased' ? createWall() : undefined;
    if (serverWall !== undefined) cleanups.push(serverWall.remove);
    const cluster = kind === 'cluster' || kind === 'leased-cluster' ? await startCluster({ replicasEach: 1, args: REPLICATED }, ({ stop }) => cleanups.push(stop)) : undefined;
    const shard = await cluster?.shardOf('cf:{default}:state');
    const server = kind === 'embedded' ? undefined : shard !== undefined ? shard.primary : await startRedis(behindSentinels || kind === 'moved' ? REPLICATED : FSYNC, undefined, undefined, serverWall?.env);
    if (server !== undefined && cluster === undefined) cleanups.push(server.stop);
    let replica = shard?.replicas[0];
    let sentinels: readonly RedisServer[] = [];
    if (server !== undefined && behindSentinels) {
      replica = await startRedis([...REPLICATED, '--replicaof', '127.0.0.1', String(server.port)]);
      cleanups.push(replica.stop);
      sentinels = await startSentinels(server.port);
      for (const sentinel of sentinels) cleanups.push(sentinel.stop);
      await until('the replica', async () => (await server.send('INFO replication')).includes('state=online'));
    }
    const wires: TcpProxy[] = [];
    // Sentinels and clusters tell the server's own address.
    for (let index = 0; server !== undefined && !behindSentinels && cluster === undefined && index < size; index += 1) {
      const wire = await startTcpProxy(server.port);
      cleanups.push(wire.close);
      wires.push(wire);
    }
    const roles = kind === 'moved' && server !== undefined ? await startRoles(server, cleanups) : undefined;
    const redis = (index: number): string =>
      cluster !== undefined ? `cluster: [${cluster.servers.map(({ port }) => `{host: 127.0.0.1, port: ${port}}`).join(', ')}], durability: {replicated: 1}` : behindSentinels ? `sentinels: [${sentinels.map(({ port }) => `{host: 127.0.0.1, port: ${port}}`).join(', ')}], durability: {replicated: 1}` : `port: ${wires[index]?.port}${roles === undefined ? '' : ', durability: {replicated: 1}'}`;
    // One node only: the other one shows what is right.
    const walls = Array.from({ length: size }, (_, index) => (index === size - 1 ? createWall() : undefined));
    for (const wall of walls) if (wall !== undefined) cleanups.push(wall.remove);
    const fleet = await startFleet('', size, {
      ...more,
      limits: `maxFactsAgeMs: ${MAX_FACTS_AGE_MS}, maxClockStepMs: ${MAX_CLOCK_STEP_MS}`,
      workers,
      store: (index) => (kind === 'embedded' ? '{kind: embedded}' : `{kind: redis, redis: {${redis(index)}, waitAtStartMs: 10000, leaseMs: ${LEASE_MS}, ${leased ? 'mode: leased, ' : ''}${TIMES}}}`),
      env: (index) => walls[index]?.env ?? {},
    });
    cleanups.push(fleet.stop);
    const node = (index: number): Curfew => fleet.nodes[index] as Curfew;
    return {
      kind, fleet, workers, server, replica, sentinels, others: cluster?.servers.filter((one) => one !== server && one !== replica) ?? [], roles, wires, walls, serverWall, node, close,
      maxFactsAgeMs: kind === 'embedded' ? Number.POSITIVE_INFINITY : leased ? LEASE_MS : MAX_FACTS_AGE_MS,
      processes: (index) => [node(index).pid, ...node(index).workers()],
    };
  } catch (error) {
    await close();
    throw error;
  }
};
