/** One worker process as the supervisor sees it. */
import cluster, { type Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import type { MetricsJson } from '../telemetry/metrics.ts';
import type { Asked, FromWorker, ToWorker, WorkerHealth, WorkerPorts, WorkerStart } from './messages.ts';
import type { Connections } from './spread.ts';
import { HEAP_MEGABYTES, heapFlags } from './worker-heap.ts';
import { watchFreeze, type Freeze } from './watchdog/freeze.ts';
import type { StallReport } from './watchdog/layout.ts';

export interface WorkerExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Present when its own watchdog ended it. */
  readonly stall?: StallReport;
  /** Present when the supervisor ended it, because it stood still as a whole. */
  readonly freeze?: Freeze;
}

export interface WorkerProcess {
  readonly pid: number;
  /** Rejects when it can't start. */
  readonly ready: Promise<WorkerPorts>;
  readonly exited: Promise<WorkerExit>;
  send(message: ToWorker): void;
  metrics(withinMs: number, what?: 'metrics' | 'look'): Promise<MetricsJson | undefined>;
  health(withinMs: number): Promise<WorkerHealth | undefined>;
  /** Activates a bundle; resolves to what went wrong, if anything. */
  activate(bundle: Uint8Array, digest: string, withinMs: number): Promise<string | undefined>;
  /** Resolves when every answer that it re-checked before the call has left it, or it has ended: however long that takes. */
  answersLeft(): Promise<void>;
  /** Takes nothing new, ends open requests; killed after `withinMs`. */
  drain(withinMs: number): Promise<void>;
  /** As it told since this was asked last, if it told anything. */
  connections(): Connections | undefined;
  /** The metrics it last told, also after it has ended. */
  lastMetrics(): MetricsJson | undefined;
}

/** A worker that can't start, with what it said. */
export class WorkerFailed extends Error {
  override readonly name = 'WorkerFailed';
  readonly kind: 'port-in-use' | 'other';
  constructor(message: string, kind: 'port-in-use' | 'other') {
    super(message);
    this.kind = kind;
  }
}

export const REPORT_FD = 4;
const REPORT_CHARS_MAX = 262_144;

/** Of workers started from now on. */
export const giveHeap = (megabytes: number): void => cluster.setupPrimary({ execArgv: [...process.execArgv, ...heapFlags(megabytes)] });

/** Call once, before the first worker. `entry` is the program that both sides run. */
export const prepareWorkers = (entry: string): void => {
  // Every worker accepts for itself: what a stopped worker holds is reset with it, and a busy supervisor delays nobody.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  cluster.setupPrimary({
    exec: entry,
    args: [],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
  });
  giveHeap(HEAP_MEGABYTES);
};

const parseReport = (text: string): StallReport | undefined => {
  try {
    return text === '' ? undefined : (JSON.parse(text) as StallReport);
  } catch {
    return { cause: 'loop' };
  }
};

type Reply = Extract<FromWorker, { type: 'metrics' | 'health' | 'bundle' | 'left' }>;

