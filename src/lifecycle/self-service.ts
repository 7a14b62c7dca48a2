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
import { grantView, isUnconfirmed, pageView, taskView } from './view.ts';
import type { Grant } from '../domain/grant.ts';
import type { AccessRequest } from '../domain/lifecycle/request.ts';
import type { Delegation } from './delegation.ts';
import { requestView, type AskedRequest, type Requests } from './requests.ts';

/** The shapes of the gateway's port (`gateways/self-service/port.ts`), which this implements. */
export interface SelfCaller {
  readonly identity: Identity;
  readonly realm: string;
  readonly idempotencyKey?: string;
  readonly traceparent?: string;
}
type Status = 400 | 403 | 404 | 409 | 422 | 503;
export type SelfAnswer =
  | { readonly ok: true; readonly value: JsonObject; readonly pending?: boolean }
  | { readonly ok: false; readonly status: Status; readonly code: string; readonly detail: string };

type Terms = Omit<AskedRequest, 'workload'>;
type Handed = Omit<Parameters<Delegation['delegate']>[1], 'from'>;

export interface SelfService {
  askForAccess(caller: SelfCaller, asked: Terms): Promise<SelfAnswer>;
  showRequest(caller: SelfCaller, id: string): Promise<SelfAnswer>;
  cancelRequest(caller: SelfCaller, id: string): Promise<SelfAnswer>;
  askForMore(caller: SelfCaller, grant: string, asked: { readonly ttlMs: number; readonly justification: string }): Promise<SelfAnswer>;
  delegate(caller: SelfCaller, grant: string, asked: Handed): Promise<SelfAnswer>;
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
  return { ok: true, value: taskView(reply['task'] as unknown as Task, { earliest: at, latest: at }, position), pending: isUnconfirmed(executed) };
};

const callOf = ({ identity, realm, idempotencyKey, traceparent }: SelfCaller, id: string, asked?: object): Call => ({
  realm, traceparent,
  actor: { kind: 'workload', id: identity.workload },
  ...(idempotencyKey === undefined ? {} : { idempotency: { principal: identity.workload, key: idempotencyKey, body: { id, ...(asked === undefined ? {} : { asked: JSON.parse(JSON.stringify(asked)) as JsonObject }) } } }),
});

const refusedAnswer = ({ failure }: Extract<Executed, { ok: false }>): SelfAnswer => ({ ok: false, status: STATUS[failure.code], code: failure.code, detail: failure.detail });

const requestAnswer = (executed: Executed): SelfAnswer => {
  if (!executed.ok) return refusedAnswer(executed);
  const request = executed.reply['request'] as unknown as AccessRequest;
  return { ok: true, value: requestView(request, request.state, executed.at) };
};

const grantAnswer = (executed: Executed): SelfAnswer => {
  if (!executed.ok) return refusedAnswer(executed);
  const grant = executed.reply['grant'] as unknown as Grant;
  return { ok: true, value: ownView(grantView(grant, { state: 'active' }, executed.position, grant.uses)) };
};

export interface SelfServiceParts {
  readonly requests: Pick<Requests, 'create' | 'get' | 'cancel' | 'extend'>;
  readonly delegation: Delegation;
}

export const createSelfService = (lifecycle: Pick<Lifecycle, 'beatTask' | 'closeTask'>, inspect: Pick<Inspect, 'grantsOf'>, { requests, delegation }: SelfServiceParts): SelfService => ({
  askForAccess: async (caller, asked) => requestAnswer(await requests.create(callOf(caller, 'request', asked), { ...asked, workload: caller.identity.workload }, 'request')),
  showRequest: async ({ identity, realm }, id) => {
    const value = await requests.get(realm, id, identity.workload);
    return value === undefined ? { ok: false, status: 404, code: 'not-found', detail: 'there is no such request of yours' } : { ok: true, value };
  },
  cancelRequest: async (caller, id) => requestAnswer(await requests.cancel(callOf(caller, id), id)),
  askForMore: async (caller, id, asked) => requestAnswer(await requests.extend(callOf(caller, id, asked), id, asked)),
  delegate: async (caller, id, asked) => grantAnswer(await delegation.delegate(callOf(caller, id, asked), { ...asked, from: id })),
  listOwnGrants: async ({ identity, realm }, page) => {
    const { items, next } = await inspect.grantsOf(realm, identity.workload, page);
    return { ok: true, value: pageView({ items: items.map(ownView), ...(next === undefined ? {} : { next }) }) };
  },
  beatTask: async (caller, taskId) => taskAnswer(await lifecycle.beatTask(callOf(caller, taskId), taskId)),
  closeTask: async (caller, taskId) => taskAnswer(await lifecycle.closeTask(callOf(caller, taskId), taskId)),
});
