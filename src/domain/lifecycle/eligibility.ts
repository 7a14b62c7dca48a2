/**
 * Who may ask, and who may approve. An approver is a person, named by the entitlement, and far from what is approved: not who asked, not an owner of
 * the workload or the entitlement, now or earlier, nor in a team that is or was one. An account that is nobody's person approves nothing.
 */
import type { Actor, Loaded } from './change.ts';
import { everyOwner, isGone, personRef, readPerson, registrationOf } from './directory.ts';
import type { Entitlement } from './entitlement.ts';
import { isPerson } from './fields.ts';
import type { AccessRequest } from './request.ts';
import { workloadMatchesAny } from './workload-pattern.ts';

export const actorNames = (actor: Actor): readonly string[] => [...new Set([actor.id, ...(actor.names ?? [])])];

/** Every name under which this person could be an owner: also the teams it has left. */
const everyName = (loaded: Loaded, actor: Actor): ReadonlySet<string> => {
  const person = readPerson(loaded.record(personRef(actor.id))?.value);
  return new Set([...actorNames(actor), ...(person?.teams ?? []), ...(person?.formerTeams ?? [])]);
};

/** As the credential and the directory know the person now. */
export const currentNames = (loaded: Loaded, actor: Actor): ReadonlySet<string> => new Set([...actorNames(actor), ...(readPerson(loaded.record(personRef(actor.id))?.value)?.teams ?? [])]);

export interface EligibilitySetting {
  readonly entitlement: Entitlement;
  /** Workloads must be registered, and so must people be known. */
  readonly strict: boolean;
  /** Development: the only operator there is asks for and approves anything. */
  readonly anybody: boolean;
}

/** Why this may not be asked by them, or `undefined`. */
export const requesterFault = (loaded: Loaded, actor: Actor, workload: string, { entitlement, anybody, strict }: EligibilitySetting): string | undefined => {
  const rule = entitlement.request;
  const registration = registrationOf(loaded, workload);
  if (registration === 'unreadable' || (typeof registration === 'object' && !registration.active)) return 'the workload is no more';
  if (registration === 'absent' && strict) return 'the workload is not registered, so nobody is known to answer for it';
  if (rule === undefined) return 'nobody may ask for this entitlement; it is issued directly';
  if (actor.kind === 'workload') {
    if (rule.workloads === undefined) return 'this entitlement is asked for by people, not by workloads';
    if (actor.id !== workload) return 'a workload asks for itself';
    return workloadMatchesAny(rule.workloads, workload) ? undefined : 'this workload may not ask for this entitlement';
  }
  if (rule.persons === undefined) return 'this entitlement is asked for by workloads themselves, not by people';
  if (!workloadMatchesAny(rule.for, workload)) return 'nobody may ask for this entitlement for that workload';
  if (anybody) return undefined;
  if (!isPerson(actor.id)) return 'this account is not configured as a person';
  if (isGone(loaded, actor.id)) return 'this person has left';
  const names = currentNames(loaded, actor);
  return rule.persons.some((name) => names.has(name)) ? undefined : 'you may not ask for this entitlement';
};

/** Persons and teams that answer for workload or entitlement. */
export const ownersOf = (loaded: Loaded, workload: string, { owner, fallbackOwner }: Entitlement): readonly string[] => {
  const registration = registrationOf(loaded, workload);
  return [...new Set([owner, fallbackOwner, ...(typeof registration === 'object' ? everyOwner(registration) : [])])];
};

/** Everybody who is too close to the request, now or when it was asked. */
const behind = (loaded: Loaded, { owners, terms, requester }: AccessRequest, entitlement: Entitlement): readonly string[] =>
  [...owners, ...ownersOf(loaded, terms.workload, entitlement), ...(requester.kind === 'workload' ? ownersOf(loaded, requester.id, entitlement) : []), terms.owner];

/** Why this person may not approve the request, or `undefined`. */
export const approverFault = (loaded: Loaded, actor: Actor, request: AccessRequest, setting: EligibilitySetting): string | undefined => {
  const { entitlement, anybody } = setting;
  if (actor.kind !== 'operator') return 'only people approve';
  if (request.approvals.some(({ approver }) => approver === actor.id)) return 'you have approved it already; another person must';
  if (anybody) return undefined;
  if (!isPerson(actor.id)) return 'this account is not configured as a person, so it is nobody\'s approver';
  if (isGone(loaded, actor.id)) return 'this person has left';
  const near = everyName(loaded, actor);
  if (near.has(request.requester.id)) return 'you asked for it yourself; another person must approve';
  const own = behind(loaded, request, entitlement).find((owner) => near.has(owner));
  if (own !== undefined) return `${own} answers for the workload or the entitlement, so you may not approve`;
  const names = currentNames(loaded, actor);
  return (entitlement.approval?.by ?? []).some((name) => names.has(name)) ? undefined : 'the entitlement names others as approvers';
};

/** Does an earlier approval still count? Its person is still there, no owner meanwhile, and, as far as the directory knows, still what made it eligible. */
export const stillCounts = (loaded: Loaded, request: AccessRequest, { approver, names }: AccessRequest['approvals'][number], { entitlement, anybody }: EligibilitySetting): boolean => {
  if (anybody) return true;
  const by = entitlement.approval?.by ?? [];
  const person = readPerson(loaded.record(personRef(approver))?.value);
  if (loaded.record(personRef(approver)) !== undefined && person?.active !== true) return false;
  const near = new Set([approver, ...names, ...(person?.teams ?? []), ...(person?.formerTeams ?? [])]);
  if (behind(loaded, request, entitlement).some((owner) => near.has(owner))) return false;
  // Teams that the directory says the person has left count no more.
  return by.some((name) => names.includes(name) && person?.formerTeams.includes(name) !== true);
};
