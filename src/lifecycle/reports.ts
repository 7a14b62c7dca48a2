/** Reports over a realm as it is now: orphans, exceptions, what is still open, how standing access is. Read at the moment of asking. */
import type { Clock, Policy } from '../decision/ports.ts';
import type { StandingEntry } from '../decision/standing.ts';
import type { Grant } from '../domain/grant.ts';
import type { Instant } from '../domain/instant.ts';
import { readGraph, givenByGroups, type Given } from '../domain/reports/groups.ts';
import { orphansIn, residualsIn, sharesIn, type Orphan, type OrphanRule, type Residual, type Row, type Share, type Span } from '../domain/reports/reports.ts';
import { grantSelectors } from '../domain/grant-refs.ts';
import { isJsonObject } from '../domain/json.ts';
import { selectorKey, workloadSelectors, type Selector } from '../domain/selector.ts';
import type { NodeStore } from '../store/port.ts';
import { createSurvey } from './survey.ts';
import { standingUseRef } from './use-notes.ts';

export interface ConfiguredException {
  readonly id: string;
  readonly kind: string;
  readonly subject: string;
  readonly tier: string;
  readonly owner: string;
  readonly reason: string;
  readonly end: Instant;
}

/** Access that is not as it should be, and is known to be. */
export interface ListedException extends ConfiguredException {
  readonly state: 'standing' | 'ended';
  /** Of standing entries. */
  readonly lastUsedAt?: Instant;
}

export interface ReportDeps {
  readonly store: Pick<NodeStore, 'list' | 'facts' | 'read'>;
  readonly clock: Clock;
  readonly policy: () => Pick<Policy, 'entitlement'> | undefined;
  readonly standing: readonly StandingEntry[];
  readonly exceptions: readonly ConfiguredException[];
  /** Where an entitlement says nothing. */
  readonly orphans: Pick<OrphanRule, 'unusedMs' | 'unseenMs'>;
}

export interface Found<T> {
  readonly items: readonly T[];
  /** There are more grants than were looked at. */
  readonly truncated: boolean;
}

export interface Reports {
  survey(realm: string, wanted?: (grant: Grant) => boolean): Promise<{ readonly rows: readonly Row[]; readonly truncated: boolean }>;
  orphans(realm: string): Promise<Found<Orphan>>;
  residuals(realm: string): Promise<Found<Residual>>;
  shares(realm: string): Promise<Found<Share>>;
  exceptions(realm: string): Promise<readonly ListedException[]>;
}

const DAY = 24 * 3_600_000;
/** How long ago access may have ended to be looked for elsewhere, and over how long shares are measured. */
export const RESIDUAL_MS = 7 * DAY;
export const SHARE_MS = 30 * DAY;
const GRAPHS_MAX = 100;
const PEOPLE_AT_ONCE = 500;
const PAGE = 500;

