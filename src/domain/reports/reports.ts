/**
 * What a look at a realm's grants finds: access that nobody answers for or uses, access that ended and is still open some other way, and how
 * much of the time a workload has access at all. Pure: over rows that were read.
 */
import type { Grant } from '../grant.ts';
import type { Instant } from '../instant.ts';
import { scopesMeet, type Scope } from '../scope.ts';
import type { Given } from './groups.ts';

/** A grant as it was found. */
export interface Row {
  readonly grant: Grant;
  readonly live: boolean;
  readonly endedBecause?: string;
  readonly endedAt?: Instant;
  readonly lastUsedAt?: Instant;
  readonly usedScopes: readonly number[];
  readonly workloadSeenAt?: Instant;
}

export const ORPHAN_CAUSES = ['owner-gone', 'workload-unseen', 'never-used', 'scope-never-used'] as const;
export type OrphanCause = (typeof ORPHAN_CAUSES)[number];

export interface Orphan {
  readonly grant: Grant;
  readonly cause: OrphanCause;
  /** Scopes that were never used, for that cause. */
  readonly scopes?: readonly Scope[];
  readonly action: 'flag' | 'end';
}

export interface OrphanRule {
  readonly unusedMs: number;
  readonly unseenMs: number;
  readonly action: 'flag' | 'end';
}

/** The first cause of each live grant that has one. */
export const orphansIn = (rows: readonly Row[], isGone: (person: string) => boolean, ruleOf: (entitlement: string | undefined) => OrphanRule, now: Instant): readonly Orphan[] =>
  rows.flatMap((row): Orphan[] => {
    if (!row.live) return [];
    const { grant } = row;
    const { unusedMs, unseenMs, action } = ruleOf(grant.entitlement);
    const begun = grant.notBefore > grant.issuedAt ? grant.notBefore : grant.issuedAt;
    const owner = grant.owners.at(-1) ?? '';
    if (isGone(owner)) return [{ grant, cause: 'owner-gone', action }];
    if (!(now < (row.workloadSeenAt ?? begun) + unseenMs)) return [{ grant, cause: 'workload-unseen', action }];
    if (now < begun + unusedMs) return [];
    if (row.lastUsedAt === undefined) return [{ grant, cause: 'never-used', action }];
    const scopes = grant.scopes.filter((_, index) => !row.usedScopes.includes(index));
    // A scope that nobody uses is to be taken out by hand; ending the whole grant would take what is used.
    return scopes.length === 0 ? [] : [{ grant, cause: 'scope-never-used', scopes, action: 'flag' }];
  });

export interface StandingAccess {
  readonly id: string;
  readonly scopes: readonly Scope[];
}

export interface Residual {
  readonly grant: Grant;
  readonly endedAt: Instant;
  readonly endedBecause: string;
  /** By which the same is still open. */
  readonly grants: readonly string[];
  readonly standing: readonly string[];
  /** Ways through groups of other systems. */
  readonly groups: readonly (readonly string[])[];
}

/** Access that ended after `since` and is still open under another grant, a standing entry or a group. */
export const residualsIn = (rows: readonly Row[], standing: readonly StandingAccess[], given: ReadonlyMap<string, readonly Given[]>, since: Instant): readonly Residual[] => {
  const liveOf = new Map<string, Grant[]>();
  for (const { grant, live } of rows) if (live) liveOf.set(grant.workload, [...(liveOf.get(grant.workload) ?? []), grant]);
  return rows.flatMap(({ grant, live, endedAt, endedBecause = 'grant.expired' }) => {
    if (live || endedAt === undefined || endedAt < since) return [];
    const found: Residual = {
      grant, endedAt, endedBecause,
      grants: (liveOf.get(grant.workload) ?? []).filter(({ scopes }) => scopesMeet(scopes, grant.scopes)).map(({ id }) => id),
      standing: standing.filter(({ scopes }) => scopesMeet(scopes, grant.scopes)).map(({ id }) => id),
      groups: (given.get(grant.workload) ?? []).filter(({ scopes }) => scopesMeet(scopes, grant.scopes)).map(({ path }) => path),
    };
    return found.grants.length + found.standing.length + found.groups.length === 0 ? [] : [found];
  });
};

export interface Share {
  readonly workload: string;
  readonly grants: number;
  /** How long it had access at all in the time looked at, in milliseconds. */
  readonly accessMs: number;
  /** Of the time looked at, 0 to 1. */
  readonly share: number;
}

export type Span = readonly [from: number, to: number];

/** What is left of a span without the pauses in it. */
const without = (span: Span, pauses: readonly Span[]): readonly Span[] =>
  pauses.reduce<readonly Span[]>((left, [from, to]) => left.flatMap(([start, end]): readonly Span[] => [[start, Math.min(end, from)], [Math.max(start, to), end]]).filter(([start, end]) => start < end), [span]);

/** How much of the last `spanMs` each workload had some access; what overlaps counts once, and what was suspended meanwhile not. */
export const sharesIn = (rows: readonly Row[], now: Instant, spanMs: number, pausesOf: (grant: Grant) => readonly Span[] = () => []): readonly Share[] => {
  const from = now - spanMs;
  const spans = new Map<string, Span[]>();
  const grants = new Map<string, number>();
  for (const { grant, endedAt } of rows) {
    const [start, end] = [Math.max(grant.notBefore, from), Math.min(endedAt ?? now, now)];
    if (!(start < end)) continue;
    grants.set(grant.workload, (grants.get(grant.workload) ?? 0) + 1);
    spans.set(grant.workload, [...(spans.get(grant.workload) ?? []), ...without([start, end], pausesOf(grant))]);
  }
  return [...spans].map(([workload, list]) => {
    let accessMs = 0;
    let until = from;
    for (const [start, end] of list.toSorted(([a], [b]) => a - b)) {
      accessMs += Math.max(0, end - Math.max(start, until));
      until = Math.max(until, end);
    }
    return { workload, grants: grants.get(workload) ?? 0, accessMs, share: accessMs / spanMs };
  }).toSorted((a, b) => b.share - a.share || a.workload.localeCompare(b.workload));
};
