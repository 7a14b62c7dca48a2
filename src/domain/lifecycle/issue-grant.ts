/**
 * Issuing a grant without a request. No grant without end, owner, justification and the reference its model demands; its end
 * lies within every cap and its task's deadline; it is refused while a suspension covers it or its task is not open.
 */
import { withAlerts } from '../alert.ts';
import { MODELS, type Approval, type Binding, type Conditions, type Grant, type Model } from '../grant.ts';
import { endingRef, grantRef, grantRefs, taskRef, usesRef, type RecordRef } from '../grant-refs.ts';
import { isDuration, isInstant, plus, toRfc3339, type Instant, type TimeInterval } from '../instant.ts';
import type { JsonObject } from '../json.ts';
import { recertificationRef, type Recertification } from '../recertification.ts';
import { readTask } from '../records.ts';
import { reasonText } from '../reasons.ts';
import { workloadSelectors, type Selector } from '../selector.ts';
import { taskFault } from '../task.ts';
import { coveredBy, invalid, refuse, type Actor, type Change, type Fault, type Loaded, type Refusal, type Rule } from './change.ts';
import type { Entitlement } from './entitlement.ts';
import { boundConditions, withinEntitlement } from './entitlement-scope.ts';
import { termFaults, type AskedBinding, type IssueGrant } from './grant-terms.ts';
import { ownerFault, ownerRefs, type KnownOwners } from './known-owner.ts';
import { skippedApprovals } from './two-person.ts';

export interface GrantCaps {
  /** Longest time from start to end, by tier and model. A tier that is not listed can't be granted. */
  readonly tiers: Readonly<Record<string, { readonly maxTtlMs: Readonly<Record<Model, number>>; readonly minApprovals?: Readonly<Record<Model, number>> }>>;
  /** Longest time by how well use is logged and by how far its end is automated. */
  readonly logging: Readonly<Record<Entitlement['logging'], number>>;
  readonly automation: Readonly<Record<Entitlement['automation'], number>>;
  /** How far ahead a grant may start. */
  readonly maxAheadMs: number;
  /** Longest time of any grant, whatever its tier allows. */
  readonly maxGrantMs?: number;
  readonly maxLiveGrants: number;
  /** Longest time by what an entitlement names in `downstream`: systems that don't end access at once. */
  readonly systems?: ReadonlyMap<string, number>;
}

/** What issuing depends on beside the store. */
export interface IssueSetting {
  readonly realm: string;
  readonly epoch: string;
  readonly bundleRevision: string;
  /** The entitlement named, as the active bundle has it. */
  readonly entitlement: Entitlement | 'absent' | 'unreadable' | undefined;
  readonly caps: GrantCaps;
  /** Development: an entitlement need not be `direct`, and none need be named. */
  readonly anyDirect: boolean;
  /** Emergency access needs no request here. */
  readonly directEmergencies?: boolean | undefined;
  /** Issuers of the workload's credentials, as far as its id tells. */
  readonly issuers: readonly string[];
  readonly knownOwners?: KnownOwners;
  /** Absent: issued directly. */
  readonly basis?: Basis;
}

/** The request that a grant is issued for. */
export interface Basis {
  readonly request: string;
  /** Who asked for it. */
  readonly requester: string;
  /** Least position of what it rests on; absent: its own commit. */
  readonly root?: number;
  readonly approvals: readonly Approval[];
  /** What the policy allows at most. */
  readonly maxTtlMs?: number;
  /** Of the grant that this one extends, if it does. */
  readonly lineage?: readonly string[];
  readonly earlierApprovals?: readonly Approval[];
  readonly earlierOwners?: readonly string[];
  readonly recertifyBy?: Instant;
  /** More selectors that must not cover it, such as those of who asked. */
  readonly selectors: readonly Selector[];
}

/** Instants in the past are taken up to this, for callers whose clock is behind. */
export const PAST_START_MS_MAX = 60_000;

const window = (terms: IssueGrant, now: TimeInterval): { notBefore: number; expiresAt: number } =>
  terms.ttlMs === undefined
    ? { notBefore: terms.notBefore ?? Number.NaN, expiresAt: terms.expiresAt ?? Number.NaN }
    : { notBefore: now.earliest, expiresAt: plus(now.earliest, terms.ttlMs) };