export const createReports = (deps: ReportDeps): Reports => {
  const { store, clock, policy } = deps;
  const surveyed = createSurvey({ store, clock, policy });

  const survey: Reports['survey'] = async (realm, wanted) => {
    const { rows, truncated } = await surveyed.all(realm, wanted);
    return { truncated, rows: rows.map(({ state, ended, ...row }): Row => ({ ...row, live: state.state !== 'ended', ...(ended === undefined ? {} : { endedAt: ended.at, endedBecause: ended.because }) })) };
  };

  const ruleOf = (entitlement: string | undefined): OrphanRule => {
    const data = entitlement === undefined ? undefined : policy()?.entitlement(entitlement);
    const own = isJsonObject(data?.['orphan']) ? data['orphan'] : {};
    const { unusedMs, unseenMs, action } = own;
    return {
      unusedMs: typeof unusedMs === 'number' ? unusedMs : deps.orphans.unusedMs, unseenMs: typeof unseenMs === 'number' ? unseenMs : deps.orphans.unseenMs,
      action: action === 'end' ? 'end' : 'flag',
    };
  };

  /** Persons that the people source says are gone. One that it does not know is not. */
  const goneAmong = async (realm: string, persons: readonly string[]): Promise<ReadonlySet<string>> => {
    const gone = new Set<string>();
    for (let from = 0; from < persons.length; from += PEOPLE_AT_ONCE) {
      const records = await store.read(realm, persons.slice(from, from + PEOPLE_AT_ONCE).map((id) => ({ kind: 'person', id })));
      for (const record of records) if (record !== undefined && record.value['active'] !== true) gone.add(record.key.id);
    }
    return gone;
  };

  const given = async (realm: string): Promise<ReadonlyMap<string, readonly Given[]>> => {
    const all = new Map<string, Given[]>();
    for (const { value } of (await store.list(realm, { kind: 'group-graph', limit: GRAPHS_MAX })).items) {
      const graph = readGraph(value);
      for (const [workload, ways] of graph === undefined ? [] : givenByGroups(graph)) all.set(workload, [...(all.get(workload) ?? []), ...ways]);
    }
    return all;
  };

  /** When what was suspended, by selector; also what was lifted since. */
  const suspensions = async (realm: string, now: Instant): Promise<ReadonlyMap<string, readonly Span[]>> => {
    const spans = new Map<string, Span[]>();
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind: 'suspension', limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const { created, value: { selector, lifted } } of page.items) {
        if (!isJsonObject(selector)) continue;
        const key = selectorKey(selector as unknown as Selector);
        spans.set(key, [...(spans.get(key) ?? []), [created.at, isJsonObject(lifted) && typeof lifted['at'] === 'number' ? lifted['at'] : now]]);
      }
      if (page.next === undefined) return spans;
      after = page.next;
    }
  };

  const standingNow = (realm: string): readonly StandingEntry[] =>
    deps.standing.filter(({ match, end }) => clock.now().latest < end && (match.realms === undefined || match.realms.includes(realm)));

  return {
    survey,
    orphans: async (realm) => {
      const { rows, truncated } = await survey(realm);
      const gone = await goneAmong(realm, [...new Set(rows.filter(({ live }) => live).flatMap(({ grant }) => grant.owners.at(-1) ?? []))]);
      return { items: orphansIn(rows, (person) => gone.has(person), ruleOf, clock.now().latest), truncated };
    },
    residuals: async (realm) => {
      const { rows, truncated } = await survey(realm);
      const standing = standingNow(realm).map(({ id, match }) => ({ id, scopes: match.scopes }));
      return { items: residualsIn(rows, standing, await given(realm), (clock.now().latest - RESIDUAL_MS) as Instant), truncated };
    },
    shares: async (realm) => {
      const { rows, truncated } = await survey(realm);
      const now = clock.now().latest;
      const paused = await suspensions(realm, now);
      const pausesOf = (grant: Grant): readonly Span[] =>
        [...grantSelectors(grant), ...workloadSelectors(grant.workload), { kind: 'realm', value: grant.realm } as const].flatMap((selector) => paused.get(selectorKey(selector)) ?? []);
      return { items: sharesIn(rows, now, SHARE_MS, pausesOf), truncated };
    },
    exceptions: async (realm) => {
      const now = clock.now().latest;
      const stateAt = (end: Instant) => (now < end ? 'standing' as const : 'ended' as const);
      const entries = deps.standing.filter(({ match }) => match.realms === undefined || match.realms.includes(realm));
      const uses = await store.read(realm, entries.map(({ id }) => standingUseRef(id)));
      return [
        ...entries.map(({ id, match, identity, observe, owner, reason, end }, index): ListedException => {
          const lastUsedAt = uses[index]?.value['lastAt'];
          return {
            id, kind: observe ? 'observe' : 'standing-entry', subject: `${match.peps?.join(', ') ?? 'every enforcement point'}, identity ${identity}`, tier: 'critical', owner, reason, end, state: stateAt(end),
            ...(typeof lastUsedAt === 'number' ? { lastUsedAt: lastUsedAt as Instant } : {}),
          };
        }),
        ...deps.exceptions.map(({ id, kind, subject, tier, owner, reason, end }): ListedException => ({ id, kind, subject, tier, owner, reason, end, state: stateAt(end) })),
      ];
    },
  };
};
