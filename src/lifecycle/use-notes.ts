/**
 * Notes when grants, workloads and standing entries were last used, for reports: collected in memory, written together now and then, never in
 * a decision's way. A process that ends in between loses at most what it had not written; a note that is missing makes something look
 * unused that was used, never the other way round.
 */
import type { Clock } from '../decision/ports.ts';
import type { DecisionRecord } from '../decision/record.ts';
import { grantRef, type RecordRef } from '../domain/grant-refs.ts';
import type { Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { readGrant } from '../domain/records.ts';
import { scopeCovers, type ResourceRef } from '../domain/scope.ts';
import type { Store } from '../store/port.ts';
import { createRounds, type Rounds } from './rounds.ts';

export const useRef = (grant: string): RecordRef => ({ kind: 'use', id: grant });
export const seenRef = (workload: string): RecordRef => ({ kind: 'seen', id: workload });
export const standingUseRef = (entry: string): RecordRef => ({ kind: 'standing-use', id: entry });

export interface UseNotesDeps {
  readonly store: Pick<Store, 'read' | 'commit'>;
  readonly clock: Clock;
  readonly everyMs: number;
  readonly onError: (error: unknown) => void;
}

export interface UseNotes extends Rounds {
  /** Costs some map lookups; keeps nothing of the record. */
  note(record: DecisionRecord): void;
  flush(): Promise<void>;
}

interface Span {
  readonly firstAt: number;
  lastAt: number;
}

interface Used {
  lastAt: Instant;
  firstAt: Instant;
  /** By which enforcement points, `-` for unnamed ones. */
  readonly peps: Map<string, Span>;
  /** What was asked for, as far as it is kept. */
  readonly asked: Map<string, { readonly action: string; readonly resource: ResourceRef }>;
}

/** Of one realm; what is beyond waits for the next round, and its decisions for the next note. */
const KEPT_MAX = 20_000;
const ASKED_MAX = 32;
const PEPS_MAX = 64;
const COMMIT_MAX = 100;

interface Notes {
  readonly grants: Map<string, Used>;
  readonly workloads: Map<string, Instant>;
  readonly standing: Map<string, Instant>;
}

const scopesIn = (value: JsonObject | undefined): readonly number[] => (Array.isArray(value?.['scopes']) ? value['scopes'].filter((index): index is number => typeof index === 'number') : []);
const instantIn = (value: JsonObject | undefined, member: string): number | undefined => (typeof value?.[member] === 'number' ? value[member] : undefined);

/** First and last use by enforcement point, as it is stored. */
export const usedBy = (value: JsonObject | undefined): ReadonlyMap<string, Span> => {
  const peps = value?.['peps'];
  return new Map(isJsonObject(peps) ? Object.entries(peps).flatMap(([pep, span]) => {
    const [firstAt, lastAt] = isJsonObject(span) ? [instantIn(span, 'firstAt'), instantIn(span, 'lastAt')] : [];
    return firstAt === undefined || lastAt === undefined ? [] : [[pep, { firstAt, lastAt }] as const];
  }) : []);
};

const joined = (before: JsonObject | undefined, now: ReadonlyMap<string, Span>): JsonObject => {
  const all = new Map(usedBy(before));
  for (const [pep, { firstAt, lastAt }] of now) {
    const known = all.get(pep);
    if (known === undefined && all.size >= PEPS_MAX) continue;
    all.set(pep, { firstAt: Math.min(firstAt, known?.firstAt ?? firstAt), lastAt: Math.max(lastAt, known?.lastAt ?? lastAt) });
  }
  return Object.fromEntries([...all].map(([pep, { firstAt, lastAt }]) => [pep, { firstAt, lastAt }]));
};

export const createUseNotes = ({ store, clock, everyMs, onError }: UseNotesDeps): UseNotes => {
  let realms = new Map<string, Notes>();

  const notesOf = (realm: string): Notes => {
    let notes = realms.get(realm);
    if (notes === undefined) realms.set(realm, (notes = { grants: new Map(), workloads: new Map(), standing: new Map() }));
    return notes;
  };
  const note = ({ realm, result, workload, action, resource, now, pep }: DecisionRecord): void => {
    const at = now.latest;
    const notes = notesOf(realm);
    if (workload !== undefined && (notes.workloads.size < KEPT_MAX || notes.workloads.has(workload))) notes.workloads.set(workload, at);
    if (!result.allow) return;
    if (result.standing !== undefined && notes.standing.size < KEPT_MAX) notes.standing.set(result.standing, at);
    if (result.grant === undefined || result.wouldDeny !== undefined) return;
    let used = notes.grants.get(result.grant);
    if (used === undefined) {
      if (notes.grants.size >= KEPT_MAX) return;
      notes.grants.set(result.grant, (used = { firstAt: at, lastAt: at, peps: new Map(), asked: new Map() }));
    }
    used.lastAt = at;
    const span = used.peps.get(pep ?? '-');
    if (span !== undefined) span.lastAt = at;
    else if (used.peps.size < PEPS_MAX) used.peps.set(pep ?? '-', { firstAt: at, lastAt: at });
    if (action === undefined || resource === undefined || used.asked.size >= ASKED_MAX) return;
    const key = `${action} ${resource.type}:${resource.id}`;
    if (!used.asked.has(key)) used.asked.set(key, { action, resource });
  };

  const write = async (realm: string, puts: readonly { key: RecordRef; value: JsonObject }[]): Promise<void> => {
    if (puts.length === 0) return;
    await store.commit({ realm, expect: [], puts, events: [{ type: 'use.noted', about: [], ending: false, data: { count: puts.length, by: 'system:use' } }] });
  };

  const writeGrants = async (realm: string, grants: readonly (readonly [string, Used])[]): Promise<void> => {
    const records = await store.read(realm, grants.flatMap(([id]) => [grantRef(id), useRef(id)]));
    await write(realm, grants.flatMap(([id, { firstAt, lastAt, peps, asked }], index) => {
      const grant = readGrant(records[2 * index]?.value ?? {});
      const before = records[2 * index + 1]?.value;
      if (grant === undefined) return [];
      const covering = grant.scopes.flatMap((scope, at) => ([...asked.values()].some(({ action, resource }) => scopeCovers(scope, action, resource)) ? [at] : []));
      const scopes = [...new Set([...scopesIn(before), ...covering])].sort((a, b) => a - b);
      return [{ key: useRef(id), value: { version: 1, firstAt: Math.min(firstAt, instantIn(before, 'firstAt') ?? firstAt), lastAt: Math.max(lastAt, instantIn(before, 'lastAt') ?? lastAt), scopes, peps: joined(before, peps) } }];
    }));
  };
  const writeLast = async (realm: string, refOf: (id: string) => RecordRef, last: readonly (readonly [string, Instant])[]): Promise<void> => {
    const records = await store.read(realm, last.map(([id]) => refOf(id)));
    await write(realm, last.map(([id, at], index) => ({ key: refOf(id), value: { version: 1, id, lastAt: Math.max(at, instantIn(records[index]?.value, 'lastAt') ?? at) } })));
  };
  /** What can't be written now waits, beside what comes meanwhile. */
  const inParts = async <T>(all: ReadonlyMap<string, T>, kept: Map<string, T>, work: (part: readonly (readonly [string, T])[]) => Promise<void>): Promise<void> => {
    const list = [...all];
    for (let from = 0; from < list.length; from += COMMIT_MAX) {
      try {
        await work(list.slice(from, from + COMMIT_MAX));
      } catch (error) {
        for (const [id, value] of list.slice(from)) if (kept.size < KEPT_MAX && !kept.has(id)) kept.set(id, value);
        throw error;
      }
    }
  };

  const flush = async (): Promise<void> => {
    const taken = realms;
    realms = new Map();
    const failures: unknown[] = [];
    for (const [realm, { grants, workloads, standing }] of taken) {
      const kept = notesOf(realm);
      const parts = [
        inParts(grants, kept.grants, (part) => writeGrants(realm, part)), inParts(workloads, kept.workloads, (part) => writeLast(realm, seenRef, part)),
        inParts(standing, kept.standing, (part) => writeLast(realm, standingUseRef, part)),
      ];
      for (const part of await Promise.allSettled(parts)) if (part.status === 'rejected') failures.push(part.reason);
    }
    if (failures.length > 0) throw failures[0];
  };
  const rounds = createRounds({ round: flush, pauseMs: () => everyMs, monotonicMs: clock.monotonicMs, onError });
  return {
    note, flush,
    start: rounds.start,
    stop: async () => {
      await rounds.stop();
      await flush().catch(onError);
    },
  };
};
