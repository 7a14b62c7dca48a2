/**
 * Commands of the directory. Whoever leaves takes along, in the same commit, what rests on them as owner or approver: both selectors are
 * revoked. Leaving a team is told, and, where the configuration says so, ends what they had approved.
 */
import { endingRef, type RecordRef } from '../grant-refs.ts';
import type { JsonObject } from '../json.ts';
import type { Selector } from '../selector.ts';
import { invalid, refuse, type Actor, type Change, type Loaded, type Rule } from './change.ts';
import { aliasRef, accountRef, isGone, personRef, readPerson, readRegistration, readTarget, WORKLOAD_KINDS, workloadRef, type Person, type Registration } from './directory.ts';
import { revocationParts } from './ending-rules.ts';
import { faultsOf, idFault, isOidcId, isPerson, personFault } from './fields.ts';
import { graceEndNeeds } from './grace-given.ts';
import { workloadFault } from './grant-terms.ts';
import { ownerFault, ownerRefs, teamRef, type KnownOwners } from './known-owner.ts';

export const ACCOUNTS_MAX = 32;
export const TEAMS_MAX = 256;

export interface SetPerson {
  readonly id: string;
  readonly accounts: readonly string[];
  readonly teams: readonly string[];
  readonly active: boolean;
  /** Where its source says so; absent: as it was. */
  readonly groups?: readonly string[];
}

export interface DirectorySetting {
  readonly source: string;
  /** Ids for revocations; as many as are needed. */
  readonly newId: () => string;
  readonly settleMs: number;
  /** What leaving a team does to what this person approved. */
  readonly onTransfer: 'flag' | 'end';
  /** Who may answer for a workload. */
  readonly knownOwners?: KnownOwners;
}

const unique = (values: readonly string[]): readonly string[] => [...new Set(values)];
const asJson = (value: object): JsonObject => value as unknown as JsonObject;
const same = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((value) => b.includes(value));

const listFaults = (path: string, values: readonly string[], most: number, fault: (value: string) => string | undefined) => [
  ...(values.length > most ? [{ path, message: `may have at most ${most} values` }] : []),
  ...values.slice(0, most).flatMap((value, index) => faultsOf({ [`${path}/${index}`]: fault(value) })),
];

const resting = (id: string): readonly Selector[] => [{ kind: 'owner', value: id }, { kind: 'approver', value: id }];

/** Revokes what rests on the person, as parts of another change. */
const endings = (loaded: Loaded, selectors: readonly Selector[], reason: string, actor: Actor, setting: DirectorySetting): Pick<Change, 'puts' | 'events'> | undefined => {
  const parts = selectors.map((selector) => revocationParts({ id: setting.newId(), selector, reason, settleMs: setting.settleMs }, loaded, actor));
  return parts.some((part) => part === undefined) ? undefined : { puts: parts.flatMap((part) => part?.puts ?? []), events: parts.flatMap((part) => part?.events ?? []) };
};

