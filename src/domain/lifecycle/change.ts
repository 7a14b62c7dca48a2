/**
 * What a lifecycle rule works on and gives back. A rule is pure: it names the records it judges, sees exactly those, and
 * answers with a change or a refusal. Whoever executes it commits the change only while every judged record is still the
 * version that was seen (absent ones still absent), so a rule never decides on something that has moved.
 */
import { coversGrant, type Ending } from '../ending.ts';
import type { EventType } from '../event-types.ts';
import type { Grant } from '../grant.ts';
import { endingRef, type RecordRef } from '../grant-refs.ts';
import type { Instant, TimeInterval } from '../instant.ts';
import type { JsonObject } from '../json.ts';
import { readEnding, readGrant } from '../records.ts';
import type { Selector } from '../selector.ts';

interface Stamp {
  readonly sequence: number;
  readonly at: Instant;
}

/** A record as it was read. */
export interface LoadedRecord {
  readonly key: RecordRef;
  readonly created: Stamp;
  readonly modified: Stamp;
  readonly marked?: Stamp;
  readonly value: JsonObject;
}

export interface Loaded {
  record(ref: RecordRef): LoadedRecord | undefined;
  /** Grants of `Rule.grantsOf` that have not ended by time. */
  readonly grants: readonly LoadedRecord[];
  /** There are more of them than the store reads. */
  readonly truncated: boolean;
}

/** Who gives the command: an operator, a workload for itself, or Curfew's own housekeeping. */
export interface Actor {
  readonly kind: 'operator' | 'workload' | 'system';
  readonly id: string;
  /** Other names by which a configuration may mean an operator: persons, accounts, and groups as `group:name`. */
  readonly names?: readonly string[];
}

export const REFUSALS = ['invalid', 'not-found', 'not-permitted', 'state', 'suspended', 'limit', 'unavailable'] as const;
export type RefusalCode = (typeof REFUSALS)[number];

/** What is wrong, and where: `path` is a JSON pointer into the command. */
export interface Fault {
  readonly path: string;
  readonly message: string;
}

export interface Refusal {
  readonly code: RefusalCode;
  readonly detail: string;
  readonly faults?: readonly Fault[];
}

export interface Change {
  readonly puts: readonly {
    readonly key: RecordRef;
    readonly value: JsonObject;
    readonly index?: { readonly owner: string; readonly end: Instant };
    readonly refs?: readonly RecordRef[];
    readonly mark?: boolean;
  }[];
  readonly events: readonly {
    readonly type: EventType;
    readonly about: readonly RecordRef[];
    readonly ending: boolean;
    readonly data: JsonObject;
  }[];
  /** Counted up by one each, without waiting for others who count: the change is refused, saying `over`, where that would be more than `max`. */
  readonly increments?: readonly { readonly key: RecordRef; readonly max: number; readonly over: string }[];
  /** Records that are there no more. */
  readonly drops?: readonly RecordRef[];
  /** Committed before this instant, or judged again: what it relies on ends then. */
  readonly before?: Instant;
  /** What the command answers; a replay of the same command is given it again. */
  readonly reply: JsonObject;
}

/** Nothing needs to change: the command is as good as done, by the record of this version. */
export interface Unchanged {
  readonly sequence: number;
  readonly reply: JsonObject;
}

/** With both, the change is made where the command has an idempotency key, so that a replay is known as one. */
export type Ruling =
  | { readonly ok: true; readonly change: Change; readonly unchanged?: Unchanged }
  | { readonly ok: true; readonly change?: undefined; readonly unchanged: Unchanged } | { readonly ok: false; readonly refusal: Refusal };

export interface Rule {
  /** Records the rule judges, given what was read so far; asked again until it names nothing new. */
  needs(loaded: Loaded): readonly RecordRef[];
  /** Read the grants of this workload too. */
  readonly grantsOf?: string;
  /** The rule takes access away, or is about the clock itself: it is executed also while the clock is not trusted. */
  readonly ends: boolean;
  judge(loaded: Loaded, now: TimeInterval): Ruling;
}

export const refuse = (code: RefusalCode, detail: string, faults?: readonly Fault[]): { readonly ok: false; readonly refusal: Refusal } => ({
  ok: false,
  refusal: { code, detail, ...(faults === undefined ? {} : { faults }) },
});

export const invalid = (faults: readonly Fault[]): { readonly ok: false; readonly refusal: Refusal } =>
  refuse('invalid', faults.map(({ path, message }) => `${path === '' ? 'the body' : path} ${message}`).join('; '), faults);

/** The ending on a selector as it was read; an unreadable record stands for a suspension, so that it refuses. */
export const endingAt = (loaded: Loaded, selector: Selector): Ending | undefined => {
  const record = loaded.record(endingRef(selector));
  if (record === undefined) return undefined;
  const value = readEnding(record.value);
  if (value === undefined) return { selector: record.key.id, suspensions: [{ id: 'unreadable', placedBy: 'unknown', reason: 'unreadable record' }] };
  return {
    selector: value.selector,
    suspensions: value.suspensions,
    ...(value.floor === undefined ? {} : { floor: value.floor }),
    ...(value.honours === undefined ? {} : { honours: value.honours }),
    ...(value.revocation === undefined ? {} : { revocation: value.revocation }),
    ...(record.marked === undefined ? {} : { revokedSequence: record.marked.sequence, revokedAt: record.marked.at }),
  };
};

/** The first of the selectors whose ending covers a grant with this root. */
export const coveredBy = (loaded: Loaded, selectors: readonly Selector[], root: number): { selector: Selector; how: 'revoked' | 'suspended' } | undefined => {
  for (const selector of selectors) {
    const how = coversGrant(endingAt(loaded, selector), root);
    if (how !== undefined) return { selector, how };
  }
  return undefined;
};

/** Grants among the loaded ones that can be understood, with their roots. */
export const loadedGrants = (loaded: Loaded): readonly { readonly grant: Grant; readonly root: number }[] =>
  loaded.grants.flatMap((record) => {
    const grant = record.key.kind === 'grant' ? readGrant(record.value) : undefined;
    return grant === undefined ? [] : [{ grant, root: grant.root ?? record.created.sequence }];
  });
