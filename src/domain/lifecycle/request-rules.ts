/**
 * Commands of access requests. A request is judged by the same rule as an issue before it is taken, and by it again when its last approval
 * commits the grant; what an approval is bound to is looked at each time. The grant's root is the request's position, so that whatever ended
 * since it was asked ends it too.
 */
import { withAlerts } from '../alert.ts';
import { endingRef, grantRef, type RecordRef } from '../grant-refs.ts';
import { plus, type Instant, type TimeInterval } from '../instant.ts';
import type { JsonObject } from '../json.ts';
import { coveredBy, invalid, refuse, type Actor, type Change, type Fault, type Loaded, type LoadedRecord, type Refusal, type Rule } from './change.ts';
import { personRef, registrationRefs } from './directory.ts';
import { actorNames, approverFault, currentNames, ownersOf, requesterFault, stillCounts, type EligibilitySetting } from './eligibility.ts';
import { faultsOf, textFault } from './fields.ts';
import type { IssueGrant } from './grant-terms.ts';
import type { Basis } from './issue-grant.ts';
import { askerRef, isDecided, readRequest, waitsAlert, requestRef, requestSelectors, type AccessRequest } from './request.ts';

export interface RequestSetting extends EligibilitySetting {
  readonly realm: string;
  /** SHA-256 of the entitlement's text as the active bundle has it. */
  readonly entitlementDigest: string;
  readonly bundleRevision: string;
  /** The rule that issues the grant. */
  readonly issue: (id: string, terms: IssueGrant, basis: Basis) => Rule;
  /** Approvals that it takes: the most that the configuration's floor, the entitlement and the policy ask for. */
  readonly needed: number;
  /** The longest that the policy allows. */
  readonly maxTtlMs: number;
  readonly maxPending: number;
}

const DECIDE_WITHIN_MS = 24 * 3_600_000;
interface Open {
  readonly id: string;
  readonly until: number;
}

const openOf = (loaded: Loaded, asker: string, now: TimeInterval): readonly Open[] => {
  const open = loaded.record(askerRef(asker))?.value['open'];
  return Array.isArray(open) ? (open as readonly unknown[] as readonly Open[]).filter(({ until }) => now.latest < until) : [];
};

const asJson = (value: object): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;

const askerPut = (asker: string, open: readonly Open[]) => ({ key: askerRef(asker), value: asJson({ version: 1, open }) });

const told = (request: AccessRequest, by: string, extra: JsonObject = {}): JsonObject => ({ request: asJson(request), by, ...extra });

/** Rules that are made of others see what these need, and their change is one with theirs. */
const joined = (own: Change, issued: Change): Change => ({
  ...own,
  puts: [...own.puts, ...issued.puts],
  events: [...own.events, ...issued.events],
  reply: { ...own.reply, ...issued.reply },
  ...(own.before === undefined && issued.before === undefined ? {} : { before: Math.min(own.before ?? Infinity, issued.before ?? Infinity) as Instant }),
});

export interface CreateRequest {
  readonly id: string;
  readonly grant: string;
  readonly terms: IssueGrant;
  readonly digest: string;
  readonly extends?: string | undefined;
}

export const createRequest = (command: CreateRequest, actor: Actor, setting: RequestSetting): Rule => {
  const { id, terms, digest } = command;
  const { entitlement, needed } = setting;
  const kind = actor.kind === 'workload' ? 'workload' : 'person';
  const selectors = actor.kind === 'workload' ? [] : [{ kind: 'owner', value: actor.id } as const];
  const inner = setting.issue(command.grant, terms, { request: id, requester: actor.id, approvals: [], maxTtlMs: setting.maxTtlMs, selectors });
  return {
    ...inner,
    needs: (loaded) => [requestRef(id), askerRef(actor.id), personRef(actor.id), personRef(terms.owner), ...registrationRefs(loaded, terms.workload), ...inner.needs(loaded)],
    judge: (loaded, now) => {
      const barred = requesterFault(loaded, actor, terms.workload, setting);
      if (barred !== undefined) return refuse('not-permitted', barred);
      if (loaded.record(requestRef(id)) !== undefined) return refuse('state', 'a request with this id was there before; ids are never used again');
      const fault = ownerFault(loaded, actor, terms, setting);
      if (fault !== undefined) return invalid([fault]);
      // As if it were approved now; what is wrong with it is told to who asks, not to who approves.
      const judged = inner.judge(loaded, now);
      if (!judged.ok || judged.change === undefined) return judged;
      const open = openOf(loaded, actor.id, now);
      if (open.length >= setting.maxPending) return refuse('limit', `${setting.maxPending} requests of yours wait for a decision already`);
      const decideBy = Math.min(plus(now.earliest, entitlement.approval?.withinMs ?? DECIDE_WITHIN_MS), terms.expiresAt ?? Infinity) as Instant;
      const request: AccessRequest = {
        version: 1, id, state: needed === 0 ? 'approved' : 'pending', requester: { kind, id: actor.id }, entitlement: entitlement.id, terms, digest,
        entitlementDigest: setting.entitlementDigest, bundleRevision: setting.bundleRevision, needed, maxTtlMs: setting.maxTtlMs,
        owners: ownersOf(loaded, terms.workload, entitlement), approvals: [], createdAt: now.earliest, decideBy,
        ...(command.extends === undefined ? {} : { extends: command.extends }),
        ...(needed === 0 ? { grant: command.grant, decidedBy: 'policy', decidedAt: now.earliest } : {}),
      };
      const change: Change = {
        puts: [{ key: requestRef(id), value: asJson(request) }, ...(needed === 0 ? [] : [askerPut(actor.id, [...open, { id, until: decideBy }])])],
        events: [{ type: 'request.created', about: [requestRef(id), ...(command.extends === undefined ? [] : [grantRef(command.extends)])], ending: false, data: told(request, actor.id) }],
        ...(judged.change.before === undefined ? {} : { before: judged.change.before }),
        reply: { request: asJson(request) },
      };
      return { ok: true, change: needed === 0 ? joined(change, judged.change) : withAlerts(change, [waitsAlert(request, entitlement.approval?.by ?? [])]) };
    },
  };
};

