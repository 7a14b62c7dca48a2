/** Entry of the thread in which the supervisor evaluates policies; see `bounded-policy.ts`. */
import { workerData, type MessagePort } from 'node:worker_threads';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { PolicyOutcome } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import { createClock } from '../time/clock.ts';
import { ownStatFile } from './watchdog/processor-time.ts';
import { loadPolicy, type LoadPolicyOptions } from '../policy/load-policy.ts';

export interface PolicyThreadData {
  readonly port: MessagePort;
  /** Set to 1 and notified after each answer. */
  readonly signal: SharedArrayBuffer;
}

/** The first message, once. */
export interface PolicyThreadOrder {
  readonly bundle: Uint8Array;
  readonly options: LoadPolicyOptions;
}

export type PolicyThreadLoaded =
  | {
      readonly ok: true;
      readonly revision: string;
      readonly digest: string;
      readonly entrypoints: readonly string[];
      readonly entitlements: JsonObject;
      /** Where this thread's processor time stands. */
      readonly statFile: string | undefined;
    }
  | { readonly ok: false; readonly message: string };

export interface PolicyThreadAnswer {
  readonly id: number;
  readonly outcome: PolicyOutcome;
}

export interface PolicyThreadQuestion {
  readonly id: number;
  readonly entrypoint: string;
  readonly input: JsonObject;
  readonly now: Instant;
}

const member = (value: JsonValue | undefined, name: string): JsonValue | undefined =>
  isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;

const { port, signal } = workerData as PolicyThreadData;
const answered = new Int32Array(signal);

const load = async ({ bundle, options }: PolicyThreadOrder): Promise<PolicyThreadLoaded> => {
  try {
    const policy = await loadPolicy(bundle, { ...options, monotonicMs: createClock({ maxClockStepMs: 1 }).monotonicMs });
    const entitlements = member(member(policy.data, 'curfew'), 'entitlements');
    port.on('message', ({ id, entrypoint, input, now }: PolicyThreadQuestion) => {
      const answer: PolicyThreadAnswer = { id, outcome: policy.evaluate(entrypoint, input, now) };
      port.postMessage(answer);
      Atomics.store(answered, 0, 1);
      Atomics.notify(answered, 0);
    });
    return {
      ok: true, revision: policy.revision, digest: policy.digest, entrypoints: policy.entrypoints, entitlements: isJsonObject(entitlements) ? entitlements : {},
      statFile: ownStatFile(),
    };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : 'can not be loaded' };
  }
};

port.once('message', (order: PolicyThreadOrder) => {
  // With nobody listening it would not keep the thread alive while it loads.
  port.ref();
  void load(order).then((loaded) => {
    port.postMessage(loaded);
    if (!loaded.ok) port.close();
  });
});
