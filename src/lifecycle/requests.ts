/**
 * Access requests: asked for, approved, denied, cancelled, and looked at. Joins the pure rules with the active bundle, its policy and the floor
 * of the configuration; everything is judged again inside each commit.
 */
import { toRfc3339, type Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import { coveredBy, type Loaded } from '../domain/lifecycle/change.ts';
import type { Entitlement } from '../domain/lifecycle/entitlement.ts';
import { fillScopes } from '../domain/lifecycle/entitlement-scope.ts';
import { actorNames } from '../domain/lifecycle/eligibility.ts';
import { extendingRule, extensionTerms } from '../domain/lifecycle/extension.ts';
import type { AskedBinding, AskedConditions, IssueGrant } from '../domain/lifecycle/grant-terms.ts';
import type { Basis } from '../domain/lifecycle/issue-grant.ts';
import { readRegistration, readTarget, aliasRef, workloadRef } from '../domain/lifecycle/directory.ts';
import { approveRequest, cancelRequest, createRequest, denyRequest, settleRequest, type RequestSetting } from '../domain/lifecycle/request-rules.ts';
import { readRequest, requestRef, requestSelectors, type AccessRequest } from '../domain/lifecycle/request.ts';
import { endingRef, grantRef, type RecordRef } from '../domain/grant-refs.ts';
import { readGrant } from '../domain/records.ts';
import { scopesWithin, type Scope } from '../domain/scope.ts';
import { recordKeyText, type StoredRecord } from '../store/port.ts';
import { entitlementDigest } from './entitlements.ts';
import type { Executed, Failure } from './execute.ts';
import { emergencyFault, entitlementOf, issuingRule, referenceRefusal, sha256 } from './issuing.ts';
import { askLifecyclePolicy, type LifecycleQuestion } from './lifecycle-policy.ts';
import type { Call, LifecycleDeps } from './lifecycle.ts';
import { newId } from './new-id.ts';
import { createRun } from './run.ts';

export interface AskedRequest {
  readonly entitlement: string;
  readonly workload: string;
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** Narrower than the entitlement's; absent: all of them. */
  readonly scopes?: readonly Scope[] | undefined;
  readonly ttlMs?: number | undefined;
  readonly notBefore?: number | undefined;
  readonly expiresAt?: number | undefined;
  readonly owner?: string | undefined;
  readonly justification: string;
  readonly reference?: string | undefined;
  readonly task?: string | undefined;
  readonly conditions?: AskedConditions | undefined;
  readonly binding?: AskedBinding | undefined;
  readonly uses?: number | undefined;
}

export interface Requests {
  /** `route`: emergency access has one of its own. */
  create(call: Call, asked: AskedRequest, route: 'request' | 'break-glass'): Promise<Executed>;
  extend(call: Call, grant: string, asked: { readonly ttlMs: number; readonly justification: string }): Promise<Executed>;
  approve(call: Call, id: string, digest: string): Promise<Executed>;
  deny(call: Call, id: string, reason: string): Promise<Executed>;
  cancel(call: Call, id: string, reason?: string): Promise<Executed>;
  settle(call: Call, id: string): Promise<Executed>;
  /** Emergency access that was asked for without a key for it. */
  refuseEmergency(call: Call, detail: string): Promise<Executed>;
  /** `by`: only those of this requester. */
  get(realm: string, id: string, by?: string): Promise<JsonObject | undefined>;
  list(realm: string, page: { readonly after?: string | undefined; readonly limit: number; readonly state?: string | undefined }, by?: string): Promise<{ readonly items: readonly JsonObject[]; readonly next?: string }>;
}

const failed = (code: Failure['code'], detail: string, path?: string): { readonly ok: false; readonly failure: Failure } => ({
  ok: false, failure: { code, detail: path === undefined ? detail : `${path} ${detail}`, ...(path === undefined ? {} : { faults: [{ path, message: detail }] }) },
});

const plain = <T extends object>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

export const requestView = (request: AccessRequest, state: AccessRequest['state'], now: Instant): JsonObject => {
  const { terms, approvals, createdAt, decideBy, decidedAt, version: _version, owners: _owners, ...rest } = request;
  const { notBefore, expiresAt } = terms;
  return plain({
    ...rest, state,
    terms: { ...terms, ...(notBefore === undefined ? {} : { notBefore: toRfc3339(notBefore as Instant) }), ...(expiresAt === undefined ? {} : { expiresAt: toRfc3339(expiresAt as Instant) }) },
    approvals: approvals.map(({ id, approver, at }) => ({ id, approver, at: toRfc3339(at) })),
    createdAt: toRfc3339(createdAt), decideBy: toRfc3339(decideBy),
    ...(decidedAt === undefined ? {} : { decidedAt: toRfc3339(decidedAt) }),
    now: toRfc3339(now),
  }) as unknown as JsonObject;
};

export const createRequests = (deps: LifecycleDeps): Requests => {
  const { store, clock, config, development, policy } = deps;
  const run = createRun({ store, clock, idempotencyKeepMs: config.idempotencyKeepMs });
  const freshId = (): string => (deps.newId ?? newId)(clock.now().latest);

  type Judged = { readonly setting: RequestSetting } | { readonly ok: false; readonly failure: Failure };

  const judgeBy = (call: Call, question: LifecycleQuestion['question'], terms: IssueGrant, extended: string | undefined): Judged => {
    const active = policy();
    if (active === undefined) return failed('unavailable', 'no policy bundle is active; nothing was changed');
    const id = terms.entitlement ?? '';
    const entitlement = entitlementOf(id, active);
    const data = active.entitlement(id);
    if (typeof entitlement !== 'object' || data === undefined) return failed('invalid', 'is not in the active bundle', '/entitlement');
    const unheard = emergencyFault(deps, entitlement.model);
    if (unheard !== undefined) return failed('unavailable', unheard);
    const { tier } = entitlement;
    const verdict = askLifecyclePolicy(active, {
      now: clock.now().latest, realm: call.realm, question, entitlement: id,
      actor: { kind: call.actor.kind, id: call.actor.id, names: actorNames(call.actor) },
      asked: plain({ workload: terms.workload, model: terms.model, tier, scopes: terms.scopes, reference: terms.reference, justification: terms.justification, extends: extended }) as unknown as JsonObject,
    });
    if (!verdict.ok) return failed(verdict.code, verdict.detail);
    const { tiers } = config.caps;
    const floor = Object.hasOwn(tiers, tier) ? tiers[tier]?.minApprovals[entitlement.model] : undefined;
    const issue = issuingRule(deps, active);
    const ruleFor = (grant: string, issued: IssueGrant, basis: Basis) => {
      const byBasis = (on: Basis) => issue({ realm: call.realm, id: grant, terms: issued, actor: call.actor, basis: on });
      return extended === undefined ? byBasis(basis) : extendingRule(extended, call.realm, basis, byBasis);
    };
    return {
      setting: {
        entitlement, realm: call.realm, entitlementDigest: entitlementDigest(data), bundleRevision: active.revision, issue: ruleFor,
        // A tier that has no floor can't be granted, which the rule says.
        needed: Math.max(floor ?? 1, entitlement.approval?.count ?? 1, verdict.approvals), maxTtlMs: verdict.maxTtlMs,
        maxPending: config.requests.maxPending, strict: config.directory.required ?? !development, anybody: development,
      },
    };
  };

  const defaultOwner = async (realm: string, workload: string, { owner }: Entitlement): Promise<string> => {
    const [alias] = await store.read(realm, [aliasRef(workload)]);
    const [record] = await store.read(realm, [workloadRef(readTarget(alias?.value) ?? workload)]);
    return readRegistration(record?.value)?.owners.at(-1) ?? owner;
  };

  const submit = async (call: Call, terms: IssueGrant, extended?: string): Promise<Executed> => {
    const judged = judgeBy(call, 'request', terms, extended);
    if ('ok' in judged) return judged;
    const { setting } = judged;
    const { reference } = setting.entitlement;
    if (reference !== 'none' && terms.reference === undefined) return failed('invalid', `is missing: this entitlement needs the reference of a ${reference}`, '/reference');
    const wrong = await referenceRefusal(deps, terms.reference);
    if (wrong !== undefined) return run(call, 'request.create', `holder/${terms.workload}`, wrong);
    const digest = sha256({ terms: plain(terms) as unknown as JsonObject, requester: call.actor.id, entitlement: setting.entitlementDigest, ...(extended === undefined ? {} : { extends: extended }) });
    const command = { id: freshId(), grant: freshId(), terms: plain(terms), digest, ...(extended === undefined ? {} : { extends: extended }) };
    return run(call, 'request.create', `holder/${terms.workload}`, createRequest(command, call.actor, setting));
  };

  /** A pending one as it stands now: too late, or covered by a revocation, it is over although nobody has written it down yet. */
  const stateOf = (record: StoredRecord, request: AccessRequest, realm: string, records: ReadonlyMap<string, StoredRecord>, now: Instant): AccessRequest['state'] => {
    if (request.state !== 'pending') return request.state;
    if (!(now < request.decideBy)) return 'expired';
    const loaded: Loaded = { record: (ref) => records.get(recordKeyText(ref)), grants: [], truncated: false };
    return coveredBy(loaded, requestSelectors(request, realm), record.created.sequence)?.how === 'revoked' ? 'cancelled' : 'pending';
  };

  const views = async (realm: string, records: readonly StoredRecord[]): Promise<readonly JsonObject[]> => {
    const known = records.flatMap((record) => {
      const request = readRequest(record.value);
      return request === undefined ? [] : [{ record, request }];
    });
    if (known.length === 0) return [];
    const keys = known.flatMap(({ request }) => (request.state === 'pending' ? requestSelectors(request, realm).map(endingRef) : []));
    const read = keys.length === 0 ? new Map<string, StoredRecord>() : (await store.facts({ realm, keys })).records;
    const now = clock.now().latest;
    return known.map(({ record, request }) => requestView(request, stateOf(record, request, realm, read, now), now));
  };

  const noted = async (call: Call, command: string, about: readonly RecordRef[], executed: Promise<Executed>): Promise<Executed> =>
    deps.noteRefusal === undefined ? executed : deps.noteRefusal(call, { command, about }, await executed);

  const requests: Requests = {
    create: async (call, asked, route) => {
      const active = policy();
      if (active === undefined) return failed('unavailable', 'no policy bundle is active; nothing was changed');
      const entitlement = entitlementOf(asked.entitlement, active);
      if (typeof entitlement !== 'object') return failed('invalid', 'is not in the active bundle', '/entitlement');
      if ((entitlement.model === 'break-glass') !== (route === 'break-glass')) {
        return failed('invalid', route === 'request' ? 'is for emergencies, which have a route of their own' : 'is not for emergencies; ask for it as a request', '/entitlement');
      }
      const filled = fillScopes(entitlement, asked.parameters ?? {});
      if ('faults' in filled) return { ok: false, failure: { code: 'invalid', detail: filled.faults.map(({ path, message }) => `${path} ${message}`).join('; '), faults: filled.faults } };
      if (asked.scopes !== undefined && !scopesWithin(asked.scopes, filled.scopes)) return failed('invalid', "must lie within the entitlement's scopes, with these parameters", '/scopes');
      const { entitlement: name, parameters: _parameters, owner, ...rest } = asked;
      const terms: IssueGrant = { ...rest, entitlement: name, model: entitlement.model, scopes: asked.scopes ?? filled.scopes, owner: owner ?? (await defaultOwner(call.realm, asked.workload, entitlement)) };
      return submit(call, terms);
    },
    extend: async (call, id, { ttlMs, justification }) => {
      const [record] = await store.read(call.realm, [grantRef(id)]);
      const grant = record === undefined ? undefined : readGrant(record.value);
      if (grant === undefined || (call.actor.kind === 'workload' && grant.workload !== call.actor.id)) return failed('not-found', 'there is no such grant');
      if (!(Number.isSafeInteger(ttlMs) && ttlMs > 0)) return failed('invalid', 'must be a whole number of milliseconds', '/ttlMs');
      if (grant.entitlement === undefined) return failed('state', 'the grant has no entitlement, so nobody is known who could approve more of it');
      return submit(call, extensionTerms(grant, ttlMs, justification), id);
    },
    approve: async (call, id, digest) => {
      const [record] = await store.read(call.realm, [requestRef(id)]);
      const request = readRequest(record?.value);
      if (request === undefined) return failed('not-found', 'there is no such request');
      const judged = judgeBy(call, 'approve', request.terms, request.extends);
      if ('ok' in judged) return judged;
      // What it was asked for may be over by now: a ticket that was closed meanwhile gives nobody access.
      const wrong = request.state === 'pending' ? await referenceRefusal(deps, request.terms.reference) : undefined;
      if (wrong !== undefined) return run(call, 'request.approve', `holder/${request.terms.workload}`, wrong);
      const command = { id, digest, approval: freshId(), grant: freshId(), workload: request.terms.workload };
      return run(call, 'request.approve', `holder/${request.terms.workload}`, approveRequest(command, call.actor, judged.setting));
    },
    deny: (call, id, reason) => run(call, 'request.deny', `request/${id}`, denyRequest(id, reason, call.actor, call.realm)),
    cancel: (call, id, reason) => run(call, 'request.cancel', `request/${id}`, cancelRequest(id, reason, call.actor, call.realm)),
    settle: (call, id) => run(call, 'request.settle', `request/${id}`, settleRequest(id, call.actor, call.realm)),
    get: async (realm, id, by) => {
      const [record] = await store.read(realm, [requestRef(id)]);
      const request = readRequest(record?.value);
      if (record === undefined || request === undefined || (by !== undefined && request.requester.id !== by)) return undefined;
      return (await views(realm, [record]))[0];
    },
    list: async (realm, { state, ...page }, by) => {
      const { items, next } = await store.list(realm, { kind: 'request', limit: page.limit, ...(page.after === undefined ? {} : { after: page.after }) });
      const mine = items.filter(({ value }) => by === undefined || readRequest(value)?.requester.id === by);
      const shown = (await views(realm, mine)).filter((item) => state === undefined || item['state'] === state);
      return { items: shown, ...(next === undefined ? {} : { next }) };
    },
    refuseEmergency: async (_call, detail) => failed('not-permitted', detail),
  };
  return {
    ...requests,
    create: (call, asked, route) => noted(call, route === 'request' ? 'request.create' : 'break-glass.open', [], requests.create(call, asked, route)),
    extend: (call, id, asked) => noted(call, 'request.extend', [grantRef(id)], requests.extend(call, id, asked)),
    approve: (call, id, digest) => noted(call, 'request.approve', [requestRef(id)], requests.approve(call, id, digest)),
    refuseEmergency: (call, detail) => noted(call, 'break-glass.open', [], requests.refuseEmergency(call, detail)),
  };
};