export const setPerson = (command: SetPerson, actor: Actor, setting: DirectorySetting): Rule => {
  const given = unique(command.accounts);
  const teams = unique(command.teams);
  const before = (loaded: Loaded): Person | undefined => readPerson(loaded.record(personRef(command.id))?.value);
  const holderOf = (loaded: Loaded, account: string): string | undefined => readTarget(loaded.record(accountRef(account))?.value);
  const held = (loaded: Loaded): readonly string[] => (before(loaded)?.accounts ?? []).filter((account) => holderOf(loaded, account) === command.id);
  return {
    ends: !command.active,
    needs: (loaded) => [
      personRef(command.id), ...resting(command.id).flatMap((selector) => [endingRef(selector), ...graceEndNeeds(loaded, selector)]),
      ...unique([...given, ...(before(loaded)?.accounts ?? [])]).map(accountRef), ...given.flatMap((account) => holderOf(loaded, account) ?? []).map(personRef),
      ...teams.map(teamRef),
    ],
    judge: (loaded) => {
      const faults = [
        ...faultsOf({ '/id': isPerson(command.id) && command.id.startsWith('user:') ? undefined : 'must be a person such as user:alice' }),
        ...listFaults('/accounts', given, ACCOUNTS_MAX, (value) => (isOidcId(value) ? undefined : 'must be an account such as oidc:issuer.example/subject')),
        ...listFaults('/teams', teams, TEAMS_MAX, (value) => (value.startsWith('team:') ? personFault(value) : 'must be a team such as team:shop')),
      ];
      if (faults.length > 0) return invalid(faults);
      const taken = given.find((account) => {
        const holder = holderOf(loaded, account);
        return holder !== undefined && holder !== command.id && !isGone(loaded, holder);
      });
      if (taken !== undefined) return refuse('state', `the account ${taken} is another person's; take it from them first`);
      // Let go, the accounts of somebody who left would be nobody's, and come in again with the roles of their groups.
      const accounts = command.active ? given : unique([...given, ...held(loaded)]);
      const record = loaded.record(personRef(command.id));
      const old = before(loaded);
      const groups = command.groups ?? old?.groups;
      const leftGroups = (old?.groups ?? []).filter((group) => groups?.includes(group) !== true);
      const left = (old?.teams ?? []).filter((team) => !teams.includes(team));
      const person: Person = {
        version: 1, id: command.id, accounts, teams, formerTeams: unique([...(old?.formerTeams ?? []), ...left]).filter((team) => !teams.includes(team)).slice(-TEAMS_MAX),
        active: command.active, source: setting.source, ...(groups === undefined ? {} : { groups: unique(groups) }),
      };
      const reply = { person: asJson(person) };
      const freshTeams = teams.filter((team) => loaded.record(teamRef(team)) === undefined);
      if (record !== undefined && old !== undefined && freshTeams.length === 0 && old.active === person.active && same(old.accounts, accounts) && same(old.teams, teams) && same(old.groups ?? [], person.groups ?? [])) return { ok: true, unchanged: { sequence: record.modified.sequence, reply } };
      // Also one of whom the directory hears first that they are gone: grants may rest on them already.
      const leaves = old?.active !== false && !person.active;
      const selectors = leaves ? resting(command.id) : left.length + leftGroups.length > 0 && setting.onTransfer === 'end' ? [{ kind: 'approver', value: command.id } as const] : [];
      const ended = endings(loaded, selectors, leaves ? `${command.id} has left` : `${command.id} has left ${(left.length > 0 ? left : leftGroups).join(', ')}`, actor, setting);
      if (ended === undefined) return refuse('unavailable', 'an ending record could not be understood; nothing was changed');
      const gone = held(loaded).filter((account) => !accounts.includes(account));
      const change: Change = {
        puts: [
          { key: personRef(command.id), value: asJson(person) },
          ...accounts.map((account) => ({ key: accountRef(account), value: { version: 1, target: command.id } })),
          ...gone.map((account) => ({ key: accountRef(account), value: { version: 1, target: null } })),
          ...freshTeams.map((team) => ({ key: teamRef(team), value: { version: 1, id: team } })),
          ...ended.puts,
        ],
        events: [{ type: leaves ? 'person.left' : 'person.set', about: [personRef(command.id)], ending: false, data: { person: asJson(person), leftTeams: left, leftGroups, by: actor.id } }, ...ended.events],
        reply,
      };
      return { ok: true, change };
    },
  };
};

export interface SetWorkload {
  readonly id: string;
  readonly kind: string;
  readonly owner: string;
  readonly fallbackOwner: string;
  readonly tier: string;
  readonly aliases: readonly string[];
  readonly active: boolean;
}

const OWNERS_MAX = 64;

