/**
 * A policy on trial: evaluated in a thread of its own, which nobody waits for in their own tick. An evaluation that does not
 * end within its budget ends its thread, and counts as stopped; the next question starts another one. The thread's memory is
 * bounded; what exceeds it ends the thread too, never the process.
 *
 * Not guaranteed: that an evaluation which ends in time was cheap. Callers that share processors with others pace themselves.
 */
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import type { PolicyOutcome } from '../../decision/ports.ts';
import type { Instant } from '../../domain/instant.ts';
import type { JsonObject } from '../../domain/json.ts';
import { BundleRefused } from '../bundle/bundle-refused.ts';
import type { LoadPolicyOptions } from '../load-policy.ts';
import type { TrialLoaded, TrialMessage, TrialThreadData } from './trial-thread.ts';

export interface TrialQuestion {
  readonly entrypoint: string;
  readonly input: JsonObject;
  readonly now: Instant;
  /** Places of the input (JSON Pointers) whose true value is not known; the answer says whether it depends on one. */
  readonly masked?: readonly string[];
}

export interface TrialAnswer {
  readonly outcome: PolicyOutcome;
  readonly readsMasked?: boolean;
  /** It was ended: over its budget, or it broke its thread. */
  readonly stopped?: true;
}

export interface TrialOptions {
  readonly load: LoadPolicyOptions;
  /** Wall time of one evaluation. */
  readonly budgetMs: number;
  readonly loadTimeoutMs: number;
  readonly heapMegabytesMax: number;
  /** Gives way to every other thread of the machine, where the system can do that for single threads. */
  readonly background?: boolean;
}

export interface Trial {
  readonly revision: string;
  readonly digest: string;
  readonly entrypoints: readonly string[];
  /** Builtins that OPA's own implementation carries out. */
  readonly opaBuiltins: readonly string[];
  readonly hasEntitlement: (id: string) => boolean;
  /** Answers in the order of the questions; one call at a time. Never rejects but after `close`. */
  ask(questions: readonly TrialQuestion[]): Promise<readonly TrialAnswer[]>;
  close(): Promise<void>;
}

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly answered: Int32Array;
  readonly loaded: Extract<TrialLoaded, { ok: true }>;
}

const startThread = async (bundle: Uint8Array, options: TrialOptions): Promise<Thread> => {
  const { port1: port, port2 } = new MessageChannel();
  const answered = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const workerData: TrialThreadData = { bundle, load: options.load, port: port2, answered, background: options.background === true };
  const worker = new Worker(new URL('./trial-thread.js', import.meta.url), {
    name: 'policy-trial', workerData, transferList: [port2], execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: options.heapMegabytesMax },
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    const loaded = await new Promise<TrialLoaded>((resolve, reject) => {
      port.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new BundleRefused('wasm.invalid', 'ended while it was loaded')));
      timer = setTimeout(() => reject(new BundleRefused('wasm.invalid', 'took too long to load')), options.loadTimeoutMs);
    });
    if (!loaded.ok) throw new BundleRefused('wasm.invalid', loaded.message);
    worker.on('error', () => undefined);
    worker.unref();
    port.unref();
    return { worker, port, answered: new Int32Array(answered), loaded };
  } catch (error) {
    await worker.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
  }
};

/** As many as were answered before the thread stood still or was gone. */
const askThread = ({ worker, port, answered }: Thread, questions: readonly TrialQuestion[], budgetMs: number): Promise<readonly TrialAnswer[]> =>
  new Promise((resolve) => {
    const answers: TrialAnswer[] = [];
    const first = Atomics.load(answered, 0);
    const finish = (): void => {
      clearTimeout(timer);
      port.off('message', take);
      worker.off('exit', finish);
      port.unref();
      resolve(answers);
    };
    const take = (answer: TrialAnswer): void => {
      answers.push(answer);
      if (answers.length === questions.length) finish();
      else timer.refresh();
    };
    const late = (): void => {
      // A busy caller may find the time over before it finds the answers that came in it.
      if (Atomics.load(answered, 0) - first > answers.length) timer.refresh();
      else finish();
    };
    const timer: NodeJS.Timeout = setTimeout(late, budgetMs);
    port.on('message', take);
    worker.on('exit', finish);
    const message: TrialMessage = questions.map(({ input, ...question }) => ({ ...question, input: JSON.stringify(input) }));
    port.postMessage(message);
  });

const STOPPED: TrialAnswer = { outcome: { kind: 'failed', reason: 'policy.error', detail: 'the evaluation exceeded its budget' }, stopped: true };

/** Rejects with `BundleRefused` when the bundle can't be loaded. */
export const startTrial = async (bundle: Uint8Array, options: TrialOptions): Promise<Trial> => {
  const first = await startThread(bundle, options);
  const { revision, digest, entrypoints, opaBuiltins, entitlements } = first.loaded;
  const known = new Set(entitlements);
  let thread: Thread | undefined = first;
  let closed = false;

  const current = async (): Promise<Thread> => {
    thread ??= await startThread(bundle, options);
    return thread;
  };

  return {
    revision, digest, entrypoints, opaBuiltins,
    hasEntitlement: (id) => known.has(id),
    ask: async (questions) => {
      const answers: TrialAnswer[] = [];
      while (answers.length < questions.length) {
        if (closed) throw new Error('the trial was closed');
        const asked = await current();
        answers.push(...(await askThread(asked, questions.slice(answers.length), options.budgetMs)));
        if (answers.length === questions.length) break;
        thread = undefined;
        await asked.worker.terminate();
        answers.push(STOPPED);
      }
      return answers;
    },
    close: async () => {
      closed = true;
      await thread?.worker.terminate();
    },
  };
};
