/** What goes wrong in a history, and how it is put right again: nodes, their clocks, their wires; and which of all faults are played where. */
import { scriptOf } from '../../src/store/redis/connection.ts';
import { commitLua } from '../../src/store/redis/scripts/commit.ts';
import { until } from '../support/until.ts';
import { pause, startAgain, type Fault } from './fault.ts';
import type { Random } from './random.ts';
import { FAILOVERS, MOVED, ROLLED_BACK, SERVER_CLOCK, SERVER_FAULTS } from './server-faults.ts';
import type { World } from './world.ts';

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
      const swallowed = cut.swallows !== undefined;
      Object.assign(cut, { up: 'pass', down: 'pass', delayMs: 0, refuse: false, swallows: undefined });
      // What was dropped is missing in the stream.
      if (dropped || swallowed) cut.reset();
    };
  },
});

/** In what a node sends to commit something. */
const COMMITS = scriptOf(commitLua).sha;

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
      const before = world.processes(node);
      signal(before.slice(1, 2), 'SIGKILL');
      // It is over when the supervisor has replaced the worker: a machine with much to do starts processes slowly.
      return async () => void (await until('a new worker', async () => {
        const now = world.processes(node);
        return now.length >= before.length && !now.includes(before[1] as number) && (await world.node(node).ask(undefined).catch(() => undefined)) !== undefined;
      }));
    },
  },
  {
    name: 'a node is killed and started again', mostMs: 300,
    begin: async (world, node) => {
      signal(world.processes(node), 'SIGKILL');
      await world.node(node).exited;
      return async () => void (await startAgain(world, node));
    },
  },
];

const CLOCK: Fault = {
  name: "a node's wall clock is set", mostMs: 800, setsClock: true,
  begin: async (world, node, random) => {
    const wall = world.walls[node];
    // Whoever begins under a wall that was set takes it for right, and never trusts the one that is: an earlier fault may have ended a worker.
    await until('all of its workers', async () => (await world.node(node).metrics()).includes(`curfew_workers_ready ${world.workers}\n`));
    const before = world.processes(node);
    wall?.set(random.pick([-600, -30, -1.2, -0.4, 0.4, 1.2, 30, 600]));
    return async () => {
      wall?.set(0);
      if (world.processes(node).every((pid) => before.includes(pid))) return;
      await world.node(node).stop();
      await startAgain(world, node);
    };
  },
};

const AGAIN_AND_AGAIN: Fault = {
  name: 'workers are frozen again and again', mostMs: 3_000,
  begin: async (world, node, random) => {
    let over = false;
    const frozen = (async () => {
      while (!over) {
        const workers = world.processes(node).slice(1);
        signal(workers, 'SIGSTOP');
        await pause(random.between(200, 400));
        signal(workers, 'SIGCONT');
        await pause(random.between(10, 80));
      }
    })();
    return async () => {
      over = true;
      await frozen;
    };
  },
};

const WIRE_FAULTS: readonly Fault[] = [
  wire('a node is cut off', 1_500, (cut) => Object.assign(cut, { up: 'drop', down: 'drop', refuse: true })),
  wire('what a node sends is lost', 1_200, (cut) => { cut.up = 'drop'; }),
  wire('what a node is sent is lost', 1_200, (cut) => { cut.down = 'drop'; }),
  wire('what a node sends is held up', 900, (cut) => { cut.up = 'hold'; }),
  wire('what a node is sent is held up', 900, (cut) => { cut.down = 'hold'; }),
  wire('a node is far away', 1_200, (cut, random) => { cut.delayMs = random.between(3, 120); }),
  wire('a node is very far away', 2_500, (cut, random) => { cut.delayMs = random.between(200, 560); }),
  wire('connections are reset after they sent', 400, (cut) => cut.resetAfterSend()),
  wire('connections are reset', 300, (cut) => cut.reset()),
  // Reads and leases go on: only who commits notices.
  wire('commits of a node are lost', 1_500, (cut) => { cut.swallows = { text: COMMITS, reset: false }; }),
  wire('connections are reset before a commit arrives', 1_500, (cut) => { cut.swallows = { text: COMMITS, reset: true }; }),
];

const BURSTS: Fault = {
  name: 'what a node is sent comes in bursts', mostMs: 1_500,
  begin: async (world, node, random) => {
    const cut = world.wires[node] as World['wires'][number];
    let over = false;
    const bursts = (async () => {
      while (!over) {
        cut.down = 'hold';
        await pause(random.between(40, 130));
        cut.down = 'pass';
        await pause(random.between(2, 30));
      }
    })();
    return async () => {
      over = true;
      await bursts;
    };
  },
};

/** Weighed: what makes histories long comes seldom. */
export const faultsFor = (world: World): readonly Fault[] => {
  const clock = world.walls.some((wall) => wall !== undefined) ? [CLOCK, CLOCK] : [];
  if (world.replica !== undefined) return [NOTHING, ...FAILOVERS, ...FAILOVERS, ...NODE_FAULTS.slice(0, 2), ...clock];
  if (world.roles !== undefined) return [NOTHING, MOVED, MOVED, MOVED, ...NODE_FAULTS.slice(0, 2)];
  if (world.server === undefined) return [NOTHING, ...NODE_FAULTS, ...NODE_FAULTS, AGAIN_AND_AGAIN, ...clock];
  const usual = [BURSTS, ...WIRE_FAULTS, ...WIRE_FAULTS, ...SERVER_FAULTS.slice(0, 2), ...NODE_FAULTS.slice(0, 3), ...clock];
  return [NOTHING, ...usual, ...usual, ...SERVER_FAULTS, ROLLED_BACK, ...(world.serverWall === undefined ? [] : SERVER_CLOCK), ...NODE_FAULTS, AGAIN_AND_AGAIN];
};

export const faultNamed = (world: World, name: string): Fault => {
  const found = faultsFor(world).find((fault) => fault.name === name);
  if (found === undefined) throw new Error(`no fault of this world is called "${name}"`);
  return found;
};

/** The node that a fault is about: the one whose clock can be set, where it is about that. */
export const nodeFor = (fault: Fault, world: World, random: Random): number =>
  fault.setsClock === true ? world.walls.findIndex((wall) => wall !== undefined) : Math.floor(random.next() * world.fleet.nodes.length);
