/**
 * Confirming that a grant is still needed, and the one short grace. Its owner confirms, or the owner of its entitlement; another person, far from
 * the grant, may give grace once until the next confirmation. Neither moves the grant's end, and what was overdue for longer than the grace
 * stays so: it is asked for anew.
 */
import type { Grant } from '../grant.ts';
import { endingRef, grantRef, grantSelectors } from '../grant-refs.ts';
import { plus, type Instant, type TimeInterval } from '../instant.ts';
import type { JsonObject } from '../json.ts';
import { readGrant } from '../records.ts';
import { reasonText } from '../reasons.ts';
import { readRecertification, recertificationEnd, recertificationRef, type Recertification } from '../recertification.ts';
import { workloadSelectors, type Selector } from '../selector.ts';
import { coveredBy, invalid, refuse, type Actor, type Change, type Loaded, type Refusal, type Rule } from './change.ts';
import { isGone, personRef, readPerson, registrationRefs } from './directory.ts';
import { actorNames, ownersOf } from './eligibility.ts';
import type { Entitlement } from './entitlement.ts';
import { isPerson, textFault } from './fields.ts';
import { GRACE_GIVEN_MAX, graceGiven, graceGivenPut, graceGivenRef } from './grace-given.ts';

export interface RecertifySetting {
  readonly realm: string;
  readonly entitlementOf: (id: string) => Entitlement | undefined;
  /** Development: the only operator there is confirms and gives grace. */
  readonly anybody: boolean;
}

interface Held {
  readonly grant: Grant;
  readonly held: Recertification;
  readonly entitlement: Entitlement;
}

type Judged = { readonly recertification: Recertification; readonly before: Instant; readonly puts?: Change['puts'] } | { readonly ok: false; readonly refusal: Refusal };

const selectorsOf = (grant: Grant, realm: string): readonly Selector[] => [{ kind: 'realm', value: realm }, ...workloadSelectors(grant.workload), ...grantSelectors(grant)];
const grantIn = (loaded: Loaded, id: string): Grant | undefined => readGrant(loaded.record(grantRef(id))?.value ?? {});

/** Of whom gives their word: as long as it is stopped, it is worth nothing. */
const theWord = ({ id }: Actor): Selector => ({ kind: 'approver', value: id });

const asJson = (value: object): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;

const person = (loaded: Loaded, actor: Actor): string | undefined => {
  if (actor.kind !== 'operator' || !isPerson(actor.id)) return "this account is not configured as a person, so it is nobody's owner and nobody else's word";
  return isGone(loaded, actor.id) ? 'this person has left' : undefined;
};

/** What both commands judge, before their own matter. */
const onGrant = (id: string, note: string, actor: Actor, setting: RecertifySetting, type: 'grant.recertified' | 'grant.graced', judge: (held: Held, loaded: Loaded, now: TimeInterval) => Judged): Rule => ({
  ends: false,
  needs: (loaded) => {
    const grant = grantIn(loaded, id);
    return [grantRef(id), recertificationRef(id), personRef(actor.id), graceGivenRef(actor.id), endingRef(theWord(actor)), ...(grant === undefined ? [] : [...selectorsOf(grant, setting.realm).map(endingRef), ...registrationRefs(loaded, grant.workload)])];
  },
  judge: (loaded, now) => {
    const record = loaded.record(grantRef(id));
    const grant = grantIn(loaded, id);
    const held = readRecertification(loaded.record(recertificationRef(id))?.value);
    if (record === undefined || grant === undefined || held === undefined) return refuse('not-found', 'there is no such grant that an owner has to confirm');
    const fault = textFault(note);
    if (fault !== undefined) return invalid([{ path: '/note', message: fault }]);
    const entitlement = setting.entitlementOf(held.entitlement);
    if (entitlement === undefined) return refuse('state', reasonText('grant.entitlement'));
    const barred = setting.anybody ? undefined : person(loaded, actor);
    if (barred !== undefined) return refuse('not-permitted', barred);
    if (!(now.latest < grant.expiresAt)) return refuse('state', 'the grant has ended');
    const covered = coveredBy(loaded, selectorsOf(grant, setting.realm), grant.root ?? record.created.sequence) ?? coveredBy(loaded, [theWord(actor)], Number.MAX_SAFE_INTEGER);
    if (covered !== undefined) return refuse('suspended', `the ${covered.selector.kind} ${covered.selector.value} is ${covered.how}`);
    const judged = judge({ grant, held, entitlement }, loaded, now);
    if ('ok' in judged) return judged;
    const { recertification, before, puts = [] } = judged;
    return {
      ok: true,
      change: {
        puts: [{ key: recertificationRef(id), value: asJson(recertification) }, ...puts], before,
        events: [{ type, about: [grantRef(id)], ending: false, data: { recertification: asJson(recertification), by: actor.id } }],
        reply: { recertification: asJson(recertification) },
      },
    };
  },
});