/** Only who answers for the workload or the entitlement, or asks, can be the owner; and not one who is gone. */
const ownerFault = (loaded: Loaded, actor: Actor, { owner, workload }: IssueGrant, { entitlement, anybody }: RequestSetting): Fault | undefined => {
  const gone = loaded.record(personRef(owner))?.value['active'];
  if (gone === false) return { path: '/owner', message: 'has left' };
  const fits = anybody || ownersOf(loaded, workload, entitlement).includes(owner) || (actor.kind === 'operator' && actorNames(actor).includes(owner));
  return fits ? undefined : { path: '/owner', message: 'must answer for the workload or the entitlement, or be who asks' };
};

interface Standing {
  readonly record: LoadedRecord;
  readonly request: AccessRequest;
}

/** The request, if it still waits for a decision. */
const waiting = (loaded: Loaded, id: string, now: TimeInterval, realm: string): Standing | { readonly ok: false; readonly refusal: Refusal } => {
  const record = loaded.record(requestRef(id));
  if (record === undefined) return refuse('not-found', 'there is no such request');
  const request = readRequest(record.value);
  if (request === undefined) return refuse('unavailable', 'the record of the request could not be understood');
  if (isDecided(request)) return refuse('state', `the request is ${request.state} already; that is final`);
  if (!(now.latest < request.decideBy)) return refuse('state', 'the request has expired; ask again');
  const covered = coveredBy(loaded, requestSelectors(request, realm), record.created.sequence);
  if (covered?.how === 'revoked') return refuse('state', `the request is cancelled: the ${covered.selector.kind} ${covered.selector.value} was revoked after it was asked; ask again`);
  return { record, request };
};

/** What judging a decision on the request needs; more of it once the request is read. */
const decisionNeeds = (loaded: Loaded, id: string, actor: Actor, realm: string): readonly RecordRef[] => {
  const request = readRequest(loaded.record(requestRef(id))?.value);
  return [
    requestRef(id), personRef(actor.id),
    ...(request === undefined ? [] : [
      askerRef(request.requester.id), ...requestSelectors(request, realm).map(endingRef), ...request.approvals.map(({ approver }) => personRef(approver)),
      ...registrationRefs(loaded, request.terms.workload), ...registrationRefs(loaded, request.requester.id),
    ]),
  ];
};

export interface ApproveRequest {
  readonly id: string;
  readonly approval: string;
  readonly grant: string;
  /** As the approver saw it. */
  readonly digest: string;
  /** Of the request: its grants are read. */
  readonly workload: string;
}