const windowFaults = (terms: IssueGrant, now: TimeInterval, maxTtlMs: number, caps: GrantCaps): Fault[] => {
  if (terms.ttlMs !== undefined) {
    return isDuration(terms.ttlMs, maxTtlMs) ? [] : [{ path: '/ttlMs', message: `must be a whole number of milliseconds from 1 to ${maxTtlMs}` }];
  }
  // That one is missing is told by `termFaults`.
  if (terms.notBefore === undefined || terms.expiresAt === undefined) return [];
  const { notBefore, expiresAt } = terms;
  if (!isInstant(notBefore)) return [{ path: '/notBefore', message: 'must be an instant' }];
  if (!isInstant(expiresAt)) return [{ path: '/expiresAt', message: 'must be an instant' }];
  if (!(now.latest < expiresAt)) return [{ path: '/expiresAt', message: `must lie in the future; now is ${toRfc3339(now.latest)}` }];
  if (!(now.earliest - PAST_START_MS_MAX <= notBefore)) return [{ path: '/notBefore', message: 'lies in the past' }];
  if (!(notBefore - now.earliest <= caps.maxAheadMs)) return [{ path: '/notBefore', message: `may be at most ${caps.maxAheadMs} ms ahead` }];
  if (!(notBefore < expiresAt)) return [{ path: '/expiresAt', message: 'must be later than notBefore' }];
  return expiresAt - notBefore <= maxTtlMs ? [] : [{ path: '/expiresAt', message: `may be at most ${maxTtlMs} ms after notBefore` }];
};

const entitlementFaults = (terms: IssueGrant, setting: IssueSetting): Fault[] => {
  const { entitlement } = setting;
  const at = '/entitlement';
  // Whatever the entitlement says: without its own route, and the key that this one takes, there is no emergency access.
  if (terms.model === 'break-glass' && !setting.anyDirect && setting.directEmergencies !== true && setting.basis === undefined) return [{ path: '/model', message: 'is for emergencies: they have a route and a key of their own' }];
  if (entitlement === undefined) return setting.anyDirect ? [] : [{ path: at, message: 'is missing: a grant without a request needs an entitlement marked direct' }];
  if (entitlement === 'absent') return [{ path: at, message: 'is not in the active bundle' }];
  if (entitlement === 'unreadable') return [{ path: at, message: 'could not be understood as the active bundle has it' }];
  if (!setting.anyDirect && !entitlement.direct && setting.basis === undefined) return [{ path: at, message: 'is not marked direct: it takes a request and its approval' }];
  const faults: Fault[] = [];
  const usesMax = entitlement.uses;
  if (usesMax !== undefined && !(terms.uses !== undefined && terms.uses <= usesMax)) faults.push({ path: '/uses', message: `must be a whole number from 1 to ${usesMax} for this entitlement` });
  if (entitlement.model !== terms.model) faults.push({ path: '/model', message: `must be ${entitlement.model} for this entitlement` });
  if (!withinEntitlement(terms.scopes, entitlement)) faults.push({ path: '/scopes', message: "must lie within the entitlement's scopes" });
  return [...faults, ...boundConditions(entitlement, terms.conditions ?? {}).faults];
};

const tierOf = (setting: IssueSetting): string => (typeof setting.entitlement === 'object' ? setting.entitlement.tier : 'standard');

const maxTtlOf = (terms: Pick<IssueGrant, 'model'>, setting: IssueSetting): number | undefined => {
  const { tiers } = setting.caps;
  const tier = tierOf(setting);
  const ofTier = Object.hasOwn(tiers, tier) && MODELS.includes(terms.model) ? tiers[tier]?.maxTtlMs[terms.model] : undefined;
  const cap = ofTier === undefined ? undefined : Math.min(ofTier, setting.caps.maxGrantMs ?? ofTier);
  if (cap === undefined || typeof setting.entitlement !== 'object') return cap;
  const { maxTtlMs = cap, logging, automation, downstream } = setting.entitlement;
  const ofSystems = downstream.map((name) => setting.caps.systems?.get(name) ?? cap);
  return Math.min(cap, maxTtlMs, setting.caps.logging[logging], setting.caps.automation[automation], ...ofSystems, setting.basis?.maxTtlMs ?? cap);
};

