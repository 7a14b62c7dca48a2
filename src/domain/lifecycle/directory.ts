/**
 * Who people and workloads are, as a people source and operators say: which accounts are one person, whose teams they are in and were in, who
 * is gone; what a workload is, who answers for it, and under which other names it goes. Nothing here is ever forgotten by a change: whoever
 * was an owner, or in a team that is one, stays too close to approve.
 */
import type { RecordRef } from '../grant-refs.ts';
import type { JsonObject } from '../json.ts';
import type { Loaded } from './change.ts';

export interface Person {
  readonly version: 1;
  readonly id: string;
  /** `oidc:` ids of its accounts. */
  readonly accounts: readonly string[];
  readonly teams: readonly string[];
  /** Teams it has left. */
  readonly formerTeams: readonly string[];
  /** False: gone. Nothing rests on it any more, and it approves nothing. */
  readonly active: boolean;
  readonly source: string;
  /** Names of its groups, where its source says which they are; then these count, and not what a token says. */
  readonly groups?: readonly string[];
}

export const WORKLOAD_KINDS = ['service', 'ci', 'batch', 'agent', 'third-party', 'device', 'other'] as const;

export interface Registration {
  readonly version: 1;
  readonly id: string;
  readonly kind: (typeof WORKLOAD_KINDS)[number];
  /** Every owner since it was registered, the current one last. */
  readonly owners: readonly string[];
  readonly fallbackOwners: readonly string[];
  readonly tier: string;
  readonly aliases: readonly string[];
  /** False: it is no more, and gets nothing. */
  readonly active: boolean;
}

export const personRef = (id: string): RecordRef => ({ kind: 'person', id });
export const accountRef = (id: string): RecordRef => ({ kind: 'account', id });
export const workloadRef = (id: string): RecordRef => ({ kind: 'workload', id });
export const aliasRef = (id: string): RecordRef => ({ kind: 'alias', id });

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((item) => typeof item === 'string');

export const readPerson = (value: JsonObject | undefined): Person | undefined =>
  value !== undefined && value['version'] === 1 && typeof value['id'] === 'string' && typeof value['active'] === 'boolean' && ['accounts', 'teams', 'formerTeams'].every((name) => isTexts(value[name])) && (value['groups'] === undefined || isTexts(value['groups']))
    ? (value as unknown as Person)
    : undefined;

export const readRegistration = (value: JsonObject | undefined): Registration | undefined =>
  value !== undefined && value['version'] === 1 && typeof value['id'] === 'string' && typeof value['active'] === 'boolean' && ['owners', 'fallbackOwners', 'aliases'].every((name) => isTexts(value[name]))
    ? (value as unknown as Registration)
    : undefined;

/** Whom an account or another name stands for; `undefined` where it stands for nobody now. */
export const readTarget = (value: JsonObject | undefined): string | undefined => {
  const target = value?.['target'];
  return typeof target === 'string' ? target : undefined;
};

/** What `registrationOf` reads, given what was read so far. */
export const registrationRefs = (loaded: Loaded, workload: string): readonly RecordRef[] => {
  const target = readTarget(loaded.record(aliasRef(workload))?.value);
  return [workloadRef(workload), aliasRef(workload), ...(target === undefined ? [] : [workloadRef(target)])];
};

/** By its own name or another; `unreadable` counts as gone. */
export const registrationOf = (loaded: Loaded, workload: string): Registration | 'absent' | 'unreadable' => {
  const target = readTarget(loaded.record(aliasRef(workload))?.value) ?? workload;
  const record = loaded.record(workloadRef(target));
  return record === undefined ? 'absent' : (readRegistration(record.value) ?? 'unreadable');
};

/** Persons and teams that answer, or ever answered, for the workload. */
export const everyOwner = (registration: Registration): readonly string[] => [...registration.owners, ...registration.fallbackOwners];

/** Is this person known to be gone, or unreadable? One that was never recorded is not. */
export const isGone = (loaded: Loaded, person: string): boolean => {
  const record = loaded.record(personRef(person));
  return record !== undefined && readPerson(record.value)?.active !== true;
};
