/**
 * Housekeeping: closes tasks whose heartbeat was missed or whose deadline passed, so that their history says so. It decides nothing:
 * access had ended at that instant anyway, and nothing changes when this never runs.
 */
import type { Clock } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { readTask } from '../domain/records.ts';
import { taskHoldsUntil } from '../domain/task.ts';
import type { NodeStore } from '../store/port.ts';
import type { Lifecycle } from './lifecycle.ts';
import { newId } from './new-id.ts';
import { createRounds, type Rounds } from './rounds.ts';

export interface SweeperDeps {
  /** Where several nodes share it, one of them does the housekeeping. */
  readonly store: Pick<NodeStore, 'list' | 'events' | 'facts' | 'takeTurn'>;
  readonly clock: Clock;
  readonly lifecycle: Pick<Lifecycle, 'closeTask'>;
  readonly realms: readonly string[];
  readonly intervalMs: number;
  /** Told when a round failed; the next one begins where this one stood. */
  readonly onError: (error: unknown) => void;
}

export interface Sweeper extends Rounds {
  /** One round; resolves to how many tasks it closed. */
  sweep(): Promise<number>;
}

const PAGE = 500;
/** A node that stopped gives way to another after so many of its intervals. */
const TURN_INTERVALS = 5;
const ACTOR = { kind: 'system', id: 'system:sweeper' } as const;

/** Open tasks of one realm: read once, then kept by following its events. */
const createWatch = (realm: string, store: SweeperDeps['store']) => {
  const due = new Map<string, Instant>();
  let position: number | undefined;

  const note = (value: JsonObject): void => {
    const task = readTask(value);
    if (task === undefined) return;
    if (task.state === 'closed') due.delete(task.id);
    // A paused task's heartbeat clock stands still; its deadline does not.
    else due.set(task.id, task.state === 'paused' ? task.deadline : taskHoldsUntil(task));
  };
  const readAll = async (): Promise<number> => {
    const { sequence } = (await store.facts({ realm, keys: [] })).position;
    due.clear();
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind: 'task', limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const { value } of page.items) note(value);
      if (page.next === undefined) return sequence;
      after = page.next;
    }
  };
  const follow = async (from: number): Promise<number> => {
    let after = from;
    for (;;) {
      const events = await store.events(realm, { after, limit: PAGE });
      for (const { data, sequence } of events) {
        after = sequence;
        if (isJsonObject(data['task'])) note(data['task']);
      }
      if (events.length < PAGE) return after;
    }
  };
  return {
    overdue: async (now: Instant): Promise<readonly string[]> => {
      position = position === undefined ? await readAll() : await follow(position);
      return [...due].filter(([, until]) => !(now < until)).map(([id]) => id);
    },
    /** It was tried, whatever came of it; what still stands comes back with its next event. */
    drop: (id: string): void => {
      due.delete(id);
    },
  };
};

export const createSweeper = (deps: SweeperDeps): Sweeper => {
  const { clock, lifecycle, store } = deps;
  const holder = newId(clock.now().latest);
  const watches = deps.realms.map((realm) => ({ realm, watch: createWatch(realm, store) }));

  const sweep = async (): Promise<number> => {
    let closed = 0;
    const now = clock.now();
    if (!now.trusted) return 0;
    if ((await store.takeTurn?.('sweeper', holder, deps.intervalMs * TURN_INTERVALS)) === false) return 0;
    for (const { realm, watch } of watches) {
      for (const id of await watch.overdue(now.latest)) {
        const executed = await lifecycle.closeTask({ realm, actor: ACTOR }, id);
        if (executed.ok) closed += 1;
        // Not overdue after all, or closed meanwhile: its events have said so or will. Trouble with the store: tried again.
        if (executed.ok || executed.failure.code === 'state' || executed.failure.code === 'not-found') watch.drop(id);
      }
    }
    return closed;
  };
  return { sweep, ...createRounds({ round: sweep, pauseMs: () => deps.intervalMs, monotonicMs: clock.monotonicMs, onError: deps.onError }) };
};
