/**
 * Delegation: a grant cut out of a grant, by the workload that holds it, for another. Narrower, shorter, of bounded depth, never in a circle, never to
 * a workload whose owner approved what it is cut out of. It carries its whole chain, unchangeable, and rests on all of it.
 */
import type { Grant, GrantCore } from '../grant.ts';
import { endingRef, grantRef, grantSelectors, taskRef, usesRef, type RecordRef } from '../grant-refs.ts';
import { isDuration, plus, toRfc3339, type Instant, type TimeInterval } from '../instant.ts';
import type { JsonObject } from '../json.ts';
import { recertificationDeadline, recertificationRef } from '../recertification.ts';
import { readGrant, readTask } from '../records.ts';
import { reasonText } from '../reasons.ts';
import { scopesWithin, type Scope } from '../scope.ts';
import { workloadSelectors, type Selector } from '../selector.ts';
import { taskFault } from '../task.ts';
import { coveredBy, invalid, refuse, type Actor, type Loaded, type Rule } from './change.ts';
import { everyOwner, personRef, readPerson, registrationOf, registrationRefs } from './directory.ts';
import type { Entitlement } from './entitlement.ts';
import { faultsOf, textFault } from './fields.ts';
import { scopeFaults, workloadFault } from './grant-terms.ts';
import { grantPuts, holderRef } from './issue-grant.ts';
import { ownerFault, ownerRefs, type KnownOwners } from './known-owner.ts';
import { readRequest, requestRef } from './request.ts';

export interface DelegateGrant {
  readonly id: string;
  readonly from: string;
  readonly workload: string;
  /** Absent: all of them. */
  readonly scopes?: readonly Scope[] | undefined;
  readonly ttlMs: number;
  readonly justification: string;
}

export interface DelegationSetting {
  readonly realm: string;
  readonly epoch: string;
  readonly bundleRevision: string;
  readonly entitlementOf: (id: string) => Entitlement | undefined;
  readonly issuersOf: (workload: string) => readonly string[];
  readonly maxLiveGrants: number;
  readonly knownOwners?: KnownOwners;
}

const coreOf = ({ id, workload, scopes, conditions, notBefore, expiresAt, model, task, entitlement, owners, approvals, bundleRevision, recertifyBy, lineage }: Grant): GrantCore => ({
  id, workload, scopes, conditions, notBefore, expiresAt, model, owners, approvals, bundleRevision,
  ...(task === undefined ? {} : { task }), ...(entitlement === undefined ? {} : { entitlement }), ...(recertifyBy === undefined ? {} : { recertifyBy }), ...(lineage === undefined ? {} : { lineage }),
});

const linksOf = (grant: Grant): readonly GrantCore[] => [grant, ...grant.chain];
/** Grants behind it that were asked for themselves: its ancestors and what they follow. */
const earlierOf = (grant: Grant): readonly RecordRef[] => linksOf(grant).flatMap(({ id, lineage = [] }) => [id, ...lineage]).map(grantRef);
const requestsOf = (loaded: Loaded, grant: Grant): readonly RecordRef[] =>
  earlierOf(grant).flatMap((ref) => {
    const request = readGrant(loaded.record(ref)?.value ?? {})?.request;
    return request === undefined ? [] : [requestRef(request)];
  });
const approversOf = (grant: Grant): readonly string[] => linksOf(grant).flatMap(({ approvals }) => approvals.map(({ approver }) => approver));

