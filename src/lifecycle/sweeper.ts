/**
 * Housekeeping: closes tasks whose heartbeat was missed or whose deadline passed, and requests that nobody decided in time, so that their history says so. It decides nothing:
 * access had ended at that instant anyway, and nothing changes when this never runs.
 */
import type { Clock } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { readTask } from '../domain/records.ts';
import { taskHoldsUntil } from '../domain/task.ts';
import type { NodeStore } from '../store/port.ts';
import type { Lifecycle } from './lifecycle.ts';
import { readRequest } from '../domain/lifecycle/request.ts';
import type { Requests } from './requests.ts';
import { newId } from './new-id.ts';
import { createRounds, type Rounds } from './rounds.ts';

export interface SweeperDeps {
  /** Where several nodes share it, one of them does the housekeeping. */
  readonly store: Pick<NodeStore, 'list' | 'events' | 'facts' | 'takeTurn'>;
  readonly clock: Clock;
  readonly lifecycle: Pick<Lifecycle, 'closeTask'>;
  readonly requests: Pick<Requests, 'settle'>;
  readonly realms: readonly string[];
  readonly intervalMs: number;
  /** Told when a round failed; the next one begins where this one stood. */
  readonly onError: (error: unknown) => void;
}

export interface Sweeper extends Rounds {
  /** One round; resolves to how many tasks and requests it closed. */
  sweep(): Promise<number>;
}

const PAGE = 500;
/** A node that stopped gives way to another after so many of its intervals. */
const TURN_INTERVALS = 5;
const ACTOR = { kind: 'system', id: 'system:sweeper' } as const;

interface Watched {
  /** Of records, and of the member by which events tell of them. */
  readonly kind: 'task' | 'request';
  /** Until when it waits; without `until` it is over already. */
  note(value: JsonObject): { readonly id: string; readonly until?: Instant } | undefined;
}

const TASKS: Watched = {
  kind: 'task',
  note: (value) => {
    const task = readTask(value);
    if (task === undefined) return undefined;
    // A paused task's heartbeat clock stands still; its deadline does not.
    return { id: task.id, ...(task.state === 'closed' ? {} : { until: task.state === 'paused' ? task.deadline : taskHoldsUntil(task) }) };
  },
};

const REQUESTS: Watched = {
  kind: 'request',
  note: (value) => {
    const request = readRequest(value);
    return request === undefined ? undefined : { id: request.id, ...(request.state === 'pending' ? { until: request.decideBy } : {}) };
  },
};

/** What is open in one realm: read once, then kept by following its events. */
const createWatch = (realm: string, store: SweeperDeps['store'], { kind, note: dueOf }: Watched) => {
  const due = new Map<string, Instant>();
  let position: number | undefined;

  const note = (value: JsonObject): void => {
    const known = dueOf(value);
    if (known === undefined) return;
    if (known.until === undefined) due.delete(known.id);
    else due.set(known.id, known.until);
  };
  const readAll = async (): Promise<number> => {
    const { sequence } = (await store.facts({ realm, keys: [] })).position;
    due.clear();
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind, limit: PAGE, ...(after === undefined ? {} : { after }) });
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
        if (isJsonObject(data[kind])) note(data[kind]);
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
  const { clock, lifecycle, requests, store } = deps;
  const holder = newId(clock.now().latest);
  const watches = deps.realms.flatMap((realm) => [
    { realm, watch: createWatch(realm, store, TASKS), settle: lifecycle.closeTask },
    { realm, watch: createWatch(realm, store, REQUESTS), settle: requests.settle },
  ]);

  const sweep = async (): Promise<number> => {
    let closed = 0;
    const now = clock.now();
    if (!now.trusted) return 0;
    if ((await store.takeTurn?.('sweeper', holder, deps.intervalMs * TURN_INTERVALS)) === false) return 0;
    for (const { realm, watch, settle } of watches) {
      for (const id of await watch.overdue(now.latest)) {
        const executed = await settle({ realm, actor: ACTOR }, id);
        if (executed.ok) closed += 1;
        // Not overdue after all, or closed meanwhile: its events have said so or will. Trouble with the store: tried again.
        if (executed.ok || executed.failure.code === 'state' || executed.failure.code === 'not-found') watch.drop(id);
      }
    }
    return closed;
  };
  return { sweep, ...createRounds({ round: sweep, pauseMs: () => deps.intervalMs, monotonicMs: clock.monotonicMs, onError: deps.onError }) };
};
