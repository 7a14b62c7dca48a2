/**
 * The built toolchain in a thread of its own: the caller's loop never waits for a compile. Calls are carried out one after
 * the other, each within its time: the thread of one that takes longer is ended, and the next call starts another one.
 */
import { Worker } from 'node:worker_threads';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { SourcesRefused, ToolchainMissing, type ToolchainFault } from './fault.ts';
import { holdBaseline } from './baseline.ts';
import { TIMEOUT_MS } from './toolchain.ts';

export interface ToolchainThread {
  /** Resolves to the operation's value; rejects with `SourcesRefused` for faults and for time, `ToolchainMissing` when the thread breaks. */
  readonly call: (operation: string, members: JsonObject, timeoutMs?: number) => Promise<JsonValue>;
  readonly close: () => Promise<void>;
}

interface Call {
  readonly request: string;
  readonly timeoutMs: number;
  readonly resolve: (value: JsonValue) => void;
  readonly reject: (error: Error) => void;
}

interface Response {
  readonly value?: JsonValue;
  readonly faults?: readonly ToolchainFault[];
}

type Message = { readonly ready: true } | { readonly response: string };

const settle = ({ resolve, reject }: Call, text: string): void => {
  const { value, faults } = JSON.parse(text) as Response;
  if (faults === undefined) resolve(value ?? null);
  else reject(new SourcesRefused(faults));
};

const brokenBy = (cause: unknown): ToolchainMissing =>
  new ToolchainMissing(`the Rego toolchain broke: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });

export const startThread = (file: string): ToolchainThread => {
  const queue: Call[] = [];
  let worker: Worker | undefined;
  let running: Call | undefined;
  let timer: NodeJS.Timeout | undefined;
  let release: (() => void) | undefined;

  /** Ends the running call, which has answered or never will. */
  const finish = (): Call | undefined => {
    const call = running;
    running = undefined;
    clearTimeout(timer);
    return call;
  };

  const discard = (thread: Worker, error: Error): void => {
    if (worker !== thread) return;
    worker = undefined;
    finish()?.reject(error);
    void thread.terminate();
    next();
  };

  const start = (): Worker => {
    const thread = new Worker(file, { name: 'rego-toolchain' });
    thread.on('message', (message: Message) => {
      if ('ready' in message || worker !== thread) return;
      const call = finish();
      if (call !== undefined) settle(call, message.response);
      next();
    });
    thread.on('error', (error) => discard(thread, brokenBy(error)));
    thread.on('exit', () => discard(thread, brokenBy('it ended')));
    return thread;
  };

  const next = (): void => {
    if (running !== undefined) return;
    running = queue.shift();
    if (running === undefined) {
      release?.();
      release = undefined;
      // An idle thread does not keep the process alive; a working one does.
      worker?.unref();
      return;
    }
    release ??= holdBaseline();
    const thread = (worker ??= start());
    thread.ref();
    const { request, timeoutMs } = running;
    thread.postMessage({ request });
    const late = (): void => discard(thread, new SourcesRefused([{ code: 'toolchain_timeout', message: `took longer than ${timeoutMs} ms` }]));
    timer = setTimeout(late, timeoutMs);
  };

  return {
    call: (operation, members, timeoutMs = TIMEOUT_MS) =>
      new Promise((resolve, reject) => {
        queue.push({ request: JSON.stringify({ ...members, op: operation }), timeoutMs, resolve, reject });
        next();
      }),
    close: async () => {
      const thread = worker;
      for (const { reject } of queue.splice(0)) reject(brokenBy('it was closed'));
      if (thread === undefined) return;
      discard(thread, brokenBy('it was closed'));
      await thread.terminate();
    },
  };
};
