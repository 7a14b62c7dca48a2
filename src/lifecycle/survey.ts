/**
 * Looks through the grants of a realm for reports: each with its state now, when it ended and when it was used. In pages that let other work
 * through, and no more than `SURVEY_MAX` in all; what was left out is said.
 */
import { readFacts } from '../decision/gather.ts';
import type { Clock, Policy } from '../decision/ports.ts';
import type { Grant } from '../domain/grant.ts';
import { endingRef, grantSelectors, taskRef } from '../domain/grant-refs.ts';
import type { Instant } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import { workloadSelectors } from '../domain/selector.ts';
import { taskHoldsUntil } from '../domain/task.ts';
import type { Store, StoredRecord } from '../store/port.ts';
import { readEnding, readGrant, readTask } from '../domain/records.ts';
import { grantState, stateRefs } from './grant-state.ts';
import { seenRef, useRef } from './use-notes.ts';
import type { GrantState } from './view.ts';

export interface SurveyRow {
  readonly grant: Grant;
  readonly state: GrantState;
  /** Of an ended one: when, and by what, which may have come before what its state says now. */
  readonly ended?: { readonly at: Instant; readonly because: Reason };
  readonly lastUsedAt?: Instant;
  /** Which of its scopes were used, by place. */
  readonly usedScopes: readonly number[];
  readonly workloadSeenAt?: Instant;
}

export interface Survey {
  readonly rows: readonly SurveyRow[];
  readonly truncated: boolean;
}

export interface SurveyDeps {
  readonly store: Pick<Store, 'list' | 'facts' | 'read'>;
  readonly clock: Clock;
  readonly policy: () => Pick<Policy, 'entitlement'> | undefined;
}

const PAGE = 200;
export const SURVEY_MAX = 50_000;

const lastOf = (record: StoredRecord | undefined): Instant | undefined => {
  const at = record?.value['lastAt'];
  return typeof at === 'number' ? (at as Instant) : undefined;
};

export const createSurvey = ({ store, clock, policy }: SurveyDeps) => {
  const rowsOf = async (realm: string, records: readonly StoredRecord[]): Promise<readonly SurveyRow[]> => {
    const understood = records.flatMap((record) => {
      const grant = readGrant(record.value);
      return grant === undefined ? [] : [{ record, grant }];
    });
    if (understood.length === 0) return [];
    const answer = await store.facts({ realm, keys: understood.flatMap(({ grant }) => [...stateRefs(grant), useRef(grant.id), seenRef(grant.workload)]) });
    const active = policy();
    const now = clock.now();
    /** The earliest of what ended it: what is said of it now may have come later. */
    const endOf = (grant: Grant, because: Reason, root: number): { readonly at: Instant; readonly because: Reason } => {
      const ends: { at: number; because: Reason }[] = [{ at: grant.expiresAt, because: 'grant.expired' }];
      const task = grant.task === undefined ? undefined : readTask(answer.records.get(`task/${taskRef(grant.task).id}`)?.value ?? {});
      if (task?.state === 'closed' && task.closedAt !== undefined) ends.push({ at: task.closedAt, because: task.closedBecause ?? 'task.closed' });
      else if (task !== undefined && task.state !== 'paused') ends.push({ at: taskHoldsUntil(task), because: task.heartbeatMs === undefined ? 'task.deadline' : 'task.heartbeat' });
      for (const selector of [...grantSelectors(grant), ...workloadSelectors(grant.workload), { kind: 'realm', value: grant.realm } as const]) {
        const record = answer.records.get(`ending/${endingRef(selector).id}`);
        if (record === undefined) continue;
        if (record.marked !== undefined && !(root > record.marked.sequence)) ends.push({ at: record.marked.at, because: 'grant.revoked' });
        // One whose suspensions were all lifted stops nothing now.
        if (because.endsWith('suspended') && readEnding(record.value)?.suspensions.length !== 0) ends.push({ at: record.modified.at, because });
      }
      const first = ends.filter(({ at }) => !(now.latest < at)).sort((a, b) => a.at - b.at)[0] ?? { at: now.latest, because };
      return { at: Math.max(grant.issuedAt, first.at) as Instant, because: first.because };
    };
    return understood.flatMap(({ record, grant }) => {
      const facts = readFacts({ ...answer, rows: [record] }, grant.workload);
      const [fact] = facts.grants;
      if (fact === undefined) return [];
      const state = grantState(fact, facts, now, (id) => active?.entitlement(id) !== undefined);
      const use = answer.records.get(`use/${grant.id}`);
      const scopes = use?.value['scopes'];
      const lastUsedAt = lastOf(use);
      const workloadSeenAt = lastOf(answer.records.get(`seen/${grant.workload}`));
      return [{
        grant, state, usedScopes: Array.isArray(scopes) ? (scopes as readonly number[]) : [],
        ...(state.state === 'ended' ? { ended: endOf(grant, state.endedBecause, fact.root) } : {}),
        ...(lastUsedAt === undefined ? {} : { lastUsedAt }), ...(workloadSeenAt === undefined ? {} : { workloadSeenAt }),
      }];
    });
  };

  return {
    rowsOf,
    /** Of the whole realm, or of what `wanted` takes. */
    all: async (realm: string, wanted: (grant: Grant) => boolean = () => true): Promise<Survey> => {
      const rows: SurveyRow[] = [];
      for (let after: string | undefined; ; ) {
        const page = await store.list(realm, { kind: 'grant', limit: PAGE, ...(after === undefined ? {} : { after }) });
        const taken = page.items.filter(({ value }) => {
          const grant = readGrant(value);
          return grant !== undefined && wanted(grant);
        });
        rows.push(...(await rowsOf(realm, taken)));
        if (page.next === undefined) return { rows, truncated: false };
        if (rows.length >= SURVEY_MAX) return { rows, truncated: true };
        after = page.next;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
};
export type SurveyRealm = ReturnType<typeof createSurvey>;
