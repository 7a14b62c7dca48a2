/**
 * What became of grants within a period, from the events of the record alone, so that it also tells of grants whose records housekeeping has
 * dropped since. Events are taken one by one, in order; what is kept is bounded by the grants that lived at once, and more is said.
 */
import { grantSelectors } from '../grant-refs.ts';
import type { Grant, GrantCore } from '../grant.ts';
import type { Instant } from '../instant.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { readGrant, readTask } from '../records.ts';
import { selectorKey, workloadSelectors, type Selector } from '../selector.ts';
import { taskHoldsUntil } from '../task.ts';

export const PERIOD_GRANTS_MAX = 50_000;

/** From `from` (included) to `to` (not). */
export interface Period {
  readonly from: Instant;
  readonly to: Instant;
}

/** The calendar quarter (UTC) before the one that it is now. */
export const lastQuarter = (now: Instant): Period => {
  const day = new Date(now);
  const month = day.getUTCMonth() - (day.getUTCMonth() % 3);
  return { from: Date.UTC(day.getUTCFullYear(), month - 3) as Instant, to: Date.UTC(day.getUTCFullYear(), month) as Instant };
};

export interface End {
  readonly at: Instant;
  readonly because: string;
  /** Of a revocation: what kind of selector it named, and how long after it no allow that relies on it is usable anywhere, at the latest. */
  readonly selector?: string;
  readonly enforcedMs?: number;
}

export interface PeriodGrant {
  readonly id: string;
  readonly entitlement?: string;
  readonly issuedAt: Instant;
  /** Absent: it had not ended when the period did. */
  readonly end?: End;
}

/** What was placed within the period; how long until it was enforced, at the latest, where there was any. */
export interface Placed {
  readonly revocations: number;
  readonly suspensions: number;
  readonly shortestMs?: number;
  readonly longestMs?: number;
}

export interface PeriodEvent {
  readonly at: Instant;
  readonly type: string;
  readonly data: JsonObject;
}

interface Tracked {
  readonly id: string;
  readonly entitlement?: string;
  readonly issuedAt: Instant;
  readonly expiresAt: Instant;
  readonly keys: readonly string[];
  end?: End;
}

const restsOn = (core: GrantCore): readonly Selector[] => [...grantSelectors(core), ...workloadSelectors(core.workload)];
const keysOf = (grant: Grant): readonly string[] =>
  [...new Set([...[grant, ...grant.chain].flatMap(restsOn), { kind: 'realm', value: grant.realm } as const].map(selectorKey))];
const spanIn = (value: JsonObject): number | undefined => (typeof value['settleMs'] === 'number' && value['settleMs'] >= 0 ? value['settleMs'] : undefined);

export const replayPeriod = ({ from, to }: Period, grantsMax = PERIOD_GRANTS_MAX) => {
  const grants = new Map<string, Tracked>();
  const resting = new Map<string, Set<Tracked>>();
  let [truncated, revocations, suspensions] = [false, 0, 0];
  let shortestMs: number | undefined;
  let longestMs: number | undefined;

  const endOf = ({ end, expiresAt }: Tracked): End | undefined => {
    const first = end !== undefined && end.at < expiresAt ? end : { at: expiresAt, because: 'grant.expired' };
    return first.at < to ? first : undefined;
  };
  const forget = (tracked: Tracked): void => {
    grants.delete(tracked.id);
    for (const key of tracked.keys) {
      const those = resting.get(key);
      those?.delete(tracked);
      if (those?.size === 0) resting.delete(key);
    }
  };
  /** What ended before the period is no matter of it. */
  const prune = (): void => {
    for (const tracked of grants.values()) {
      const end = endOf(tracked);
      if (end !== undefined && end.at < from) forget(tracked);
    }
  };
  let pruneAt = Math.min(1_024, grantsMax);
  const add = (grant: Grant): void => {
    if (grants.size >= pruneAt) {
      prune();
      pruneAt = Math.min(grantsMax, Math.max(1_024, 2 * grants.size));
    }
    if (grants.size >= grantsMax) {
      truncated = true;
      return;
    }
    const { id, entitlement, issuedAt, expiresAt } = grant;
    const tracked: Tracked = { id, issuedAt, expiresAt, keys: keysOf(grant), ...(entitlement === undefined ? {} : { entitlement }) };
    grants.set(id, tracked);
    for (const key of tracked.keys) {
      const those = resting.get(key);
      if (those === undefined) resting.set(key, new Set([tracked]));
      else those.add(tracked);
    }
  };
  const finish = (key: string, end: End): void => {
    for (const tracked of resting.get(key) ?? []) if (tracked.end === undefined || end.at < tracked.end.at) tracked.end = { ...end, at: Math.max(end.at, tracked.issuedAt) as Instant };
  };
  const timed = (value: JsonObject, at: Instant): void => {
    const ms = spanIn(value);
    if (ms === undefined || at < from) return;
    shortestMs = Math.min(ms, shortestMs ?? ms);
    longestMs = Math.max(ms, longestMs ?? ms);
  };

  return {
    take: ({ at, type, data }: PeriodEvent): void => {
      if (!(at < to)) return;
      if (type === 'grant.issued' || type === 'grant.delegated') {
        const grant = isJsonObject(data['grant']) ? readGrant(data['grant']) : undefined;
        if (grant !== undefined) add(grant);
      } else if (type === 'revocation.placed' && isJsonObject(data['revocation']) && isJsonObject(data['revocation']['selector'])) {
        const record = data['revocation'];
        const selector = record['selector'] as unknown as Selector;
        const enforcedMs = spanIn(record);
        timed(record, at);
        if (!(at < from)) revocations += 1;
        finish(selectorKey(selector), { at, because: 'grant.revoked', selector: selector.kind, ...(enforcedMs === undefined ? {} : { enforcedMs }) });
      } else if (type === 'suspension.placed' && isJsonObject(data['suspension'])) {
        timed(data['suspension'], at);
        if (!(at < from)) suspensions += 1;
      } else if (type === 'task.closed' && isJsonObject(data['task'])) {
        const task = readTask(data['task']);
        if (task === undefined) return;
        // One that was over by time had ended before somebody noted it.
        const over = task.closedBecause === undefined ? at : (Math.min(at, taskHoldsUntil(task)) as Instant);
        finish(selectorKey({ kind: 'task', value: task.id }), { at: over, because: task.closedBecause ?? 'task.closed' });
      }
    },
    /** Those that lived within the period, for any part of it. */
    grants: function* (): Generator<PeriodGrant> {
      for (const tracked of grants.values()) {
        const { id, entitlement, issuedAt } = tracked;
        const end = endOf(tracked);
        if (issuedAt < to && !(end !== undefined && end.at < from)) yield { id, issuedAt, ...(entitlement === undefined ? {} : { entitlement }), ...(end === undefined ? {} : { end }) };
      }
    },
    placed: (): Placed => ({ revocations, suspensions, ...(shortestMs === undefined ? {} : { shortestMs }), ...(longestMs === undefined ? {} : { longestMs }) }),
    truncated: (): boolean => truncated,
  };
};