/** A workload that is no more is revoked in the same commit, under each of its names. */
export const setWorkload = (command: SetWorkload, actor: Actor, setting: DirectorySetting): Rule => {
  const given = unique(command.aliases);
  const before = (loaded: Loaded): Registration | undefined => readRegistration(loaded.record(workloadRef(command.id))?.value);
  // One that is no more keeps every name it has: what is left out of the command ends too.
  const aliasesOf = (loaded: Loaded): readonly string[] => (command.active ? given : unique([...given, ...(before(loaded)?.aliases ?? [])]));
  const namedBy = (loaded: Loaded): readonly Selector[] => [command.id, ...aliasesOf(loaded)].map((value) => ({ kind: 'workload', value }));
  const owners: readonly RecordRef[] = [command.owner, command.fallbackOwner].flatMap(ownerRefs);
  return {
    ends: !command.active,
    needs: (loaded) => [
      workloadRef(command.id), aliasRef(command.id), ...owners, ...namedBy(loaded).map(endingRef),
      ...unique([...given, ...(before(loaded)?.aliases ?? [])]).flatMap((alias) => [aliasRef(alias), workloadRef(alias)]),
    ],
    judge: (loaded) => {
      // Who answers for what is no more is nobody's concern: nothing keeps an ending back.
      const gone = (id: string): string | undefined => personFault(id) ?? (command.active ? ownerFault(loaded, id, setting.knownOwners) : undefined);
      const faults = [
        ...faultsOf({
          '/id': workloadFault(command.id),
          '/kind': (WORKLOAD_KINDS as readonly string[]).includes(command.kind) ? undefined : `must be one of ${WORKLOAD_KINDS.join(', ')}`,
          '/owner': gone(command.owner), '/fallbackOwner': gone(command.fallbackOwner) ?? (command.owner === command.fallbackOwner ? 'must be another than the owner' : undefined),
          '/tier': idFault(command.tier),
        }),
        ...listFaults('/aliases', given, ACCOUNTS_MAX, workloadFault),
      ];
      if (faults.length > 0) return invalid(faults);
      if (readTarget(loaded.record(aliasRef(command.id))?.value) !== undefined) return refuse('state', 'this workload is registered already, as another name of one');
      const aliases = aliasesOf(loaded);
      const taken = aliases.find((alias) => loaded.record(workloadRef(alias)) !== undefined || ![undefined, command.id].includes(readTarget(loaded.record(aliasRef(alias))?.value)));
      if (taken !== undefined) return refuse('state', `${taken} is registered already`);
      const old = before(loaded);
      const add = (all: readonly string[], one: string): readonly string[] => [...all.filter((owner) => owner !== one), one];
      const registration: Registration = {
        version: 1, id: command.id, kind: command.kind as Registration['kind'], tier: command.tier, aliases, active: command.active,
        owners: add(old?.owners ?? [], command.owner), fallbackOwners: add(old?.fallbackOwners ?? [], command.fallbackOwner),
      };
      if (registration.owners.length > OWNERS_MAX || registration.fallbackOwners.length > OWNERS_MAX) return refuse('limit', `a workload may have had at most ${OWNERS_MAX} owners`);
      const ended = endings(loaded, old?.active !== false && !command.active ? namedBy(loaded) : [], `${command.id} is no more`, actor, setting);
      if (ended === undefined) return refuse('unavailable', 'an ending record could not be understood; nothing was changed');
      const dropped = (old?.aliases ?? []).filter((alias) => !aliases.includes(alias));
      const change: Change = {
        puts: [
          { key: workloadRef(command.id), value: asJson(registration) },
          ...aliases.map((alias) => ({ key: aliasRef(alias), value: { version: 1, target: command.id } })),
          ...dropped.map((alias) => ({ key: aliasRef(alias), value: { version: 1, target: null } })),
          ...ended.puts,
        ],
        events: [{ type: 'workload.registered', about: [workloadRef(command.id)], ending: false, data: { workload: asJson(registration), by: actor.id } }, ...ended.events],
        reply: { workload: asJson(registration) },
      };
      return { ok: true, change };
    },
  };
};

