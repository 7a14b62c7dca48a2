/**
 * A policy that can't hold up its caller: it is loaded and evaluated in a thread of its own, which is ended when an evaluation
 * exceeds its budget. For the supervisor, whose death would end everything: operators must be able to revoke and suspend also
 * with a broken or hostile bundle. `evaluate` blocks the caller until the evaluation has taken its budget of processor time,
 * and on an overloaded machine no longer than `WALL_BUDGETS` of them on the clock.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads';
import type { Policy, PolicyOutcome } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { LoadPolicyOptions } from '../policy/load-policy.ts';
import { processorMsIn } from './watchdog/processor-time.ts';
import type { PolicyThreadAnswer, PolicyThreadData, PolicyThreadLoaded, PolicyThreadOrder, PolicyThreadQuestion } from './policy-thread.ts';

export interface BoundedPolicy extends Policy {
  readonly entrypoints: readonly string[];
  /** As `evaluate`, but the caller's loop goes on meanwhile. Not while another one is under way; after one that took too long only `close` is left. */
  attempt(entrypoint: string, input: JsonObject, now: Instant, budgetMs: number): Promise<PolicyOutcome>;
  close(): Promise<void>;
}

export interface BoundedPolicyOptions {
  readonly load: LoadPolicyOptions;
  readonly evaluationBudgetMs: number;
  readonly loadTimeoutMs: number;
}

/** The bundle was refused, or did not load in time. */
export class PolicyRefused extends Error {
  override readonly name = 'PolicyRefused';
}

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly answered: Int32Array;
  readonly loaded: Extract<PolicyThreadLoaded, { ok: true }>;
}

/** A thread with its code and no policy yet: it gets ready while the bundle is still being made. */
export interface SpareThread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly answered: Int32Array;
  readonly ended: () => boolean;
}

export const startSpareThread = (): SpareThread => {
  const { port1: port, port2 } = new MessageChannel();
  const signal = new SharedArrayBuffer(4);
  const workerData: PolicyThreadData = { port: port2, signal };
  const worker = new Worker(new URL('./policy-thread.js', import.meta.url), { workerData, transferList: [port2], execArgv: [] });
  let ended = false;
  worker.once('exit', () => { ended = true; });
  // Its end says the rest.
  worker.on('error', () => undefined);
  worker.unref();
  port.unref();
  return { worker, port, answered: new Int32Array(signal), ended: () => ended };
};

const loadInto = async ({ worker, port, answered, ended }: SpareThread, bundle: Uint8Array, options: BoundedPolicyOptions): Promise<Thread> => {
  let timer: NodeJS.Timeout | undefined;
  try {
    const loaded = await new Promise<PolicyThreadLoaded>((resolve, reject) => {
      const gone = (): void => reject(new PolicyRefused('ended while it was loaded'));
      if (ended()) return gone();
      port.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', gone);
      timer = setTimeout(() => reject(new PolicyRefused('took too long to load')), options.loadTimeoutMs);
      const order: PolicyThreadOrder = { bundle, options: options.load };
      port.postMessage(order);
    });
    if (!loaded.ok) throw new PolicyRefused(loaded.message);
    port.unref();
    return { worker, port, answered, loaded };
  } catch (error) {
    await worker.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
  }
};

const WALL_BUDGETS = 20;

/** Whether the budget is used up by now. Where processor time is not served, only the clock counts. */
const spending = ({ loaded: { statFile } }: Thread, budgetMs: number): (() => boolean) => {
  const spentMs = (): number | undefined => (statFile === undefined ? undefined : processorMsIn(statFile));
  const before = spentMs();
  return () => {
    const now = spentMs();
    return before === undefined || now === undefined || now - before >= budgetMs;
  };
};

/** Did the answer come before the budget was used up? */
const answersWithin = (thread: Thread, budgetMs: number): boolean => {
  const spent = spending(thread, budgetMs);
  for (let waited = 0; waited < WALL_BUDGETS; waited += 1) {
    if (Atomics.wait(thread.answered, 0, 0, budgetMs) !== 'timed-out') return true;
    if (spent()) return false;
  }
  return false;
};

/** The answer, unless the budget is used up before it comes. */
const answerWithin = (thread: Thread, budgetMs: number): Promise<PolicyThreadAnswer | undefined> =>
  new Promise((resolve) => {
    const spent = spending(thread, budgetMs);
    let waited = 0;
    const done = (answer?: PolicyThreadAnswer): void => {
      clearInterval(timer);
      thread.port.off('message', done);
      thread.worker.off('exit', gone);
      thread.port.unref();
      resolve(answer);
    };
    const gone = (): void => done();
    const timer = setInterval(() => {
      waited += 1;
      if (waited >= WALL_BUDGETS || spent()) done();
    }, budgetMs);
    thread.port.on('message', done);
    thread.worker.once('exit', gone);
  });

const failed = (reason: 'policy.error' | 'policy.unavailable', detail: string): PolicyOutcome => ({ kind: 'failed', reason, detail });

/** Rejects when the bundle can't be loaded. `spare` belongs to it from now on. */
export const startBoundedPolicy = async (bundle: Uint8Array, options: BoundedPolicyOptions, spare = startSpareThread()): Promise<BoundedPolicy> => {
  const first = await loadInto(spare, bundle, options);
  const { revision, digest, entrypoints, entitlements } = first.loaded;
  let thread: Thread | undefined = first;
  let closed = false;
  let asked = 0;

  const restart = (stuck: Thread): void => {
    thread = undefined;
    void stuck.worker.terminate();
    loadInto(startSpareThread(), bundle, options).then(
      (next) => {
        if (closed) void next.worker.terminate();
        else thread = next;
      },
      () => undefined,
    );
  };

  return {
    revision,
    digest,
    entrypoints,
    entitlement: (id) => {
      const value = Object.hasOwn(entitlements, id) ? entitlements[id] : undefined;
      return isJsonObject(value) ? value : undefined;
    },
    entitlementIds: () => Object.keys(entitlements),
    evaluate: (entrypoint, input, now) => {
      const current = thread;
      if (current === undefined) return failed('policy.unavailable', 'the policy is being started again');
      const id = (asked += 1);
      const question: PolicyThreadQuestion = { id, entrypoint, input, now };
      try {
        Atomics.store(current.answered, 0, 0);
        current.port.postMessage(question);
        if (!answersWithin(current, options.evaluationBudgetMs)) {
          restart(current);
          return failed('policy.error', 'the evaluation exceeded its budget');
        }
        const answer = receiveMessageOnPort(current.port)?.message as PolicyThreadAnswer | undefined;
        if (answer?.id === id) return answer.outcome;
      } catch {
        // Falls through: an input that can't be sent, or a thread that is gone.
      }
      restart(current);
      return failed('policy.error', 'the policy gave no answer');
    },
    attempt: async (entrypoint, input, now, budgetMs) => {
      const id = (asked += 1);
      const question: PolicyThreadQuestion = { id, entrypoint, input, now };
      if (thread === undefined) return failed('policy.unavailable', 'the policy is being started again');
      const answer = answerWithin(thread, budgetMs);
      thread.port.postMessage(question);
      return (await answer)?.outcome ?? failed('policy.error', 'the evaluation exceeded its budget');
    },
    close: async () => {
      closed = true;
      await thread?.worker.terminate();
    },
  };
};
