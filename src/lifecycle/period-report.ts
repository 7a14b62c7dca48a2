/**
 * What a period shows an auditor: per entitlement what was issued, used and ended, by what and how fast; what is overdue; exceptions; which
 * enforcement points are there. Read from the record in pages that let other work through; what was left out is said. Uses are those that were
 * noted, so a use that no node could note is missing; overdue, exceptions and enforcement points are as they are now.
 */
import type { Clock } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import { readRecertification, recertificationEnd } from '../domain/recertification.ts';
import { replayPeriod, type End, type Period, type PeriodGrant, type Placed } from '../domain/reports/period.ts';
import { openReviewRef, readReview, reviewRef } from '../domain/review.ts';
import type { Store, StoredRecord } from '../store/port.ts';
import type { Coverage, MakeCoverage } from './coverage.ts';
import type { ListedException, Reports } from './reports.ts';
import { usedBy, useRef } from './use-notes.ts';

export interface EndedBy {
  readonly because: string;
  readonly selector?: string;
  readonly count: number;
  /** From the cause until it was enforced everywhere, at the latest; of revocations. */
  readonly longestMs?: number;
}

export interface EntitlementPeriod {
  /** Absent: grants without one. */
  readonly entitlement?: string;
  readonly issued: number;
  readonly used: number;
  /** Had not ended when the period did. */
  readonly live: number;
  readonly ended: readonly EndedBy[];
  /** Expired or revoked, and allowed once more after that was to be enforced. Always 0, or something is wrong. */
  readonly usedAfterEnd: number;
}

export interface Overdue {
  readonly kind: 'recertification' | 'emergency-review';
  readonly grant: string;
  readonly entitlement?: string;
  readonly who: string;
  readonly dueAt: Instant;
}

export interface PeriodReport extends Period, Coverage {
  readonly asOf: Instant;
  readonly entitlements: readonly EntitlementPeriod[];
  readonly placed: Placed;
  readonly overdue: readonly Overdue[];
  readonly exceptions: readonly ListedException[];
  /** The record is longer, or more grants lived at once, than was looked at. */
  readonly truncated: boolean;
}

export interface PeriodReportDeps {
  readonly store: Pick<Store, 'events' | 'facts' | 'read' | 'list'>;
  readonly clock: Clock;
  readonly reports: Pick<Reports, 'exceptions'>;
  readonly coverage: MakeCoverage;
  readonly eventsMax?: number;
}

/** The newest of the record; a period further back is told with what these say. */
export const PERIOD_EVENTS_MAX = 5_000_000;
const OVERDUE_MAX = 1_000;
const COVERED_MAX = 2_000;
const PAGE = 500;

const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Sum {
  issued: number;
  used: number;
  live: number;
  usedAfterEnd: number;
  readonly ended: Map<string, EndedBy>;
}

const addEnd = (ended: Map<string, EndedBy>, { because, selector, enforcedMs }: End): void => {
  const key = `${because} ${selector ?? ''}`;
  const before = ended.get(key);
  const longestMs = enforcedMs === undefined ? before?.longestMs : Math.max(enforcedMs, before?.longestMs ?? 0);
  ended.set(key, { because, count: (before?.count ?? 0) + 1, ...(selector === undefined ? {} : { selector }), ...(longestMs === undefined ? {} : { longestMs }) });
};

const numberIn = (record: StoredRecord | undefined, member: string): number | undefined => {
  const value = record?.value[member];
  return typeof value === 'number' ? value : undefined;
};

/** No allow may come later. Of closed tasks the record does not say how long that took. */
const refusedAfter = (end: End | undefined): number | undefined => {
  if (end?.because === 'grant.expired') return end.at;
  return end?.enforcedMs === undefined ? undefined : end.at + end.enforcedMs;
};