export const delegateGrant = (command: DelegateGrant, actor: Actor, setting: DelegationSetting): Rule => {
  const parentOf = (loaded: Loaded): Grant | undefined => {
    const record = loaded.record(grantRef(command.from));
    return record === undefined ? undefined : readGrant(record.value);
  };
  const selectors = (grant: Grant): readonly Selector[] => [
    { kind: 'realm', value: setting.realm },
    ...linksOf(grant).flatMap((link) => [...grantSelectors(link), ...workloadSelectors(link.workload)]),
    ...workloadSelectors(command.workload), ...[command.workload, grant.workload].flatMap(setting.issuersOf).map((value): Selector => ({ kind: 'issuer', value })),
    { kind: 'bundle-revision', value: setting.bundleRevision },
  ];
  const tasksOf = (grant: Grant): readonly string[] => [...new Set(linksOf(grant).flatMap(({ task }) => task ?? []))];
  const holder = holderRef(command.workload);

  const judgeTerms = (loaded: Loaded, parent: Grant, now: TimeInterval): ReturnType<typeof refuse> | undefined => {
    const entitlement = parent.entitlement === undefined ? undefined : setting.entitlementOf(parent.entitlement);
    if (parent.model === 'break-glass') return refuse('not-permitted', 'emergency access is never handed on');
    if (entitlement === undefined || !(parent.chain.length < (entitlement.delegation?.depth ?? 0))) return refuse('not-permitted', 'the entitlement lets this grant be handed on no further');
    if (parent.binding !== undefined) return refuse('not-permitted', 'the grant is bound to a key, which another workload has not');
    if (parent.uses !== undefined) return refuse('not-permitted', 'the uses of this grant are counted, so it is not handed on');
    const registration = registrationOf(loaded, command.workload);
    if (typeof registration !== 'object' || !registration.active) return refuse('not-permitted', 'that workload is not registered, so nobody is known to answer for it');
    const names = new Set([registration.id, ...registration.aliases]);
    if (linksOf(parent).some(({ workload }) => names.has(workload))) return refuse('not-permitted', 'that workload is in the chain already');
    const answers = ownerFault(loaded, registration.owners.at(-1) ?? '', setting.knownOwners);
    if (answers !== undefined) return refuse('not-permitted', `who answers for that workload ${answers}`);
    const owners = new Set(everyOwner(registration));
    // Teams may be known from the directory, or only from the credential with which somebody approved.
    const told = requestsOf(loaded, parent).flatMap((ref) => readRequest(loaded.record(ref)?.value)?.approvals ?? []);
    const near = approversOf(parent).find((approver) => {
      const person = readPerson(loaded.record(personRef(approver))?.value);
      return [approver, ...told.flatMap((approval) => (approval.approver === approver ? approval.names : [])), ...(person?.teams ?? []), ...(person?.formerTeams ?? [])].some((name) => owners.has(name));
    });
    if (near !== undefined) return refuse('not-permitted', `${near}, who approved, answers for that workload`);
    const left = parent.expiresAt - now.latest;
    const faults = [
      ...faultsOf({
        '/ttlMs': isDuration(command.ttlMs, Math.max(1, left)) ? undefined : `must be a whole number of milliseconds, and end no later than ${toRfc3339(parent.expiresAt)}`,
        '/justification': textFault(command.justification),
      }),
      ...(command.scopes ?? []).flatMap((scope, index) => scopeFaults(scope, `/scopes/${index}`)),
      ...(command.scopes === undefined || scopesWithin(command.scopes, parent.scopes) ? [] : [{ path: '/scopes', message: 'must lie within those of the grant' }]),
    ];
    return faults.length > 0 ? invalid(faults) : undefined;
  };

  return {
    ends: false,
    grantsOf: command.workload,
    needs: (loaded) => {
      const parent = parentOf(loaded);
      const registration = registrationOf(loaded, command.workload);
      return [
        grantRef(command.from), grantRef(command.id), usesRef(command.id), holder, ...registrationRefs(loaded, command.workload), ...(typeof registration === 'object' ? ownerRefs(registration.owners.at(-1) ?? '') : []),
        ...(parent === undefined ? [] : [...selectors(parent).map(endingRef), ...tasksOf(parent).map(taskRef), ...linksOf(parent).map(({ id }) => recertificationRef(id)), ...earlierOf(parent), ...requestsOf(loaded, parent), ...approversOf(parent).map(personRef)]),
      ];
    },
    judge: (loaded, now) => {
      const record = loaded.record(grantRef(command.from));
      const parent = parentOf(loaded);
      if (record === undefined || parent === undefined || parent.workload !== actor.id) return refuse('not-found', 'there is no such grant of yours');
      const workload = workloadFault(command.workload);
      if (workload !== undefined) return invalid([{ path: '/workload', message: workload }]);
      const barred = judgeTerms(loaded, parent, now);
      if (barred !== undefined) return barred;
      const root = parent.root ?? record.created.sequence;
      for (const link of linksOf(parent)) {
        if (loaded.record(grantRef(link.id)) === undefined || !(link.notBefore <= now.earliest && now.latest < link.expiresAt)) return refuse('state', 'the grant, or one it was cut out of, does not hold now');
        const due = recertificationDeadline(link, loaded.record(recertificationRef(link.id))?.value);
        if (due !== undefined && !(now.latest < due)) return refuse('state', reasonText('grant.recertification'));
      }
      const covered = coveredBy(loaded, selectors(parent), root);
      if (covered !== undefined) return refuse('suspended', `the ${covered.selector.kind} ${covered.selector.value} is ${covered.how}`);
      for (const id of tasksOf(parent)) {
        const task = loaded.record(taskRef(id));
        const known = task === undefined ? undefined : readTask(task.value);
        const fault = known === undefined ? 'task.missing' : taskFault(known, now);
        if (fault !== undefined) return refuse('state', reasonText(fault));
      }
      if (loaded.truncated || !(loaded.grants.length < setting.maxLiveGrants)) return refuse('limit', 'that workload has too many live grants already');
      if (loaded.record(grantRef(command.id)) !== undefined) return refuse('state', 'a grant with this id was there before; ids are never used again');
      const registration = registrationOf(loaded, command.workload);
      const grant: Grant = {
        version: 1, id: command.id, realm: setting.realm, epoch: setting.epoch, workload: command.workload, scopes: command.scopes ?? parent.scopes, conditions: parent.conditions,
        notBefore: now.earliest, expiresAt: Math.min(plus(now.earliest, command.ttlMs), parent.expiresAt) as Instant, model: parent.model,
        owners: typeof registration === 'object' ? registration.owners.slice(-1) : [], approvals: [], bundleRevision: setting.bundleRevision, root,
        issuedBy: actor.id, issuedAt: now.earliest, direct: false, justification: command.justification, tier: parent.tier, chain: [coreOf(parent), ...parent.chain],
        ...(parent.task === undefined ? {} : { task: parent.task }), ...(parent.entitlement === undefined ? {} : { entitlement: parent.entitlement }), ...(parent.reference === undefined ? {} : { reference: parent.reference }),
      };
      const value = grant as unknown as JsonObject;
      return {
        ok: true,
        change: {
          puts: grantPuts(grant),
          events: [{ type: 'grant.delegated', about: [grantRef(grant.id), grantRef(command.from)], ending: false, data: { grant: value, from: command.from, by: actor.id } }],
          before: parent.expiresAt,
          reply: { grant: value },
        },
      };
    },
  };
};