/** The process loads its code meanwhile when `start` is still to come. */
export const startWorker = (start: WorkerStart | Promise<WorkerStart>): WorkerProcess => {
  const worker: Worker = cluster.fork();
  const child = worker.process;
  let report = '';
  let last: MetricsJson | undefined;
  let asked = 0;
  let freeze: Freeze | undefined;
  let connections: Connections | undefined;
  /** `loading`: it has nothing yet to decide with. */
  let life: 'loading' | 'begun' | 'over' = 'loading';
  const watch = watchFreeze(child.pid ?? 0, (seen) => {
    freeze = seen;
    child.kill('SIGKILL');
  });
  const waiting = new Map<string, (reply: Reply | undefined) => void>();
  let resolveReady: (ports: WorkerPorts) => void;
  let rejectReady: (error: Error) => void;
  const ready = new Promise<WorkerPorts>((resolve, reject) => {
    resolveReady = resolve;
    rejectReady = reject;
  });
  ready.catch(() => undefined);
  Promise.resolve(start).catch(() => child.kill('SIGKILL'));

  const pipe = child.stdio[REPORT_FD] as Socket | null | undefined;
  pipe?.setEncoding('utf8');
  pipe?.on('data', (chunk: string) => {
    if (report.length < REPORT_CHARS_MAX) report += chunk;
  });
  pipe?.on('error', () => undefined);
  child.on('error', (error) => rejectReady(error));

  const exited = new Promise<WorkerExit>((resolve) => {
    // 'close' comes after the report has been read.
    child.once('close', (code, signal) => {
      watch.stop();
      life = 'over';
      const stall = parseReport(report);
      rejectReady(new WorkerFailed(`the worker ended while it started (${signal ?? `exit code ${code}`})`, 'other'));
      for (const done of waiting.values()) done(undefined);
      resolve({ code, signal, ...(stall === undefined ? {} : { stall }), ...(freeze === undefined ? {} : { freeze }) });
    });
  });

  const send = (message: ToWorker): void => {
    if (worker.isConnected()) worker.send(message, () => undefined);
  };
  const replied = (key: string, reply: Reply): void => {
    waiting.get(key)?.(reply);
    waiting.delete(key);
  };
  worker.on('message', (message: FromWorker) => {
    switch (message.type) {
      case 'hello':
        Promise.resolve(start).then((known) => {
          if (life === 'loading') life = 'begun';
          send({ type: 'start', start: known });
        }, () => undefined);
        return;
      // Answered where all workers are known.
      case 'want-exposition':
      case 'want-left':
      case 'want-trace': return;
      case 'pulse':
        connections = message.connections;
        return watch.pulse();
      case 'ready': return resolveReady(message.ports);
      case 'failed': return rejectReady(new WorkerFailed(message.message, message.kind));
      case 'metrics':
        last = message.metrics;
        return replied(`ask ${message.id}`, message);
      case 'health': return replied(`ask ${message.id}`, message);
      case 'bundle': return replied(`bundle ${message.digest}`, message);
      case 'left': return replied(`left ${message.id}`, message);
      case 'drained': last = message.metrics;
    }
  });
  worker.on('error', () => undefined);

  const reply = (key: string, withinMs: number): Promise<Reply | undefined> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), withinMs);
      waiting.set(key, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
  const ask = (what: Asked, withinMs: number): Promise<Reply | undefined> => {
    const id = (asked += 1);
    const answer = reply(`ask ${id}`, withinMs);
    send({ type: 'ask', id, what });
    return answer;
  };

  return {
    pid: child.pid ?? 0,
    ready,
    exited,
    send,
    metrics: async (withinMs, what = 'metrics') => {
      const answer = await ask(what, withinMs);
      return answer?.type === 'metrics' ? answer.metrics : last;
    },
    health: async (withinMs) => {
      const answer = await ask('health', withinMs);
      return answer?.type === 'health' ? answer.health : undefined;
    },
    activate: async (bundle, digest, withinMs) => {
      const answer = reply(`bundle ${digest}`, withinMs);
      send({ type: 'bundle', bundle, digest });
      const told = await answer;
      return told?.type === 'bundle' ? told.fault : 'the worker did not answer';
    },
    answersLeft: () =>
      new Promise((resolve) => {
        if (life !== 'begun') return resolve();
        const id = (asked += 1);
        waiting.set(`left ${id}`, () => resolve());
        send({ type: 'left', id });
      }),
    drain: async (withinMs) => {
      send({ type: 'drain' });
      const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
      await exited;
      clearTimeout(timer);
    },
    connections: () => {
      const told = connections;
      connections = undefined;
      return told;
    },
    lastMetrics: () => last,
  };
};

/** A worker that loads its code while the supervisor finds out what to start it with. */
export interface EarlyWorker {
  readonly worker: WorkerProcess;
  provide(start: WorkerStart): void;
  /** It is not needed after all. */
  abandon(): void;
}

export const startEarlyWorker = (): EarlyWorker => {
  let provide: EarlyWorker['provide'] = () => undefined;
  let abandon: EarlyWorker['abandon'] = () => undefined;
  const start = new Promise<WorkerStart>((resolve, reject) => {
    provide = resolve;
    abandon = () => reject(new Error('not needed'));
  });
  start.catch(() => undefined);
  return { worker: startWorker(start), provide, abandon };
};
