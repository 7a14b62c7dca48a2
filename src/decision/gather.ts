/** The `gather` step: one atomic read of the store, turned into facts. */
import type { Ending } from '../domain/ending.ts';
import type { Deadline, Facts, GrantFact, TaskFact } from '../domain/facts.ts';
import type { GrantCore } from '../domain/grant.ts';
import type { RecordRef } from '../domain/grant-refs.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Instant, TimeInterval } from '../domain/instant.ts';
import type { Position } from '../domain/position.ts';
import { readEnding, readGrant, readTask, readUses } from '../domain/records.ts';
import { recertificationDeadline } from '../domain/recertification.ts';
import { scopesCover, type ResourceRef } from '../domain/scope.ts';

interface Stamp {
  readonly sequence: number;
  readonly at: Instant;
}

/** The part of a store's record that facts are made of. */
export interface FactRecord {
  readonly key: RecordRef;
  readonly created: Stamp;
  readonly modified: Stamp;
  readonly marked?: Stamp;
  readonly value: JsonObject;
}

export interface FactsRequest {
  readonly realm: string;
  readonly keys: readonly RecordRef[];
  readonly index?: {
    readonly owner: string;
    readonly endsAfter: Instant;
    readonly wanted?: (record: FactRecord) => boolean;
    readonly lookBack?: number;
  };
}

export interface FactsAnswer {
  readonly position: Position;
  readonly endings: { readonly sequence: number; readonly hash: string };
  readonly records: ReadonlyMap<string, FactRecord>;
  readonly rows: readonly FactRecord[];
  readonly ended: readonly FactRecord[];
  /** Answered from memory, under a lease that ends then: is it still the truth, and may it still be relied on? */
  readonly holds?: () => boolean;
  readonly leaseEnds?: Instant;
  /** On the monotonic clock: they were the truth then, or later. */
  readonly provenMs?: number;
}

const NO_ANCESTORS: ReadonlySet<string> = new Set();

/** How many ended grants are looked at to explain a denial. */
const LOOK_BACK = 8;

export interface Wanted {
  readonly realm: string;
  readonly workload: string | undefined;
  /** What covers the request as such, whatever grants there are. */
  readonly keys: readonly RecordRef[];
  readonly now: TimeInterval;
  readonly action: string;
  readonly resource: ResourceRef;
}

export const factsRequest = (wanted: Wanted): FactsRequest => ({
  realm: wanted.realm,
  keys: wanted.keys,
  ...(wanted.workload === undefined
    ? {}
    : {
        index: {
          owner: wanted.workload,
          endsAfter: wanted.now.latest,
          wanted: (record) => {
            const grant = readGrant(record.value);
            return grant === undefined || scopesCover(grant.scopes, wanted.action, wanted.resource);
          },
          lookBack: LOOK_BACK,
        },
      }),
});

const endingOf = (record: FactRecord): Ending => {
  const value = readEnding(record.value);
  // A record that can't be understood covers everything: it is there because something was ended.
  if (value === undefined) return { selector: record.key.id, revocation: 'unreadable', revokedSequence: Number.POSITIVE_INFINITY, suspensions: [] };
  return {
    selector: record.key.id,
    suspensions: value.suspensions,
    ...(value.floor === undefined ? {} : { floor: value.floor }),
    ...(value.honours === undefined ? {} : { honours: value.honours }),
    ...(value.revocation === undefined ? {} : { revocation: value.revocation }),
    ...(record.marked === undefined ? {} : { revokedSequence: record.marked.sequence, revokedAt: record.marked.at }),
  };
};

export const readFacts = (answer: FactsAnswer, workload: string | undefined): Facts => {
  const { records } = answer;
  const tasks = new Map<string, TaskFact>();
  const endings = new Map<string, Ending>();
  for (const record of records.values()) {
    if (record.key.kind === 'ending') endings.set(record.key.id, endingOf(record));
    else if (record.key.kind === 'task') {
      const task = readTask(record.value);
      if (task !== undefined && task.id === record.key.id) tasks.set(task.id, { task, version: record.modified.sequence });
    }
  }
  let malformed = 0;
  const deadlines: Deadline[] = [];
  const noteDeadline = (core: GrantCore): void => {
    if (core.recertifyBy === undefined) return;
    const at = recertificationDeadline(core, records.get(`recertification/${core.id}`)?.value);
    if (at !== undefined) deadlines.push({ grant: core.id, at, reason: 'grant.recertification' });
  };
  const grantFacts = (rows: readonly FactRecord[]): GrantFact[] => {
    const facts: GrantFact[] = [];
    for (const row of rows) {
      const grant = readGrant(row.value);
      if (grant === undefined || grant.id !== row.key.id || grant.workload !== workload) {
        malformed += 1;
        continue;
      }
      noteDeadline(grant);
      grant.chain.forEach(noteDeadline);
      facts.push({
        grant,
        version: row.modified.sequence,
        root: grant.root ?? row.created.sequence,
        ancestorsPresent: grant.chain.length === 0 ? NO_ANCESTORS : new Set(grant.chain.filter(({ id }) => records.has(`grant/${id}`)).map(({ id }) => id)),
        ...(grant.model === 'break-glass' ? { used: records.has(`review/${grant.id}`) } : {}),
        ...(grant.uses === undefined ? {} : { usesLeft: grant.uses - readUses(records.get(`uses/${grant.id}`)?.value) }),
      });
    }
    return facts;
  };
  return {
    epoch: answer.position.epoch,
    position: answer.position,
    endingsMark: answer.endings,
    grants: grantFacts(answer.rows),
    ended: grantFacts(answer.ended),
    tasks,
    endings,
    deadlines,
    malformed,
  };
};
