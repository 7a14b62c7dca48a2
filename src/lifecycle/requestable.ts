/**
 * What somebody who was denied could ask for: entitlements of the active bundle that could cover the question and that this very workload may ask
 * for, or people may for it. Says nothing of entitlements that are not for it, of emergencies, or where something has ended that no request mends.
 */
import type { Policy } from '../decision/ports.ts';
import type { Decision, Evaluation } from '../decision/evaluation.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';
import { plus, toRfc3339 } from '../domain/instant.ts';
import type { Entitlement } from '../domain/lifecycle/entitlement.ts';
import { entitlementCovers } from '../domain/lifecycle/entitlement-scope.ts';
import { workloadMatchesAny } from '../domain/lifecycle/workload-pattern.ts';
import { entitlementsOf } from './entitlements.ts';

/** Another grant would be an answer to these. */
const MENDED: ReadonlySet<Reason> = new Set<Reason>(['grant.none', 'grant.expired', 'grant.uses_exhausted', 'grant.recertification', 'grant.revoked', 'task.closed', 'task.deadline', 'task.heartbeat']);
/** The bundle may change; the offer is for now. */
const OFFERED_MS = 300_000;
const OFFERS_MAX = 10;

export interface RequestableDeps {
  readonly policy: () => Pick<Policy, 'entitlement' | 'entitlementIds'> | undefined;
  /** In which workloads ask for themselves, at `path`. */
  readonly realm: string;
  readonly path: string;
  /** Where people ask, if that may be told. */
  readonly people: string | undefined;
}

/** `base`: where the listener is reached. The value of AuthZEN's `context.access_request`; `undefined`: there is nothing to ask for. */
export type Requestable = (evaluation: Evaluation, decision: Decision, base: string) => JsonObject | undefined;

const shown = ({ id, model, reference, parameters, maxTtlMs }: Entitlement, by: readonly string[]): JsonObject => ({
  id, model, by, reference, parameters: Object.keys(parameters ?? {}), ...(maxTtlMs === undefined ? {} : { max_ttl_ms: maxTtlMs }),
});

/** Entitlements by bundle: reading them all again for every denial would cost more than the decision. */
const createRead = (policy: RequestableDeps['policy']): (() => readonly Entitlement[]) => {
  let last: { readonly of: unknown; readonly all: readonly Entitlement[] } | undefined;
  return () => {
    const active = policy();
    if (last === undefined || last.of !== active) last = { of: active, all: entitlementsOf(active).filter(({ model, request }) => model !== 'break-glass' && request !== undefined) };
    return last.all;
  };
};

export const createRequestable = ({ policy, realm, path, people }: RequestableDeps): Requestable => {
  const read = createRead(policy);
  return (evaluation, decision, base) => {
    const { workload } = decision;
    const { question } = evaluation;
    // An enforcement point that proved nothing, a subject that nobody proved, and another's realm are told nothing.
    if (decision.allow || workload === undefined || question === undefined || evaluation.realm !== realm || !MENDED.has(decision.reason)) return undefined;
    const offers = read().flatMap((entitlement) => {
      const { request } = entitlement;
      const by = [
        ...(workloadMatchesAny(request?.workloads, workload) ? ['workload'] : []),
        ...(people !== undefined && request?.persons !== undefined && workloadMatchesAny(request.for, workload) ? ['person'] : []),
      ];
      return by.length > 0 && entitlementCovers(entitlement, question.action, question.resource) ? [{ entitlement, by }] : [];
    }).slice(0, OFFERS_MAX);
    const [first] = offers;
    if (first === undefined) return undefined;
    const self = offers.some(({ by }) => by.includes('workload'));
    return {
      endpoint: self ? `${base}${path}` : (people ?? ''),
      expires_at: toRfc3339(plus(decision.decidedAt, OFFERED_MS)),
      ...(people !== undefined && offers.some(({ by }) => by.includes('person')) ? { person_endpoint: people } : {}),
      entitlements: offers.map(({ entitlement, by }) => shown(entitlement, by)),
    };
  };
};
