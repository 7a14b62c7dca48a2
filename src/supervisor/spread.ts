/**
 * How HTTP/2 connections are spread over the workers. The kernel gives a new one to whichever worker is first, and it stays there for hours; so workers
 * tell how many they have, and one with more than its share is asked to have some opened anew, and to leave new ones to the others meanwhile. Its
 * answers go on: see `src/grpc/retire.ts`.
 */
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

export interface Spreadable {
  /** As it told last. */
  connections(): number;
  spread(asked: Spread): void;
}

export interface Spreading {
  stop(): void;
}

export const startSpreading = (workers: () => readonly Spreadable[], monotonicMs: () => number): Spreading => {
  let shedAtMs = Number.NEGATIVE_INFINITY;
  let uneven = false;
  const timer = setInterval(() => {
    const all = workers();
    if (all.length === 0) return;
    const plan = spreadOf(all.map((worker) => worker.connections()));
    const nowUneven = plan.some(({ accept }) => !accept);
    // What is told is forgotten by itself; when all is even again they are told once.
    if (!nowUneven && !uneven) return;
    uneven = nowUneven;
    const settled = monotonicMs() - shedAtMs >= SETTLE_MS;
    if (settled && plan.some(({ shed }) => shed > 0)) shedAtMs = monotonicMs();
    all.forEach((worker, index) => {
      const { accept, shed } = plan[index] as Spread;
      worker.spread({ accept, shed: settled ? shed : 0 });
    });
  }, SPREAD_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
};
