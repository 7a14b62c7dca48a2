/** Entry of the thread in which a trial evaluates; see `trial.ts`. */
import { constants, setPriority } from 'node:os';
import { workerData, type MessagePort } from 'node:worker_threads';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import type { PolicyOutcome } from '../../decision/ports.ts';
import { loadPolicy, type LoadPolicyOptions } from '../load-policy.ts';
import type { TrialAnswer, TrialQuestion } from './trial.ts';

export interface TrialThreadData {
  readonly bundle: Uint8Array;
  readonly load: LoadPolicyOptions;
  readonly port: MessagePort;
  /** One number: how many questions were answered. */
  readonly answered: SharedArrayBuffer;
  readonly background: boolean;
}

export type TrialLoaded =
  | { readonly ok: true; readonly revision: string; readonly digest: string; readonly entrypoints: readonly string[]; readonly opaBuiltins: readonly string[]; readonly entitlements: readonly string[] }
  | { readonly ok: false; readonly message: string };

/** The input as JSON: one string crosses faster than the tree it stands for. */
export type TrialMessage = readonly (Omit<TrialQuestion, 'input'> & { readonly input: string })[];

const { bundle, load, port, answered, background } = workerData as TrialThreadData;
const count = new Int32Array(answered);

const member = (value: JsonObject, name: string): JsonObject => {
  const inner = Object.hasOwn(value, name) ? value[name] : undefined;
  return isJsonObject(inner) ? inner : {};
};

const tell = (message: TrialLoaded): void => port.postMessage(message);

try {
  const policy = await loadPolicy(bundle, load);
  // Linux counts niceness for each thread; elsewhere this would slow the whole process down. Loading must come to an end.
  if (background && process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_LOW);
  const answer = ({ entrypoint, input, now, masked = [] }: TrialMessage[number]): TrialAnswer => {
    const parsed = JSON.parse(input) as JsonObject;
    const outcome: PolicyOutcome = policy.evaluate(entrypoint, parsed, now);
    return masked.length === 0 ? { outcome } : { outcome, readsMasked: policy.readsAt(entrypoint, parsed, masked, now) };
  };
  port.on('message', (questions: TrialMessage) => {
    for (const question of questions) {
      port.postMessage(answer(question));
      Atomics.add(count, 0, 1);
    }
  });
  const { revision, digest, entrypoints, opaBuiltins } = policy;
  const entitlements = Object.entries(member(member(policy.data, 'curfew'), 'entitlements')).flatMap(([id, value]) => (isJsonObject(value) ? [id] : []));
  tell({ ok: true, revision, digest, entrypoints, opaBuiltins, entitlements });
} catch (error) {
  tell({ ok: false, message: error instanceof Error ? error.message : 'can not be loaded' });
  port.close();
}