export const confirmGrant = (id: string, note: string, actor: Actor, setting: RecertifySetting): Rule =>
  onGrant(id, note, actor, setting, 'grant.recertified', ({ held, entitlement }, loaded, now) => {
    const names = new Set([...actorNames(actor), ...(readPerson(loaded.record(personRef(actor.id))?.value)?.teams ?? [])]);
    const owners = [held.owner, entitlement.owner, entitlement.fallbackOwner];
    if (!setting.anybody && !owners.some((owner) => names.has(owner))) return refuse('not-permitted', `it is ${owners.join(' or ')} who confirms it`);
    const end = recertificationEnd(held);
    if (!(now.latest < end)) return refuse('state', `${reasonText('grant.recertification')}; ask for it anew`);
    const { grace: _grace, ...rest } = held;
    const everyMs = entitlement.recertify?.everyMs ?? held.everyMs;
    return { recertification: { ...rest, everyMs, since: now.earliest, dueAt: plus(now.earliest, everyMs), confirmed: { by: actor.id, at: now.earliest, note } }, before: end };
  });

export const graceGrant = (id: string, note: string, actor: Actor, setting: RecertifySetting): Rule =>
  onGrant(id, note, actor, setting, 'grant.graced', ({ grant, held, entitlement }, loaded, now) => {
    const known = readPerson(loaded.record(personRef(actor.id))?.value);
    const near = new Set([...actorNames(actor), ...(known?.teams ?? []), ...(known?.formerTeams ?? [])]);
    const behind = [...grant.owners, held.owner, ...(grant.requestedBy === undefined ? [] : [grant.requestedBy]), ...ownersOf(loaded, grant.workload, entitlement)];
    const own = setting.anybody ? undefined : behind.find((name) => near.has(name));
    if (own !== undefined) return refuse('not-permitted', `${own} answers for it or asked for it; grace is given by another person`);
    const graceMs = entitlement.recertify?.graceMs;
    if (graceMs === undefined) return refuse('not-permitted', 'the entitlement knows no grace');
    if (held.grace !== undefined) return refuse('state', 'grace was given already; its owner has to confirm it now');
    // Counted from when it falls due, whenever it is given.
    const until = plus(held.dueAt, graceMs);
    if (!(now.latest < until)) return refuse('state', `${reasonText('grant.recertification')}, also for grace; ask for it anew`);
    const given = graceGiven(loaded, actor.id);
    if (given === undefined) return refuse('unavailable', 'the record of the grace that you gave could not be understood');
    if (given.filter((one) => now.latest < one.until).length >= GRACE_GIVEN_MAX) return refuse('limit', `${GRACE_GIVEN_MAX} grants hold by your grace already`);
    return { recertification: { ...held, grace: { by: actor.id, at: now.earliest, until, note } }, before: until, puts: [graceGivenPut(actor.id, given, { grant: id, until }, now.latest)] };
  });
