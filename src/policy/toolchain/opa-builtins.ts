/**
 * OPA's own implementation of builtins, for what this engine does not have: in a thread (about 200 MB and a second to start),
 * loaded once and only for a policy that needs it. A call waits for the answer, 0.2 to 0.4 ms; all calls of one evaluation
 * together never wait longer than `waitMsMax`, since waiting is no processor time, which is all that the watchdog counts.
 * Whatever can't be answered ends the evaluation as failed.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import type { Builtin, BuiltinContext } from '../builtins/builtin.ts';
import { NotServed, notServed } from '../rego/not-served.ts';
import { readRegoValue, writeRegoValue } from '../rego/value.ts';
import { ToolchainMissing, type ToolchainFault } from './fault.ts';
import { locateToolchain } from './locate.ts';

export interface OpaBuiltins {
  /** A builtin whose answer depends on its operands and the decision's time alone; others are not served. */
  readonly named: (name: string) => Builtin | undefined;
  /** Calls them while nobody waits; a first call takes many times what others do. Before any call that waits. */
  readonly warm: (names: Iterable<string>) => Promise<void>;
}

export interface OpaBuiltinsOptions {
  /** How long the calls of one evaluation may wait, all together. */
  readonly waitMsMax?: number | undefined;
  /** Of the process's clock. Without one each call may wait that long. */
  readonly monotonicMs?: (() => number) | undefined;
}

const WAIT_MS_MAX = 80;
const STUCK_MS = 5_000;
const WARM_OPERANDS: readonly (readonly string[])[] = [['"x"'], ['"x"', '"x"'], ['"{{.a}}"', '{"a":1}']];

interface Response<T> {
  readonly value?: T;
  readonly faults?: readonly ToolchainFault[];
}

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly answered: Int32Array;
  /** Id of the last request. */
  last: number;
  /** Answers that nobody waits for any more, still to come. */
  owed: number;
}

interface Answer {
  readonly id: number;
  readonly response: string;
}

const start = async (file: string): Promise<Thread> => {
  const signal = new SharedArrayBuffer(4);
  // Answers that a caller waits for have a port of their own, so that no other listener takes them.
  const { port1: port, port2 } = new MessageChannel();
  const worker = new Worker(file, { name: 'opa-builtins', workerData: { port: port2, signal }, transferList: [port2] });
  await new Promise<void>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', () => resolve());
  });
  // A thread that breaks later is found by the call that it does not answer.
  worker.removeAllListeners('error').on('error', () => undefined);
  worker.unref();
  port.unref();
  return { worker, port, answered: new Int32Array(signal), last: 0, owed: 0 };
};

/** The next answer that has arrived, if any. */
const arrived = ({ port }: Thread): Answer | undefined => (receiveMessageOnPort(port) as { readonly message: Answer } | undefined)?.message;

/** Waits for the answer in this tick: nothing else of this process runs in between. */
const ask = <T>(thread: Thread, request: object, withinMs: number): T => {
  const { port, answered } = thread;
  while (thread.owed > 0 && arrived(thread) !== undefined) thread.owed -= 1;
  if (thread.owed > 0) return notServed("OPA's builtins are still busy with an earlier call");
  Atomics.store(answered, 0, 0);
  thread.last += 1;
  port.postMessage({ id: thread.last, request: JSON.stringify(request) });
  const late = Atomics.wait(answered, 0, 0, withinMs) === 'timed-out';
  const answer = late ? undefined : arrived(thread);
  if (answer?.id !== thread.last) {
    thread.owed += 1;
    return notServed(`OPA's builtins did not answer within ${withinMs} ms`);
  }
  const { value, faults } = JSON.parse(answer.response) as Response<T>;
  return value === undefined ? notServed(faults?.map(({ message }) => message).join('; ') ?? 'by OPA') : value;
};

