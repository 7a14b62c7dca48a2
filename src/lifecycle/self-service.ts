/**
 * What a workload may do for itself: see its grants, beat and close tasks that its live grants hang on. Another's task does not
 * exist for it. The rules of the commands say so too (`onTask`), inside the commit.
 */
import type { JsonObject } from '../domain/json.ts';
import type { Task } from '../domain/task.ts';
import type { Identity } from '../decision/evaluation.ts';
import type { Executed, FailureCode } from './execute.ts';
import type { Inspect } from './inspect.ts';
import type { Call, Lifecycle } from './lifecycle.ts';
import { pageView, taskView } from './view.ts';

/** The shapes of the gateway's port (`gateways/self-service/port.ts`), which this implements. */
export interface SelfCaller {
  readonly identity: Identity;
  readonly realm: string;
  readonly idempotencyKey?: string;
  readonly traceparent?: string;
}
type Status = 400 | 403 | 404 | 409 | 422 | 503;
export type SelfAnswer =
  | { readonly ok: true; readonly value: JsonObject }
  | { readonly ok: false; readonly status: Status; readonly code: string; readonly detail: string };

export interface SelfService {
  listOwnGrants(caller: SelfCaller, page: { readonly after?: string; readonly limit: number }): Promise<SelfAnswer>;
  beatTask(caller: SelfCaller, taskId: string): Promise<SelfAnswer>;
  closeTask(caller: SelfCaller, taskId: string): Promise<SelfAnswer>;
}

const STATUS: Readonly<Record<FailureCode, Status>> = {
  invalid: 400, 'not-permitted': 403, 'not-found': 404, state: 409, suspended: 409, limit: 409, 'key-reused': 422,
  unavailable: 503, 'clock-untrusted': 503, 'store-unavailable': 503, 'outcome-unknown': 503, busy: 503,
};

/** Who issued and approved is not the workload's to know. */
const OWN_MEMBERS = [
  'id', 'workload', 'model', 'scopes', 'conditions', 'binding', 'notBefore', 'expiresAt', 'state', 'endedBecause', 'task', 'reference', 'uses', 'usesLeft', 'position',
];
const ownView = (view: JsonObject): JsonObject => Object.fromEntries(OWN_MEMBERS.flatMap((name) => (view[name] === undefined ? [] : [[name, view[name]]])));

const taskAnswer = (executed: Executed): SelfAnswer => {
  if (!executed.ok) return { ok: false, status: STATUS[executed.failure.code], code: executed.failure.code, detail: executed.failure.detail };
  const { at, position, reply } = executed;
  return { ok: true, value: taskView(reply['task'] as unknown as Task, { earliest: at, latest: at }, position) };
};

const callOf = ({ identity, realm, idempotencyKey, traceparent }: SelfCaller, taskId: string): Call => ({
  realm, traceparent,
  actor: { kind: 'workload', id: identity.workload },
  ...(idempotencyKey === undefined ? {} : { idempotency: { principal: identity.workload, key: idempotencyKey, body: { id: taskId } } }),
});

export const createSelfService = (lifecycle: Pick<Lifecycle, 'beatTask' | 'closeTask'>, inspect: Pick<Inspect, 'grantsOf'>): SelfService => ({
  listOwnGrants: async ({ identity, realm }, page) => {
    const { items, next } = await inspect.grantsOf(realm, identity.workload, page);
    return { ok: true, value: pageView({ items: items.map(ownView), ...(next === undefined ? {} : { next }) }) };
  },
  beatTask: async (caller, taskId) => taskAnswer(await lifecycle.beatTask(callOf(caller, taskId), taskId)),
  closeTask: async (caller, taskId) => taskAnswer(await lifecycle.closeTask(callOf(caller, taskId), taskId)),
});