const taskRefusal = (loaded: Loaded, task: string, expiresAt: number, now: TimeInterval): { readonly ok: false; readonly refusal: Refusal } | undefined => {
  const record = loaded.record(taskRef(task));
  if (record === undefined) return invalid([{ path: '/task', message: 'names no task of this realm' }]);
  const found = readTask(record.value);
  if (found === undefined) return refuse('unavailable', 'the task record could not be understood');
  const fault = taskFault(found, now);
  if (fault !== undefined) return refuse('state', reasonText(fault));
  if (expiresAt <= found.deadline) return undefined;
  return invalid([{ path: '/ttlMs', message: `would end after the task's deadline, ${toRfc3339(found.deadline)}` }]);
};

/** Every selector by which a suspension would cover the new grant. */
const coverSelectors = (terms: IssueGrant, setting: IssueSetting): readonly Selector[] => [
  { kind: 'realm', value: setting.realm },
  ...workloadSelectors(terms.workload),
  ...setting.issuers.map((value): Selector => ({ kind: 'issuer', value })),
  ...(terms.conditions?.pep ?? []).map((value): Selector => ({ kind: 'pep', value })),
  { kind: 'owner', value: terms.owner },
  ...(terms.task === undefined ? [] : [{ kind: 'task', value: terms.task } as const]),
  ...(terms.entitlement === undefined ? [] : [{ kind: 'entitlement', value: terms.entitlement } as const]),
  { kind: 'bundle-revision', value: setting.bundleRevision },
  ...(setting.basis?.selectors ?? []),
  ...(setting.basis?.approvals ?? []).map(({ approver }): Selector => ({ kind: 'approver', value: approver })),
];

/** Every issue for a workload writes this record, so that two at once can't both count as the last that fits. */
export const holderRef = (workload: string): RecordRef => ({ kind: 'holder', id: workload });

export const issueGrant = (id: string, terms: IssueGrant, actor: Actor, setting: IssueSetting): Rule => ({
  ends: false,
  grantsOf: terms.workload,
  needs: () => [
    grantRef(id), usesRef(id), holderRef(terms.workload), ...ownerRefs(terms.owner),
    ...(terms.task === undefined ? [] : [taskRef(terms.task)]),
    ...coverSelectors(terms, setting).map(endingRef),
  ],
  judge: (loaded, now) => {
    const maxTtlMs = maxTtlOf(terms, setting);
    const faults = [
      ...termFaults(terms),
      ...entitlementFaults(terms, setting),
      ...(maxTtlMs === undefined
        ? [{ path: '/entitlement', message: `is of tier ${tierOf(setting)}, for which no longest time is configured` }]
        : windowFaults(terms, now, maxTtlMs, setting.caps)),
    ];
    if (faults.length > 0) return invalid(faults.filter((fault, index) => faults.findIndex(({ path }) => path === fault.path) === index));
    const owner = ownerFault(loaded, terms.owner, setting.knownOwners);
    if (owner !== undefined) return invalid([{ path: '/owner', message: owner }]);
    const { notBefore, expiresAt } = window(terms, now);
    const task = terms.task === undefined ? undefined : taskRefusal(loaded, terms.task, expiresAt, now);
    if (task !== undefined) return task;
    const { basis } = setting;
    const covered = coveredBy(loaded, coverSelectors(terms, setting), basis?.root ?? Number.MAX_SAFE_INTEGER);
    if (covered !== undefined) return refuse('suspended', `the ${covered.selector.kind} ${covered.selector.value} is ${covered.how}`);
    if (loaded.truncated || !(loaded.grants.length < setting.caps.maxLiveGrants)) {
      return refuse('limit', `the workload has ${setting.caps.maxLiveGrants} live grants already`);
    }
    if (loaded.record(grantRef(id)) !== undefined) return refuse('state', 'a grant with this id was there before; ids are never used again');
    const grant: Grant = {
      version: 1, id, realm: setting.realm, epoch: setting.epoch,
      workload: terms.workload, scopes: terms.scopes, conditions: conditionsOf(terms, setting),
      notBefore: notBefore as Instant, expiresAt: expiresAt as Instant, model: terms.model,
      owners: [...(basis?.earlierOwners ?? []).filter((owner) => owner !== terms.owner), terms.owner], approvals: [...(basis?.earlierApprovals ?? []), ...(basis?.approvals ?? [])], bundleRevision: setting.bundleRevision, chain: [],
      issuedBy: actor.id, issuedAt: now.earliest, direct: basis === undefined, justification: terms.justification, tier: tierOf(setting),
      ...(basis === undefined ? {} : { request: basis.request, requestedBy: basis.requester }),
      ...(basis?.root === undefined ? {} : { root: basis.root }),
      ...(basis?.lineage === undefined ? {} : { lineage: basis.lineage }),
      ...recertification(setting, now),
      ...(terms.binding === undefined ? {} : { binding: bindingOf(terms.binding) }),
      ...(terms.task === undefined ? {} : { task: terms.task }),
      ...(terms.entitlement === undefined ? {} : { entitlement: terms.entitlement }),
      ...(terms.reference === undefined ? {} : { reference: terms.reference }),
      ...(terms.uses === undefined ? {} : { uses: terms.uses }),
      ...reviewOf(setting),
    };
    const change: Change = { puts: grantPuts(grant), events: [issued(grant, actor)], reply: { grant: asJson(grant) } };
    return { ok: true, change: withAlerts(change, skippedApprovals(grant, setting, now)) };
  },
});

