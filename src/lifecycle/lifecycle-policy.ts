/** The bundle's say in requests: it may refuse, ask for more approvals, and allow less time. Without a clear yes nothing is asked for. */
import type { Policy } from '../decision/ports.ts';
import { readVerdict } from '../decision/verdict.ts';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { isDuration } from '../domain/instant.ts';

export const LIFECYCLE_ENTRYPOINT = 'curfew/lifecycle/decision';

export interface LifecycleQuestion {
  readonly now: Instant;
  readonly realm: string;
  readonly question: 'request' | 'approve' | 'delegate';
  readonly actor: { readonly kind: string; readonly id: string; readonly names: readonly string[] };
  readonly entitlement: string;
  readonly asked: JsonObject;
}

export type LifecycleVerdict =
  | { readonly ok: true; readonly approvals: number; readonly maxTtlMs: number }
  | { readonly ok: false; readonly code: 'not-permitted' | 'unavailable'; readonly detail: string };

const APPROVALS_MAX = 16;
const REASONS_MAX = 5;
const ANY_TIME = Number.MAX_SAFE_INTEGER;

export const askLifecyclePolicy = (policy: Pick<Policy, 'evaluate'>, asked: LifecycleQuestion): LifecycleVerdict => {
  const { now, ...question } = asked;
  const outcome = policy.evaluate(LIFECYCLE_ENTRYPOINT, { curfew: { now: toRfc3339(now), now_ms: now, ...question } }, now);
  if (outcome.kind === 'failed') return { ok: false, code: 'unavailable', detail: `the policy could not judge it (${outcome.reason}); does the bundle have ${LIFECYCLE_ENTRYPOINT}?` };
  if (outcome.kind === 'undefined') return { ok: false, code: 'not-permitted', detail: 'the policy gave no answer' };
  const read = readVerdict(outcome.value);
  const value = isJsonObject(outcome.value) ? outcome.value : {};
  if (!read.ok || !read.verdict.yes) {
    const reasons = Array.isArray(value['reasons']) ? value['reasons'].filter((reason) => typeof reason === 'string').slice(0, REASONS_MAX) : [];
    return { ok: false, code: 'not-permitted', detail: reasons.length === 0 ? 'the policy refuses it' : `the policy refuses it: ${reasons.join('; ')}` };
  }
  const { approvals = 0, max_ttl_ms: maxTtlMs = ANY_TIME } = value;
  const count = typeof approvals === 'number' && Number.isSafeInteger(approvals) && approvals >= 0 && approvals <= APPROVALS_MAX ? approvals : undefined;
  if (count === undefined || !isDuration(maxTtlMs, ANY_TIME)) return { ok: false, code: 'unavailable', detail: 'the policy gave an answer that is not well-formed' };
  return { ok: true, approvals: count, maxTtlMs };
};
