/**
 * Revocations and suspensions: one record per selector, however much it covers. A revocation is final and may be repeated (the
 * latest counts). A suspension stands until another person than the one who placed it, or whom it concerns, lifts it.
 */
import { raise, withAlerts } from '../alert.ts';
import type { EndingRecord, Suspension } from '../ending.ts';
import { endingRef, grantRef, taskRef, type RecordRef } from '../grant-refs.ts';
import type { JsonObject } from '../json.ts';
import { readEnding, readGrant, readTask } from '../records.ts';
import { selectorKey, type Selector } from '../selector.ts';
import { invalid, loadedGrants, refuse, type Actor, type Change, type Loaded, type Rule, type Ruling } from './change.ts';
import { isPerson, textFault } from './fields.ts';
import { graceEndNeeds, graceEndPuts } from './grace-given.ts';

export const SUSPENSIONS_MAX = 16;

export const revocationRef = (id: string): RecordRef => ({ kind: 'revocation', id });
export const suspensionRef = (id: string): RecordRef => ({ kind: 'suspension', id });

/** The record of one revocation; when and where it happened is the record's `created` stamp. */
export interface RevocationRecord {
  readonly version: 1;
  readonly id: string;
  readonly selector: Selector;
  readonly reason: string;
  readonly placedBy: string;
  /** Enforced everywhere this long after it was committed, in milliseconds. */
  readonly settleMs: number;
  readonly notes: readonly string[];
}

export interface SuspensionRecord extends RevocationRecord {
  readonly lifted?: { readonly by: string; readonly at: number; readonly reason?: string };
}

export interface EndCommand {
  readonly id: string;
  readonly selector: Selector;
  readonly reason: string;
  readonly settleMs: number;
  /** What else the operator should know. */
  readonly notes?: readonly string[];
}

const UNREADABLE = refuse('unavailable', 'the record of this selector could not be understood; nothing was changed');

/** Whose record the selector names by id, if it is such a selector. */
const namedRef = ({ kind, value }: Selector): RecordRef | undefined => (kind === 'grant' ? grantRef(value) : kind === 'task' ? taskRef(value) : undefined);

const history = (command: EndCommand, own: RecordRef): readonly RecordRef[] => {
  const named = namedRef(command.selector);
  return [own, endingRef(command.selector), ...(named === undefined ? [] : [named])];
};

const GROUPS = new Set(['workload', 'workload-prefix', 'issuer', 'trust-domain', 'pep', 'realm']);

/** What the operator must know about the reach of this revocation. */
const reachNotes = (selector: Selector): readonly string[] => {
  if (GROUPS.has(selector.kind)) {
    return [
      'credentials issued up to now are covered; ones issued later are not',
      'an identity that a gateway asserts without any instant of issue is covered only through its grants: place a suspension to stop it',
    ];
  }
  return selector.kind === 'credential' || selector.kind === 'certificate' ? ['only this credential is covered; its workload may present another'] : [];
};

const standing = (loaded: Loaded, selector: Selector): EndingRecord | undefined => {
  const record = loaded.record(endingRef(selector));
  return record === undefined ? { version: 1, selector: selectorKey(selector), suspensions: [] } : readEnding(record.value);
};

const asJson = (record: EndingRecord | RevocationRecord | SuspensionRecord): JsonObject => record as unknown as JsonObject;

/** What an alert says of it. */
const told = ({ id, selector, reason, placedBy }: RevocationRecord): JsonObject => ({ id, kind: selector.kind, value: selector.value, reason, by: placedBy });

const place = (
  command: EndCommand, own: RecordRef, loaded: Loaded, build: (ending: EndingRecord) => Ruling,
): Ruling => {
  const fault = textFault(command.reason);
  if (fault !== undefined) return invalid([{ path: '/reason', message: fault }]);
  const named = namedRef(command.selector);
  // Ids are made by Curfew and never used again, so an unknown one is a typing error, and saying "revoked" would be a lie.
  if (named !== undefined && loaded.record(named) === undefined) return refuse('not-found', `there is no ${named.kind} with this id; nothing was changed`);
  if (loaded.record(own) !== undefined) return refuse('state', 'this id was there before; ids are never used again');
  const ending = standing(loaded, command.selector);
  return ending === undefined ? UNREADABLE : build(ending);
};