/** The same, without waiting: the first calls compile and are slow. One at a time. */
const askLater = async <T>({ worker }: Thread, request: object): Promise<T> => {
  const { response } = await new Promise<Answer>((resolve) => {
    worker.once('message', resolve);
    worker.ref();
    worker.postMessage({ id: 0, request: JSON.stringify(request) });
  });
  worker.unref();
  return (JSON.parse(response) as { readonly value: T }).value;
};

interface Listed {
  readonly name: string;
  readonly operands: number;
  readonly pure: boolean;
}

/** A thread of one's own. */
export const startOpaBuiltins = async ({ waitMsMax = WAIT_MS_MAX, monotonicMs }: OpaBuiltinsOptions = {}): Promise<OpaBuiltins> => {
  const found = await locateToolchain();
  if (found.kind !== 'built') throw new ToolchainMissing('it is not built: npm run toolchain');
  let thread = await start(found.worker);
  const pure = new Set((await askLater<readonly Listed[]>(thread, { op: 'builtins' })).flatMap(({ name, pure: is }) => (is ? [name] : [])));
  let watch: NodeJS.Timeout | undefined;
  let warming: Promise<void> = Promise.resolve();

  /** A thread that still owes its answer after a while is replaced. */
  const watchOver = (late: Thread): void => {
    watch ??= setTimeout(() => {
      watch = undefined;
      while (late.owed > 0 && arrived(late) !== undefined) late.owed -= 1;
      if (late.owed === 0) return;
      void late.worker.terminate();
      start(found.worker).then((next) => (thread = next), () => undefined);
    }, STUCK_MS).unref();
  };
  /** The evaluation under way, and how long it has waited. */
  let evaluation: BuiltinContext | undefined;
  let waitedMs = 0;
  const call = (request: object, context: BuiltinContext): { readonly result?: string } => {
    if (context !== evaluation) [evaluation, waitedMs] = [context, 0];
    if (waitedMs >= waitMsMax) return notServed(`OPA's builtins took longer than ${waitMsMax} ms in one evaluation`);
    const begunMs = monotonicMs?.() ?? 0;
    try {
      return ask(thread, request, Math.ceil(waitMsMax - waitedMs));
    } catch (error) {
      if (thread.owed > 0) watchOver(thread);
      throw error instanceof NotServed ? error : new NotServed(`OPA's builtins broke: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      waitedMs += (monotonicMs?.() ?? 0) - begunMs;
    }
  };
  return {
    named: (name) =>
      pure.has(name)
        ? (operands, context) => {
            const { now } = context;
            const { result } = call({ op: 'builtin', name, operands: operands.map(writeRegoValue), nowNs: now === 0 ? '0' : `${now}000000` }, context);
            return result === undefined ? undefined : readRegoValue(result);
          }
        : undefined,
    warm: (names) => {
      warming = warming.then(async () => {
        for (const name of [...names].filter((one) => pure.has(one))) {
          for (const operands of WARM_OPERANDS) await askLater(thread, { op: 'builtin', name, operands });
        }
      });
      return warming;
    },
  };
};

export interface LoadedOpaBuiltins extends OpaBuiltins {
  /** By how much the process grew. */
  readonly residentBytes: number;
}

let loaded: Promise<LoadedOpaBuiltins> | undefined;

const load = async (options: OpaBuiltinsOptions, names: Iterable<string>): Promise<LoadedOpaBuiltins> => {
  const before = process.memoryUsage.rss();
  const builtins = await startOpaBuiltins(options);
  await builtins.warm(names);
  return { ...builtins, residentBytes: Math.max(0, process.memoryUsage.rss() - before) };
};

/** The same for every policy of this process, with `names` warm; rejects with `ToolchainMissing`. `options` are those of the first call. */
export const loadOpaBuiltins = async (names: Iterable<string>, options: OpaBuiltinsOptions): Promise<LoadedOpaBuiltins> => {
  if (loaded !== undefined) {
    const there = await loaded;
    await there.warm(names);
    return there;
  }
  loaded = load(options, names).catch((error: unknown) => {
    loaded = undefined;
    throw error;
  });
  return loaded;
};
