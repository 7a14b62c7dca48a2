/** Handing a grant on: by the workload that holds it. The policy is asked as it is about requests; the rule has what no policy can relax. */
import type { JsonObject } from '../domain/json.ts';
import { guardContinuity } from '../domain/lifecycle/continuity.ts';
import { delegateGrant, type DelegateGrant } from '../domain/lifecycle/delegate.ts';
import { grantRef } from '../domain/grant-refs.ts';
import { readGrant } from '../domain/records.ts';
import type { Executed } from './execute.ts';
import { entitlementOf } from './issuing.ts';
import { askLifecyclePolicy } from './lifecycle-policy.ts';
import type { Call, LifecycleDeps } from './lifecycle.ts';
import { newId } from './new-id.ts';
import { createRun } from './run.ts';
import { workloadIssuers } from './workload-issuers.ts';

export interface Delegation {
  delegate(call: Call, asked: Omit<DelegateGrant, 'id'>): Promise<Executed>;
}

export const createDelegation = (deps: LifecycleDeps): Delegation => {
  const { store, clock, config, policy } = deps;
  const run = createRun({ store, clock, idempotencyKeepMs: config.idempotencyKeepMs });
  const delegation: Delegation = {
    delegate: async (call, asked) => {
      const active = policy();
      if (active === undefined) return { ok: false, failure: { code: 'unavailable', detail: 'no policy bundle is active; nothing was handed on' } };
      const [record] = await store.read(call.realm, [grantRef(asked.from)]);
      const grant = record === undefined ? undefined : readGrant(record.value);
      if (grant === undefined || grant.workload !== call.actor.id) return { ok: false, failure: { code: 'not-found', detail: 'there is no such grant of yours' } };
      const known = (id: string) => {
        const entitlement = entitlementOf(id, active);
        return typeof entitlement === 'object' ? entitlement : undefined;
      };
      const verdict = askLifecyclePolicy(active, {
        now: clock.now().latest, realm: call.realm, question: 'delegate', actor: { kind: call.actor.kind, id: call.actor.id, names: [call.actor.id] }, entitlement: grant.entitlement ?? '',
        asked: JSON.parse(JSON.stringify({ workload: asked.workload, model: grant.model, tier: grant.tier, scopes: asked.scopes ?? grant.scopes, justification: asked.justification })) as JsonObject,
      });
      if (!verdict.ok) return { ok: false, failure: { code: verdict.code, detail: verdict.detail } };
      const command = { ...asked, id: (deps.newId ?? newId)(clock.now().latest), ttlMs: Math.min(asked.ttlMs, verdict.maxTtlMs) };
      const rule = delegateGrant(command, call.actor, {
        realm: call.realm, epoch: store.epoch, bundleRevision: active.revision, entitlementOf: known, issuersOf: workloadIssuers, knownOwners: deps.knownOwners?.(call.realm), maxLiveGrants: config.caps.maxLiveGrants,
      });
      const entitlement = grant.entitlement === undefined ? undefined : known(grant.entitlement);
      return run(call, 'grant.delegate', `holder/${asked.workload}`, guardContinuity(rule, asked.workload, entitlement));
    },
  };
  const { noteRefusal } = deps;
  if (noteRefusal === undefined) return delegation;
  return { delegate: async (call, asked) => noteRefusal(call, { command: 'grant.delegate', about: [grantRef(asked.from)] }, await delegation.delegate(call, asked)) };
};