const placeNeeds = (command: EndCommand, own: RecordRef) => (loaded: Loaded): readonly RecordRef[] => [...history(command, own), ...graceEndNeeds(loaded, command.selector)];

/** The parts of a change that places a revocation, given also what `graceEndNeeds` names; `undefined` where the selector's record can't be understood. */
export const revocationParts = (command: EndCommand, loaded: Loaded, actor: Actor) => {
  const ending = standing(loaded, command.selector);
  if (ending === undefined) return undefined;
  const own = revocationRef(command.id);
  const { id, selector, reason, settleMs } = command;
  const record: RevocationRecord = { version: 1, id, selector, reason, placedBy: actor.id, settleMs, notes: [...(command.notes ?? []), ...reachNotes(selector)] };
  return {
    record,
    puts: [
      { key: endingRef(selector), value: asJson({ ...ending, revocation: id }), mark: true },
      { key: own, value: asJson(record) },
      ...graceEndPuts(loaded, selector),
    ],
    events: [{ type: 'revocation.placed' as const, about: history(command, own), ending: true, data: { revocation: asJson(record), by: actor.id } }],
  };
};

export const revoke = (command: EndCommand, actor: Actor): Rule => {
  const own = revocationRef(command.id);
  return {
    ends: true,
    needs: placeNeeds(command, own),
    judge: (loaded, now) => place(command, own, loaded, () => {
      const parts = revocationParts(command, loaded, actor);
      if (parts === undefined) return UNREADABLE;
      const { puts, events, record } = parts;
      const change: Change = { puts, events, reply: { revocation: asJson(record) } };
      return { ok: true, change: withAlerts(change, [raise('access.revoked', record.id, now.latest, told(record))]) };
    }),
  };
};

/** The parts of a change that places a suspension, given the same; `undefined` where it stands already or can't be placed. */
export const suspensionParts = (command: EndCommand, loaded: Loaded, actor: Actor) => {
  const own = suspensionRef(command.id);
  const ending = standing(loaded, command.selector);
  if (loaded.record(own) !== undefined || ending === undefined || ending.suspensions.length >= SUSPENSIONS_MAX) return undefined;
  const { id, selector, reason, settleMs } = command;
  const record: SuspensionRecord = { version: 1, id, selector, reason, placedBy: actor.id, settleMs, notes: command.notes ?? [] };
  const suspension: Suspension = { id, placedBy: actor.id, reason };
  return {
    id, record,
    puts: [
      { key: endingRef(selector), value: asJson({ ...ending, suspensions: [...ending.suspensions, suspension] }) },
      { key: own, value: asJson(record) },
      ...graceEndPuts(loaded, selector),
    ],
    event: { type: 'suspension.placed' as const, about: history(command, own), ending: true, data: { suspension: asJson(record), by: actor.id } },
  };
};

export const suspend = (command: EndCommand, actor: Actor): Rule => {
  const own = suspensionRef(command.id);
  return {
    ends: true,
    needs: placeNeeds(command, own),
    judge: (loaded, now) => place(command, own, loaded, (ending) => {
      const { selector } = command;
      if (selector.kind === 'credential' || selector.kind === 'certificate') return invalid([{ path: '/selector/kind', message: 'can not be suspended; revoke it' }]);
      if (ending.suspensions.length >= SUSPENSIONS_MAX) return refuse('limit', `${SUSPENSIONS_MAX} suspensions stand on this selector already`);
      const parts = suspensionParts(command, loaded, actor);
      if (parts === undefined) return UNREADABLE;
      const { puts, event, record } = parts;
      const change: Change = { puts, events: [event], reply: { suspension: asJson(record) } };
      return { ok: true, change: withAlerts(change, [raise('access.suspended', record.id, now.latest, told(record))]) };
    }),
  };
};

