/**
 * The workers: keeps `count` of them deciding. One that dies is replaced, the others go on. A reload replaces them one after
 * the other, each new one deciding before its predecessor drains.
 */
import type { Instant } from '../domain/instant.ts';
import type { Deciders } from '../lifecycle/deciders.ts';
import type { MetricsJson } from '../telemetry/metrics.ts';
import { createDeciders, watchLeaving, type Leaving } from './answers-left.ts';
import { createBackoff, type Backoff } from './backoff.ts';
import type { ToWorker, WorkerHealth, WorkerPorts, WorkerStart } from './messages.ts';
import { startSpreading } from './spread.ts';
import { startWorker, type EarlyWorker, type WorkerExit, type WorkerProcess } from './worker-process.ts';

export interface WorkerPoolOptions {
  readonly count: number;
  /** What the next worker is started with. */
  readonly start: () => WorkerStart;
  readonly drainMs: number;
  readonly monotonicMs: () => number;
  readonly now: () => Instant;
  /** A worker can decide. What it was started with may be old by now; resolves to what went wrong in telling it, if anything. */
  readonly onReady: (worker: WorkerProcess, start: WorkerStart) => Promise<string | undefined>;
  /** A worker ended that was not told to. Called before it is replaced. */
  readonly onLost: (worker: WorkerProcess, exit: WorkerExit) => void;
  /** A worker is gone, drained or lost. */
  readonly onGone: (worker: WorkerProcess) => void;
  readonly onStartFailed: (error: unknown, retryMs: number) => void;
  /** How many decide now. */
  readonly onCount: (count: number) => void;
}

export interface WorkerPool {
  /** Resolves when the first one decides; rejects, with nothing left running, when it can't start, and may be asked again then. The others follow. */
  start(early?: EarlyWorker): Promise<WorkerPorts>;
  /** Replaces all. Rejects, with the old ones still deciding, when the first new one can't start. */
  roll(next: { readonly count: number; readonly drainMs: number }): Promise<void>;
  broadcast(message: ToWorker): void;
  /** Resolves to what went wrong; workers in which something did are replaced. */
  activate(bundle: Uint8Array, digest: string): Promise<readonly string[]>;
  /** `look`: they are not scraped, only looked at. */
  metrics(what?: 'metrics' | 'look'): Promise<readonly MetricsJson[]>;
  health(): Promise<readonly (WorkerHealth | undefined)[]>;
  pids(): readonly number[];
  /** Every one that has not ended: also those that start, and those that drain. */
  readonly deciders: Deciders;
  stop(): Promise<void>;
}

const ANSWER_MS = 1_000;
const ACTIVATE_MS = 60_000;

export const createWorkerPool = (options: WorkerPoolOptions): WorkerPool => {
  let { count, drainMs } = options;
  const live = new Set<WorkerProcess>();
  const draining = new Set<WorkerProcess>();
  /** Of all that are live or draining. */
  const leaving = new Map<WorkerProcess, Leaving>();
  const timers = new Set<NodeJS.Timeout>();
  const backoff: Backoff = createBackoff();
  let stopping = false;
  /** Replacements under way or waiting; they count as present. */
  let coming = 0;
  let rolling = false;

  const add = async (early?: EarlyWorker): Promise<WorkerPorts> => {
    const start = options.start();
    early?.provide(start);
    const worker = early?.worker ?? startWorker(start);
    draining.add(worker);
    leaving.set(worker, watchLeaving(worker.pid, worker.answersLeft, options.now));
    void worker.exited.then(() => leaving.delete(worker));
    try {
      const ports = await worker.ready;
      const fault = await options.onReady(worker, start);
      if (fault !== undefined) throw new Error(fault);
      if (stopping) throw new Error('the supervisor stops');
      draining.delete(worker);
      live.add(worker);
      options.onCount(live.size);
      watch(worker, options.monotonicMs());
      return ports;
    } catch (error) {
      await worker.drain(0);
      draining.delete(worker);
      throw error;
    }
  };

  const replace = (delayMs: number): void => {
    coming += 1;
    const timer = setTimeout(() => {
      timers.delete(timer);
      add().then(
        () => {
          coming -= 1;
          trim();
        },
        (error: unknown) => {
          coming -= 1;
          if (stopping) return;
          const retryMs = backoff.next(0);
          options.onStartFailed(error, retryMs);
          replace(retryMs);
        },
      );
    }, delayMs);
    timers.add(timer);
  };

  const watch = (worker: WorkerProcess, readyAtMs: number): void => {
    void worker.exited.then((exit) => {
      const wanted = live.delete(worker);
      draining.delete(worker);
      options.onCount(live.size);
      spreading.lost();
      if (wanted && !stopping) {
        options.onLost(worker, exit);
        // A stall is explained by its evaluation, which is now in quarantine: nothing to wait for.
        const delayMs = exit.stall?.cause === 'evaluation' ? 0 : backoff.next(options.monotonicMs() - readyAtMs);
        if (live.size + coming < count) replace(delayMs);
      }
      options.onGone(worker);
    });
  };

  const spreading = startSpreading(
    () => [...live].map(({ pid, connections, send }) => ({ pid, connections, spread: (of, spread) => send({ type: 'spread', of, spread }) })),
    options.monotonicMs,
  );

  const drain = async (worker: WorkerProcess): Promise<void> => {
    live.delete(worker);
    draining.add(worker);
    await worker.drain(drainMs);
    draining.delete(worker);
  };

  /** Whoever ended while all were being replaced has been replaced twice. */
  const trim = (): void => {
    if (!rolling) for (const worker of [...live].slice(count)) void drain(worker);
  };

  return {
    start: async (early) => {
      // It takes the ports; the others then share them.
      const ports = await add(early);
      for (let started = 1; started < count; started += 1) replace(0);
      return ports;
    },
    roll: async (next) => {
      const old = [...live];
      const drained: Promise<void>[] = [];
      const retire = (): void => {
        const worker = old.pop();
        if (worker !== undefined) drained.push(drain(worker));
      };
      rolling = true;
      try {
        await add();
        ({ count, drainMs } = next);
        retire();
        for (let started = 1; started < count; started += 1) {
          await add().catch((error: unknown) => {
            options.onStartFailed(error, 0);
            replace(backoff.next(0));
          });
          retire();
        }
        while (old.length > 0) retire();
      } finally {
        rolling = false;
        trim();
      }
      await Promise.all(drained);
    },
    broadcast: (message) => {
      for (const worker of [...live, ...draining]) worker.send(message);
    },
    activate: async (bundle, digest) => {
      const faults = await Promise.all([...live].map(async (worker) => {
        const fault = await worker.activate(bundle, digest, ACTIVATE_MS);
        if (fault === undefined || !live.has(worker)) return undefined;
        // It still decides by the old one.
        replace(0);
        void drain(worker);
        return fault;
      }));
      return faults.filter((fault) => fault !== undefined);
    },
    metrics: async (what) => (await Promise.all([...live].map((worker) => worker.metrics(ANSWER_MS, what)))).filter((metrics) => metrics !== undefined),
    health: () => Promise.all([...live].map((worker) => worker.health(ANSWER_MS))),
    deciders: createDeciders(() => [...leaving.values()]),
    pids: () => [...live].map(({ pid }) => pid),
    stop: async () => {
      stopping = true;
      spreading.stop();
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([...live].map(drain));
      await Promise.all([...draining].map((worker) => worker.drain(drainMs)));
    },
  };
};