export const approveRequest = (command: ApproveRequest, actor: Actor, setting: RequestSetting): Rule => {
  const basisOf = (loaded: Loaded, { record, request }: Standing, now?: TimeInterval): { readonly counted: AccessRequest['approvals']; readonly basis: Basis } => {
    const mine = { id: command.approval, approver: actor.id, names: [...currentNames(loaded, actor)], at: (now?.earliest ?? 0) as Instant, sequence: record.modified.sequence };
    const counted = [...request.approvals.filter((approval) => stillCounts(loaded, request, approval, setting)), mine];
    const basis: Basis = {
      request: request.id, requester: request.requester.id, root: record.created.sequence, maxTtlMs: Math.min(request.maxTtlMs, setting.maxTtlMs), selectors: requestSelectors(request, setting.realm),
      approvals: counted.map(({ id, approver, sequence }) => ({ id, approver, sequence })),
    };
    return { counted, basis };
  };
  const standing = (loaded: Loaded): Standing | undefined => {
    const record = loaded.record(requestRef(command.id));
    const request = readRequest(record?.value);
    return record === undefined || request === undefined ? undefined : { record, request };
  };
  return {
    ends: false,
    grantsOf: command.workload,
    needs: (loaded) => {
      const at = standing(loaded);
      const inner = at === undefined ? undefined : setting.issue(command.grant, at.request.terms, basisOf(loaded, at).basis);
      return [...decisionNeeds(loaded, command.id, actor, setting.realm), ...(inner?.needs(loaded) ?? [])];
    },
    judge: (loaded, now) => {
      const at = waiting(loaded, command.id, now, setting.realm);
      if ('ok' in at) return at;
      const { request } = at;
      const barred = approverFault(loaded, actor, request, setting);
      if (barred !== undefined) return refuse('not-permitted', barred);
      if (request.digest !== command.digest) return invalid([{ path: '/digest', message: 'is not that of this request: look at it again' }]);
      if (request.entitlementDigest !== setting.entitlementDigest) return refuse('state', 'the entitlement has changed since this was asked; it must be asked again');
      if (request.terms.workload !== command.workload) return refuse('unavailable', 'the record of the request could not be understood');
      const { counted, basis } = basisOf(loaded, at, now);
      const needed = Math.max(request.needed, setting.needed);
      const complete = counted.length >= needed;
      const decided: AccessRequest = {
        ...request, needed, approvals: counted,
        ...(complete ? { state: 'approved', grant: command.grant, decidedBy: actor.id, decidedAt: now.earliest } : {}),
      };
      const open = openOf(loaded, request.requester.id, now).filter(({ id }) => id !== request.id);
      const change: Change = {
        puts: [{ key: requestRef(request.id), value: asJson(decided) }, ...(complete ? [askerPut(request.requester.id, open)] : [])],
        events: [{ type: 'request.approved', about: [requestRef(request.id)], ending: false, data: told(decided, actor.id, { complete }) }],
        before: request.decideBy,
        reply: { request: asJson(decided) },
      };
      const inner = setting.issue(command.grant, request.terms, basis);
      const judged = inner.judge(loaded, now);
      if (!judged.ok || judged.change === undefined) return judged;
      return { ok: true, change: complete ? joined(change, judged.change) : change };
    },
  };
};

const end = (id: string, reason: string | undefined, actor: Actor, realm: string, into: 'denied' | 'cancelled', may: (request: AccessRequest) => string | undefined): Rule => ({
  ends: true,
  needs: (loaded) => decisionNeeds(loaded, id, actor, realm),
  judge: (loaded, now) => {
    const at = waiting(loaded, id, now, realm);
    if ('ok' in at) return at;
    const { request } = at;
    const barred = may(request);
    // Of another's request a workload learns nothing.
    if (barred !== undefined) return actor.kind === 'workload' ? refuse('not-found', 'there is no such request') : refuse('not-permitted', barred);
    const faults = faultsOf({ '/reason': reason === undefined ? undefined : textFault(reason) });
    if (faults.length > 0) return invalid(faults);
    const ended: AccessRequest = { ...request, state: into, decidedBy: actor.id, decidedAt: now.earliest, ...(reason === undefined ? {} : { reason }) };
    const change: Change = {
      puts: [{ key: requestRef(id), value: asJson(ended) }, askerPut(request.requester.id, openOf(loaded, request.requester.id, now).filter((open) => open.id !== id))],
      events: [{ type: `request.${into}`, about: [requestRef(id)], ending: false, data: told(ended, actor.id) }],
      reply: { request: asJson(ended) },
    };
    return { ok: true, change };
  },
});

export const denyRequest = (id: string, reason: string, actor: Actor, realm: string): Rule =>
  end(id, reason, actor, realm, 'denied', () => (actor.kind === 'operator' ? undefined : 'only people deny'));

export const cancelRequest = (id: string, reason: string | undefined, actor: Actor, realm: string): Rule =>
  end(id, reason, actor, realm, 'cancelled', ({ requester }) => (requester.id === actor.id ? undefined : 'only who asked may cancel it'));

/** Writes down that nobody decided in time, or that a revocation covers it; nothing could have come of it anyway. */
export const settleRequest = (id: string, actor: Actor, realm: string): Rule => ({
  ends: true,
  needs: (loaded) => decisionNeeds(loaded, id, actor, realm),
  judge: (loaded, now) => {
    const record = loaded.record(requestRef(id));
    const request = readRequest(record?.value);
    if (record === undefined || request === undefined || isDecided(request)) return refuse('state', 'there is nothing to settle');
    const late = !(now.latest < request.decideBy);
    if (!late && coveredBy(loaded, requestSelectors(request, realm), record.created.sequence)?.how !== 'revoked') return refuse('state', 'the request still waits');
    const state = late ? 'expired' : 'cancelled';
    const ended: AccessRequest = { ...request, state, decidedBy: actor.id, decidedAt: now.latest };
    return { ok: true, change: { puts: [{ key: requestRef(id), value: asJson(ended) }], events: [{ type: `request.${state}`, about: [requestRef(id)], ending: false, data: told(ended, actor.id) }], reply: { request: asJson(ended) } } };
  },
});