const NO_CONDITIONS = { audience: undefined, pep: undefined, source: undefined };

const conditionsOf = ({ conditions: asked = {} }: IssueGrant, { entitlement }: IssueSetting): Conditions => {
  const bound = typeof entitlement === 'object' ? boundConditions(entitlement, asked).conditions : asked;
  const { audience, pep, source } = { ...NO_CONDITIONS, ...bound };
  return { ...(audience === undefined ? {} : { audience }), ...(pep === undefined ? {} : { pep }), ...(source === undefined ? {} : { source }) };
};

const bindingOf = ({ x5t, jkt }: AskedBinding): Binding => ({ ...(x5t === undefined ? {} : { x5t }), ...(jkt === undefined ? {} : { jkt }) });

const reviewOf = ({ entitlement }: IssueSetting): Pick<Grant, 'review'> =>
  typeof entitlement === 'object' && entitlement.review !== undefined ? { review: { ...entitlement.review, alerts: entitlement.alerts } } : {};

const recertification = ({ entitlement, basis }: IssueSetting, now: TimeInterval): { readonly recertifyBy?: Instant } =>
  basis?.recertifyBy !== undefined ? { recertifyBy: basis.recertifyBy } : typeof entitlement === 'object' && entitlement.recertify !== undefined ? { recertifyBy: plus(now.earliest, entitlement.recertify.everyMs) } : {};

const asJson = (value: object): JsonObject => value as unknown as JsonObject;

const firstRecertification = ({ id, workload, expiresAt, owners, issuedAt }: Grant, dueAt: Instant, entitlement: string): Recertification => ({
  version: 1, grant: id, workload, entitlement, expiresAt, owner: owners[owners.length - 1] ?? '', since: issuedAt, dueAt, everyMs: Math.max(1, dueAt - issuedAt),
});

/** A new grant's records. */
export const grantPuts = (grant: Grant): Change['puts'] => [
  { key: grantRef(grant.id), value: asJson(grant), index: { owner: grant.workload, end: grant.expiresAt }, refs: grantRefs(grant) },
  { key: holderRef(grant.workload), value: { version: 1, workload: grant.workload } },
  ...(grant.recertifyBy === undefined || grant.entitlement === undefined ? [] : [{ key: recertificationRef(grant.id), value: asJson(firstRecertification(grant, grant.recertifyBy, grant.entitlement)) }]),
  // The time index of a task's grants, so that they can be listed without reading all of them.
  ...(grant.task === undefined ? [] : [{ key: { kind: 'task-grant', id: grant.id }, value: { version: 1, grant: grant.id }, index: { owner: `task:${grant.task}`, end: grant.expiresAt } }]),
];

const issued = (grant: Grant, actor: Actor) => ({
  type: 'grant.issued' as const,
  about: [grantRef(grant.id), ...(grant.task === undefined ? [] : [taskRef(grant.task)])],
  ending: false,
  data: { grant: asJson(grant), by: actor.id, direct: grant.direct },
});