export interface LiftCommand {
  readonly id: string;
  readonly reason?: string | undefined;
  /** Persons and teams the operator is or belongs to, beside the actor's own id. */
  readonly persons: readonly string[];
  /** The workload of the suspension, if it is of this kind; its grants are read to learn who owns them. */
  readonly workload?: string | undefined;
  /** Development: the only operator there is may lift its own. */
  readonly allowSelfLift: boolean;
}

const readSuspension = (value: JsonObject | undefined): SuspensionRecord | undefined =>
  value !== undefined && value['version'] === 1 && typeof value['id'] === 'string' ? (value as unknown as SuspensionRecord) : undefined;

/** Persons whom the suspension concerns: who stands behind what it stops. */
const concerned = (loaded: Loaded, selector: Selector): readonly string[] => {
  const named = namedRef(selector);
  const record = named === undefined ? undefined : loaded.record(named);
  const grant = record?.key.kind === 'grant' ? readGrant(record.value) : undefined;
  const task = record?.key.kind === 'task' ? readTask(record.value) : undefined;
  return [
    ...(selector.kind === 'owner' || selector.kind === 'approver' ? [selector.value] : []),
    ...(grant === undefined ? [] : [...grant.owners, grant.issuedBy, ...(grant.requestedBy === undefined ? [] : [grant.requestedBy])]),
    ...(task === undefined ? [] : [task.owner, task.openedBy]),
    ...(selector.kind === 'workload' ? loadedGrants(loaded).flatMap(({ grant: { owners } }) => owners) : []),
  ];
};

export const lift = (command: LiftCommand, actor: Actor): Rule => {
  const own = suspensionRef(command.id);
  const suspensionOf = (loaded: Loaded): SuspensionRecord | undefined => readSuspension(loaded.record(own)?.value);
  return {
    ends: false,
    ...(command.workload === undefined ? {} : { grantsOf: command.workload }),
    needs: (loaded) => {
      const selector = suspensionOf(loaded)?.selector;
      if (selector === undefined) return [own];
      const named = namedRef(selector);
      return [own, endingRef(selector), ...(named === undefined ? [] : [named])];
    },
    judge: (loaded, now) => {
      const record = loaded.record(own);
      if (record === undefined) return refuse('not-found', 'there is no such suspension');
      const suspension = suspensionOf(loaded);
      const ending = suspension === undefined ? undefined : standing(loaded, suspension.selector);
      if (suspension === undefined || ending === undefined) return UNREADABLE;
      const fault = command.reason === undefined ? undefined : textFault(command.reason);
      if (fault !== undefined) return invalid([{ path: '/reason', message: fault }]);
      if (suspension.lifted !== undefined || !ending.suspensions.some(({ id }) => id === command.id)) return refuse('state', 'the suspension was lifted already');
      const { selector } = suspension;
      if (!command.allowSelfLift && !isPerson(actor.id)) return refuse('not-permitted', 'this account is not configured as a person, so it may belong to the one who placed the suspension');
      const persons = new Set([actor.id, ...command.persons]);
      if (!command.allowSelfLift && persons.has(suspension.placedBy)) return refuse('not-permitted', 'another person than the one who placed a suspension must lift it');
      if (!command.allowSelfLift && concerned(loaded, selector).some((person) => persons.has(person))) return refuse('not-permitted', 'the suspension concerns you; another person must lift it');
      const lifted: SuspensionRecord = { ...suspension, lifted: { by: actor.id, at: now.latest, ...(command.reason === undefined ? {} : { reason: command.reason }) } };
      const named = namedRef(selector);
      return {
        ok: true,
        change: {
          puts: [
            { key: endingRef(selector), value: asJson({ ...ending, suspensions: ending.suspensions.filter(({ id }) => id !== command.id) }) },
            { key: own, value: asJson(lifted) },
          ],
          events: [{ type: 'suspension.lifted', about: [own, endingRef(selector), ...(named === undefined ? [] : [named])], ending: false, data: { suspension: asJson(lifted), by: actor.id } }],
          reply: { suspension: asJson(lifted), placedAt: record.created.at },
        },
      };
    },
  };
};
