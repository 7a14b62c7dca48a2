/** What goes wrong in a history, and how it is put right again. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

export interface Fault {
  readonly name: string;
  /** Longest time that it lasts, in milliseconds. */
  readonly mostMs: number;
  /** Makes it, on one node or on the server; resolves to what ends it. */
  begin(world: World, node: number, random: Random): Promise<() => Promise<void>>;
  /** What was confirmed before is lost, and an operator accepted that. */
  readonly loses?: true;
  /** The node's own notes of the time say nothing from then on. */
  readonly setsClock?: true;
  /** While it lasts, nothing may be allowed from this long after its begin. */
  readonly deniesAfterMs?: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

const signal = (pids: readonly number[], name: NodeJS.Signals): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended.
    }
  }
};

const wire = (name: string, mostMs: number, change: (wire: World['wires'][number], random: Random) => void): Fault => ({
  name, mostMs,
  begin: async (world, node, random) => {
    const cut = world.wires[node] as World['wires'][number];
    change(cut, random);
    return async () => {
      const dropped = cut.up === 'drop' || cut.down === 'drop';
      Object.assign(cut, { up: 'pass', down: 'pass', delayMs: 0, refuse: false });
      // What was dropped is missing in the stream.
      if (dropped) cut.reset();
    };
  },
});

const NOTHING: Fault = { name: 'nothing', mostMs: 50, begin: async () => async () => undefined };

const NODE_FAULTS: readonly Fault[] = [
  {
    name: 'a node is frozen', mostMs: 1_500,
    begin: async (world, node) => {
      const pids = world.processes(node);
      signal(pids, 'SIGSTOP');
      return async () => signal([...pids].reverse(), 'SIGCONT');
    },
  },
  {
    name: 'the worker of a node is frozen', mostMs: 600,
    begin: async (world, node) => {
      const workers = world.processes(node).slice(1);
      signal(workers, 'SIGSTOP');
      return async () => signal(workers, 'SIGCONT');
    },
  },
  {
    name: 'a worker is killed', mostMs: 300,
    begin: async (world, node) => {
      signal(world.processes(node).slice(1, 2), 'SIGKILL');
      return async () => undefined;
    },
  },
  {
    name: 'a node is killed and started again', mostMs: 300,
    begin: async (world, node) => {
      signal(world.processes(node), 'SIGKILL');
      await world.node(node).exited;
      return () => world.fleet.restart(node);
    },
  },
];

const CLOCK: Fault = {
  name: "a node's wall clock is set", mostMs: 800, setsClock: true,
  begin: async (world, node, random) => {
    const wall = world.walls[node];
    wall?.set(random.pick([-600, -30, -1.2, -0.4, 0.4, 1.2, 30, 600]));
    return async () => wall?.set(0);
  },
};

const SERVER_FAULTS: readonly Fault[] = [
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
    name: 'CONFIG SET maxmemory-policy', mostMs: 2_500, deniesAfterMs: 2_200,
    begin: async ({ server }) => {
      await server?.send('CONFIG SET maxmemory-policy allkeys-lru');
      return async () => void (await server?.send('CONFIG SET maxmemory-policy noeviction'));
    },
  },
  {
    name: 'FLUSHALL', mostMs: 400, loses: true, deniesAfterMs: 0,
    begin: async (world) => {
      await world.server?.send('FLUSHALL');
      // What an operator does who accepts the loss.
      return async () => {
        for (const [index, node] of world.fleet.nodes.entries()) {
          await node.stop();
          rmSync(join(world.fleet.directory(index), '.curfew/store/redis-seen.json'), { force: true });
        }
        for (const index of world.fleet.nodes.keys()) await world.fleet.restart(index);
      };
    },
  },
];

const WIRE_FAULTS: readonly Fault[] = [
  wire('a node is cut off', 1_500, (cut) => Object.assign(cut, { up: 'drop', down: 'drop', refuse: true })),
  wire('what a node sends is lost', 1_200, (cut) => { cut.up = 'drop'; }),
  wire('what a node is sent is lost', 1_200, (cut) => { cut.down = 'drop'; }),
  wire('what a node sends is held up', 900, (cut) => { cut.up = 'hold'; }),
  wire('what a node is sent is held up', 900, (cut) => { cut.down = 'hold'; }),
  wire('a node is far away', 1_200, (cut, random) => { cut.delayMs = random.between(3, 120); }),
  wire('connections are reset after they sent', 400, (cut) => cut.resetAfterSend()),
  wire('connections are reset', 300, (cut) => cut.reset()),
];

const isPrimary = async (server: RedisServer): Promise<boolean> => (await server.send('ROLE').catch(() => '')).includes('master');

/** Primary first. */
const pair = async ({ server, replica }: World): Promise<readonly [RedisServer, RedisServer]> => {
  if (server === undefined || replica === undefined) throw new Error('there is no replica');
  return (await isPrimary(server)) ? [server, replica] : [replica, server];
};

const followed = (primary: RedisServer) => async (): Promise<boolean> => (await primary.send('INFO replication').catch(() => '')).includes('state=online');

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
      await until('the replica', followed(next), 30_000);
    };
  },
});

const FAILOVERS: readonly Fault[] = [
  failover('failover: the primary is killed', false, 'SIGKILL'),
  failover('failover with a lost tail', true, 'SIGKILL'),
  failover('failover: the primary is frozen and comes back', false, 'SIGSTOP'),
];

/** Weighed: what makes histories long comes seldom. */
export const faultsFor = (world: World): readonly Fault[] => {
  const clock = world.walls.some((wall) => wall !== undefined) ? [CLOCK, CLOCK] : [];
  if (world.kind === 'sentinels') return [NOTHING, ...FAILOVERS, ...FAILOVERS, ...NODE_FAULTS.slice(0, 2), ...clock];
  if (world.server === undefined) return [NOTHING, ...NODE_FAULTS, ...NODE_FAULTS, ...clock];
  const usual = [...WIRE_FAULTS, ...WIRE_FAULTS, ...SERVER_FAULTS.slice(0, 2), ...NODE_FAULTS.slice(0, 3), ...clock];
  return [NOTHING, ...usual, ...usual, ...SERVER_FAULTS, ...NODE_FAULTS];
};

export const faultNamed = (world: World, name: string): Fault => {
  const found = faultsFor(world).find((fault) => fault.name === name);
  if (found === undefined) throw new Error(`no fault of this world is called "${name}"`);
  return found;
};

/** The node that a fault is about: the one whose clock can be set, where it is about that. */
export const nodeFor = (fault: Fault, world: World, random: Random): number =>
  fault.setsClock === true ? world.walls.findIndex((wall) => wall !== undefined) : Math.floor(random.next() * world.fleet.nodes.length);
