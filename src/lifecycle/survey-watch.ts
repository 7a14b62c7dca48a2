/**
 * Looks through a realm now and then and tells, once each, what nobody would see otherwise: orphans, access that was revoked and is open some
 * other way, exceptions past their end; and ends orphans whose entitlement says so. Opens the steps for systems that must be told by hand.
 */
import type { Clock } from '../decision/ports.ts';
import { raise } from '../domain/alert.ts';
import type { Instant } from '../domain/instant.ts';
import { manualId, openManualRef, readStep, manualRef } from '../domain/lifecycle/manual-rules.ts';
import type { NodeStore } from '../store/port.ts';
import type { Lifecycle } from './lifecycle.ts';
import { newId } from './new-id.ts';
import type { Reports } from './reports.ts';
import { createRounds, type Rounds } from './rounds.ts';

export interface ManualSystem {
  readonly assignee: string;
  readonly withinMs: number;
}

export interface SurveyWatchDeps {
  readonly store: Pick<NodeStore, 'list' | 'read' | 'takeTurn'>;
  readonly clock: Clock;
  readonly lifecycle: Pick<Lifecycle, 'raiseOnce' | 'openStep' | 'revoke'>;
  readonly reports: Reports;
  readonly realms: readonly string[];
  readonly manualSystems: Readonly<Record<string, ManualSystem>>;
  /** Systems that must end what this entitlement gave. */
  readonly downstreamOf: (entitlement: string) => readonly string[];
  readonly everyMs: number;
  readonly onError: (error: unknown) => void;
}

export interface SurveyWatch extends Rounds {
  look(): Promise<void>;
}

const ACTOR = { kind: 'system', id: 'system:survey' } as const;
const TURN_ROUNDS = 3;
const TURN_MS_MIN = 60_000;
const PAGE = 200;

export const createSurveyWatch = (deps: SurveyWatchDeps): SurveyWatch => {
  const { store, clock, lifecycle, reports } = deps;
  const holder = newId(clock.now().latest);

  const tellOrphans = async (realm: string): Promise<void> => {
    for (const { grant, cause, action, scopes } of (await reports.orphans(realm)).items) {
      const data = { grant: grant.id, workload: grant.workload, owner: grant.owners.at(-1), entitlement: grant.entitlement, cause, action, ...(scopes === undefined ? {} : { scopes: scopes as never }) };
      await lifecycle.raiseOnce({ realm, actor: ACTOR }, (now) => raise('orphan.found', `${grant.id}:${cause}`, now, data, grant.owners));
      if (action === 'end') await lifecycle.revoke({ realm, actor: ACTOR }, { selector: { kind: 'grant', value: grant.id }, reason: `orphan: ${cause}` }, true);
    }
  };

  const tellResiduals = async (realm: string): Promise<void> => {
    for (const { grant, endedAt, endedBecause, grants, standing, groups } of (await reports.residuals(realm)).items) {
      const data = { grant: grant.id, workload: grant.workload, endedAt, endedBecause, grants, standing };
      if (groups.length > 0) await lifecycle.raiseOnce({ realm, actor: ACTOR }, (now) => raise('group.re-expands', grant.id, now, { ...data, groups }, grant.owners));
      // Somebody meant to end it. What ends by time beside another grant, such as the next job's, is in the report only.
      if (endedBecause === 'grant.revoked' && grants.length + standing.length > 0) await lifecycle.raiseOnce({ realm, actor: ACTOR }, (now) => raise('access.residual', grant.id, now, data, grant.owners));
    }
  };

  const tellExceptions = async (realm: string): Promise<void> => {
    for (const { id, kind, owner, end, state } of await reports.exceptions(realm)) {
      if (state !== 'ended') continue;
      await lifecycle.raiseOnce({ realm, actor: ACTOR }, (now) => raise('exception.ended', `${kind}:${id}:${end}`, now, { id, kind, owner, end }, [owner]));
    }
  };

  const openSteps = async (realm: string): Promise<void> => {
    const systemsOf = (entitlement: string | undefined): readonly string[] => (entitlement === undefined ? [] : deps.downstreamOf(entitlement).filter((name) => Object.hasOwn(deps.manualSystems, name)));
    if (Object.keys(deps.manualSystems).length === 0) return;
    const { rows } = await reports.survey(realm, ({ entitlement }) => systemsOf(entitlement).length > 0);
    for (const { grant, endedAt } of rows) {
      if (endedAt === undefined) continue;
      for (const system of systemsOf(grant.entitlement)) {
        const { assignee, withinMs } = deps.manualSystems[system] as ManualSystem;
        const id = manualId(grant.id, system);
        await lifecycle.openStep({ realm, actor: ACTOR }, { version: 1, id, grant: grant.id, workload: grant.workload, system, assignee, endedAt, dueAt: (endedAt + withinMs) as Instant, state: 'open' });
      }
    }
  };

  const tellSteps = async (realm: string): Promise<void> => {
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind: openManualRef('').kind, limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const record of await store.read(realm, page.items.map(({ key }) => manualRef(key.id)))) {
        const step = readStep(record?.value);
        if (step === undefined || clock.now().latest < step.dueAt) continue;
        const { id, grant, workload, system, assignee, dueAt } = step;
        await lifecycle.raiseOnce({ realm, actor: ACTOR }, (now) => raise('revocation.manual-overdue', id, now, { step: id, grant, workload, system, assignee, dueAt }, [assignee]));
      }
      if (page.next === undefined) return;
      after = page.next;
    }
  };

  const look = async (): Promise<void> => {
    if (!clock.now().trusted || (await store.takeTurn?.('survey', holder, Math.max(TURN_MS_MIN, deps.everyMs * TURN_ROUNDS))) === false) return;
    for (const realm of deps.realms) for (const part of [openSteps, tellSteps, tellOrphans, tellResiduals, tellExceptions]) await part(realm);
  };
  return { look, ...createRounds({ round: look, pauseMs: (tookMs) => Math.max(deps.everyMs, 10 * tookMs), monotonicMs: clock.monotonicMs, onError: deps.onError }) };
};
