/** What a workload may do for itself, with its own credential; implemented by the lifecycle, called by the HTTP shell beside this. */
import type { Identity } from '../../decision/evaluation.ts';
import type { TimeInterval } from '../../domain/instant.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Reason } from '../../domain/reasons.ts';
import type { DelegationBody, ExtensionBody, RequestBody } from './bodies.ts';

/** A workload whose credential was verified and which `admit` let in. */
export interface SelfCaller {
  readonly identity: Identity;
  readonly realm: string;
  /** The request's `Idempotency-Key`, if it had one. */
  readonly idempotencyKey?: string;
  readonly traceparent?: string;
}

/** `value` is the body; `pending`: what was ended is not known to be enforced yet. A refusal is a problem: `code` for programs, `detail` for people, nothing secret in either. */
export type SelfAnswer =
  | { readonly ok: true; readonly value: JsonObject; readonly pending?: boolean }
  | { readonly ok: false; readonly status: 400 | 403 | 404 | 409 | 422 | 503; readonly code: string; readonly detail: string };

export interface SelfService {
  /** `{items: [...], next?}`: the caller's own grants, live ones first. */
  listOwnGrants(caller: SelfCaller, page: { readonly after?: string; readonly limit: number }): Promise<SelfAnswer>;
  /** Only of tasks that the caller's own grants hang on (or that it opened); another's is 404. */
  beatTask(caller: SelfCaller, taskId: string): Promise<SelfAnswer>;
  closeTask(caller: SelfCaller, taskId: string): Promise<SelfAnswer>;
  /** For the caller itself; no other workload can be named. */
  askForAccess(caller: SelfCaller, asked: RequestBody): Promise<SelfAnswer>;
  /** Only of the caller's own requests; another's is 404. */
  showRequest(caller: SelfCaller, id: string): Promise<SelfAnswer>;
  cancelRequest(caller: SelfCaller, id: string): Promise<SelfAnswer>;
  /** Only of the caller's own grants; another's is 404. */
  askForMore(caller: SelfCaller, grant: string, asked: ExtensionBody): Promise<SelfAnswer>;
  delegate(caller: SelfCaller, grant: string, asked: DelegationBody): Promise<SelfAnswer>;
}

/**
 * Conditions 1 and 2 for a verified identity: does no ending cover it, was a one-time credential or proof not seen before (and
 * is it recorded now)? `undefined` lets it in. Never throws; a rejected promise refuses.
 */
export type Admit = (identity: Identity, context: { readonly realm: string; readonly now: TimeInterval }) => Promise<Reason | undefined>;