export const createPeriodReport = ({ store, clock, reports, coverage, eventsMax = PERIOD_EVENTS_MAX }: PeriodReportDeps) => {
  async function* listed(realm: string, kind: string): AsyncGenerator<readonly StoredRecord[]> {
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind, limit: PAGE, ...(after === undefined ? {} : { after }) });
      yield page.items;
      if (page.next === undefined) return;
      after = page.next;
      await breathe();
    }
  }

  const overdueIn = async (realm: string, now: Instant, ended: ReadonlySet<string>): Promise<readonly Overdue[]> => {
    const found: Overdue[] = [];
    for await (const page of listed(realm, 'recertification')) {
      for (const { value } of page) {
        const held = readRecertification(value);
        if (held === undefined || !(now < held.expiresAt) || now < recertificationEnd(held) || ended.has(held.grant)) continue;
        found.push({ kind: 'recertification', grant: held.grant, entitlement: held.entitlement, who: held.owner, dueAt: recertificationEnd(held) });
      }
      if (found.length > OVERDUE_MAX) return found;
    }
    for await (const page of listed(realm, openReviewRef('').kind)) {
      for (const record of await store.read(realm, page.map(({ key }) => reviewRef(key.id)))) {
        const review = readReview(record?.value);
        if (review === undefined || review.state !== 'open' || now < review.dueAt) continue;
        const { grant, entitlement, by, owners, dueAt } = review;
        found.push({ kind: 'emergency-review', grant, who: by ?? owners.at(-1) ?? '', dueAt, ...(entitlement === undefined ? {} : { entitlement }) });
      }
      if (found.length > OVERDUE_MAX) return found;
    }
    return found;
  };

  return async (realm: string, asked: Period): Promise<PeriodReport> => {
    const now = clock.now().latest;
    const period: Period = { from: asked.from, to: Math.min(asked.to, now) as Instant };
    const { position } = await store.facts({ realm, keys: [] });
    const first = Math.max(0, position.sequence - eventsMax);
    const replay = replayPeriod(period);
    for (let after = first; after < position.sequence; ) {
      const events = await store.events(realm, { after, limit: PAGE });
      for (const event of events) replay.take(event);
      const last = events.at(-1);
      if (last === undefined) break;
      after = last.sequence;
      await breathe();
    }

    const sums = new Map<string | undefined, Sum>();
    const lastUsed = new Map<string, Instant>();
    const ended = new Set<string>();
    let tooMany = false;
    const look = async (grants: readonly PeriodGrant[]): Promise<void> => {
      const uses = await store.read(realm, grants.map(({ id }) => useRef(id)));
      grants.forEach(({ id, entitlement, issuedAt, end }, index) => {
        let sum = sums.get(entitlement);
        if (sum === undefined) sums.set(entitlement, (sum = { issued: 0, used: 0, live: 0, usedAfterEnd: 0, ended: new Map() }));
        if (!(issuedAt < period.from)) sum.issued += 1;
        if (end === undefined) sum.live += 1;
        else {
          addEnd(sum.ended, end);
          ended.add(id);
        }
        const [firstAt, lastAt] = [numberIn(uses[index], 'firstAt'), numberIn(uses[index], 'lastAt')];
        if (firstAt === undefined || lastAt === undefined) return;
        if (firstAt < period.to && lastAt >= period.from) sum.used += 1;
        const refusedFrom = refusedAfter(end);
        if (refusedFrom !== undefined && lastAt > refusedFrom) sum.usedAfterEnd += 1;
        for (const [pep, span] of usedBy(uses[index]?.value)) {
          if (lastUsed.has(pep) || lastUsed.size < COVERED_MAX) lastUsed.set(pep, Math.max(span.lastAt, lastUsed.get(pep) ?? 0) as Instant);
          else tooMany = true;
        }
      });
    };
    let batch: PeriodGrant[] = [];
    for (const grant of replay.grants()) {
      batch.push(grant);
      if (batch.length < PAGE) continue;
      await look(batch);
      batch = [];
      await breathe();
    }
    await look(batch);

    const overdue = await overdueIn(realm, now, ended);
    return {
      ...period, asOf: now, placed: replay.placed(), exceptions: await reports.exceptions(realm), ...(await coverage(realm, now, lastUsed, new Map([...sums].flatMap(([id, { live }]) => (id === undefined ? [] : [[id, live]]))))), overdue: overdue.slice(0, OVERDUE_MAX),
      entitlements: [...sums].map(([entitlement, { ended: by, ...sum }]) => ({ ...(entitlement === undefined ? {} : { entitlement }), ...sum, ended: [...by.values()].toSorted((a, b) => b.count - a.count || a.because.localeCompare(b.because)) }))
        .toSorted((a, b) => (a.entitlement ?? '\uffff').localeCompare(b.entitlement ?? '\uffff')),
      truncated: first > 0 || replay.truncated() || tooMany || overdue.length > OVERDUE_MAX,
    };
  };
};
export type MakePeriodReport = ReturnType<typeof createPeriodReport>;
