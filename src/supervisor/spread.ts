/**
 * How connections are spread over the workers. The kernel gives a new one to whichever worker is first, and it stays there for hours; so workers
 * tell how many they have, and one with more than its share is asked to have some opened anew, and to leave new ones to the others meanwhile. What is
 * asked on them is answered: see `src/grpc/retire.ts` and `src/gateways/http/kept.ts`. Each kind is spread by itself: they carry different loads.
 */
export const SPREADS = ['http1', 'http2'] as const;
export type Spreads = (typeof SPREADS)[number];
export type Connections = Readonly<Record<Spreads, number>>;

export interface Spread {
  /** Takes new connections. */
  readonly accept: boolean;
  /** So many of its connections are to be opened anew. */
  readonly shed: number;
}

/** Shares differ by one at most. In the order of `counts`; a worker alone always accepts, and where all have their share all do. */
export const spreadOf = (counts: readonly number[]): readonly Spread[] => {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const least = Math.floor(total / counts.length);
  // Those that have most already may keep the odd ones.
  const order = counts.map((_, index) => index).toSorted((a, b) => (counts[b] as number) - (counts[a] as number));
  const share: number[] = [];
  order.forEach((index, place) => {
    share[index] = least + (place < total % counts.length ? 1 : 0);
  });
  const uneven = Math.max(...counts) - Math.min(...counts) > 1;
  return counts.map((count, index) => ({
    accept: !uneven || count < (share[index] as number),
    shed: uneven ? Math.max(0, count - (share[index] as number)) : 0,
  }));
};

export const SPREAD_MS = 1_000;
/** Clients open their next connection when they have something to ask: nothing is shed again before. */
export const SETTLE_MS = 5_000;
/** A worker that hears nothing more takes connections again. */
export const LEAVE_MS = 3_000;
/** Nothing is done for less than so many times the share: pools of clients come and go. What was begun is brought to its end. */
const WORTH = 1.25;

const isUneven = (counts: readonly number[], already: boolean): boolean => {
  const most = Math.max(...counts);
  return most - Math.min(...counts) > 1 && (already || most * counts.length >= WORTH * counts.reduce((sum, count) => sum + count, 0));
};

export interface Spreadable {
  readonly pid: number;
  /** As it told since this was asked last. Nothing: it stands still, and nothing is left to it. */
  connections(): Connections | undefined;
  spread(of: Spreads, asked: Spread): void;
}

export interface Spreading {
  /** A worker is gone: all take new connections at once. */
  lost(): void;
  stop(): void;
}

interface Heard {
  readonly worker: Spreadable;
  readonly told: Connections;
}

/** What is told of one kind, at every look. */
const createKind = (of: Spreads, monotonicMs: () => number): ((heard: readonly Heard[]) => void) => {
  let shedAtMs = Number.NEGATIVE_INFINITY;
  let uneven = false;
  /** Told last to leave new connections to others. */
  const away = new Set<number>();
  return (heard) => {
    const counts = heard.map(({ told }) => told[of]);
    const before = uneven;
    uneven = isUneven(counts, before);
    // What is told is forgotten by itself; when all is even again they are told once.
    if (!uneven && !before) return;
    const plan = uneven ? spreadOf(counts) : counts.map(() => ({ accept: true, shed: 0 }));
    // Where those that are to take them have only left the socket to others so far, they come back first: never does nobody listen.
    const ready = heard.some(({ worker }, index) => plan[index]?.accept === true && !away.has(worker.pid));
    const shedding = ready && monotonicMs() - shedAtMs >= SETTLE_MS;
    if (shedding && plan.some(({ shed }) => shed > 0)) shedAtMs = monotonicMs();
    heard.forEach(({ worker }, index) => {
      const { accept, shed } = plan[index] as Spread;
      const stays = accept || !ready;
      if (stays) away.delete(worker.pid);
      else away.add(worker.pid);
      worker.spread(of, { accept: stays, shed: shedding ? shed : 0 });
    });
  };
};

export const startSpreading = (workers: () => readonly Spreadable[], monotonicMs: () => number): Spreading => {
  const kinds = SPREADS.map((of) => createKind(of, monotonicMs));
  const timer = setInterval(() => {
    const heard = workers().flatMap((worker) => {
      const told = worker.connections();
      return told === undefined ? [] : [{ worker, told }];
    });
    if (heard.length > 0) for (const kind of kinds) kind(heard);
  }, SPREAD_MS);
  timer.unref();
  return {
    lost: () => {
      for (const worker of workers()) for (const of of SPREADS) worker.spread(of, { accept: true, shed: 0 });
    },
    stop: () => clearInterval(timer),
  };
};
