/** What the supervisor administers with: lifecycle, admin API, housekeeping. Rebuilt on reload; the store and the clock stay. */
import { createAdminApp } from '../admin/app.ts';
import { bootstrapOperator, developmentOperator, firstOf, oidcOperator } from '../admin/authenticate-operator.ts';
import type { RefreshBundles } from '../admin/bundles.ts';
import { createSealer } from '../audit/record/sealer.ts';
import { createShipper } from '../audit/ship.ts';
import { createFindDecision } from '../audit/find-decision.ts';
import { composeDecider, defaultRealm, lifecycleDeps, type Core } from '../compose.ts';
import type { Policy, Quarantine } from '../decision/ports.ts';
import { createCoverage } from '../lifecycle/coverage.ts';
import { createCompactor } from '../lifecycle/compact.ts';
import { createMender } from '../lifecycle/mend.ts';
import { createForgetter } from '../lifecycle/forget.ts';
import { createDirectory } from '../lifecycle/directory.ts';
import { entitlementOf } from '../lifecycle/issuing.ts';
import { createInspect } from '../lifecycle/inspect.ts';
import { createLifecycle } from '../lifecycle/lifecycle.ts';
import { createPeopleFile } from '../lifecycle/people-file.ts';
import { createRequests } from '../lifecycle/requests.ts';
import { newId } from '../lifecycle/new-id.ts';
import { together, type Rounds } from '../lifecycle/rounds.ts';
import { createReviewWatch } from '../lifecycle/review-watch.ts';
import { createPeriodReport } from '../lifecycle/period-report.ts';
import { createReports } from '../lifecycle/reports.ts';
import { createSurveyWatch } from '../lifecycle/survey-watch.ts';
import { createSweeper } from '../lifecycle/sweeper.ts';
import { errorText, type Log } from '../telemetry/log.ts';
import type { Sources } from '../policy/toolchain/toolchain.ts';
import type { SupervisorMetrics } from '../telemetry/metrics.ts';
import { createAlerting } from './alerting.ts';
import { openCanaries } from './canaries.ts';
import { createResetClock } from './clock-reset.ts';
import { createExplain } from './explain.ts';
import type { WorkerHealth } from './messages.ts';
import type { OperatorToken } from './operator-token.ts';
import type { OpenRecord } from './record.ts';
import { createPolicyTrace, type PolicyTrace } from './policy-trace.ts';
import { createSignals } from './signals.ts';
import { createStatus, type NodeWatch } from './status.ts';
import { openUseWatch } from './use-watch.ts';

export interface AdministrationParts {
  readonly policy: () => Policy | undefined;
  readonly operatorToken: OperatorToken | undefined;
  readonly health: () => Promise<WorkerHealth>;
  /** To every worker of this node: the wall clock is accepted as it is. */
  readonly resetWorkerClocks: () => void;
  readonly refreshBundles: RefreshBundles;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly alertMetrics: SupervisorMetrics['alerts'];
  readonly canaryMetrics: SupervisorMetrics['canaries'];
  readonly node: () => NodeWatch;
  /** What the active bundle was compiled of here. */
  readonly rego: () => Sources | undefined;
  readonly version: string;
  readonly record: OpenRecord;
  readonly log: Log;
}

export interface Administration {
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** Webhooks of sources outside. */
  readonly receiveSignal: (request: Request) => Promise<Response>;
  readonly housekeeping: Rounds;
  readonly trace: PolicyTrace;
}

/** The supervisor's policy has a budget of its own, so nothing here needs to be watched. */
const UNWATCHED: Quarantine = { enter: () => true, leave: () => undefined };

const DAY_MS = 86_400_000;
const FORGET_PAUSE_MS = 60_000;
const MEND_PAUSE_MS = 500;
const COMPACT_PAUSE_MS = 600_000;

/** Of any issuer, in milliseconds; a development identity's is as short. */
const longestCredential = ({ identity, limits }: Core['config']): number =>
  limits.credentialSkewMs + Math.max(DAY_MS, ...identity.issuers.flatMap((issuer) => [issuer.maxCredentialAgeMs, 'maxCertificateAgeMs' in issuer ? issuer.maxCertificateAgeMs : 0]));

const downstreamOf = (policy: Policy | undefined, id: string): readonly string[] => {
  const systems = policy?.entitlement(id)?.['downstream'];
  return Array.isArray(systems) ? systems.filter((name) => typeof name === 'string') : [];
};

/** Of the active bundle, those for emergencies. */
const emergencyEntitlements = (policy: Policy | undefined): readonly string[] =>
  policy === undefined ? [] : policy.entitlementIds().filter((id) => policy.entitlement(id)?.['model'] === 'break-glass');

/** Who hears that a grant of this entitlement has to be confirmed, beside its owner. */
const answerableFor = (policy: Policy | undefined, id: string): readonly string[] => {
  const entitlement = policy === undefined ? undefined : entitlementOf(id, policy);
  return typeof entitlement === 'object' ? [entitlement.owner, entitlement.fallbackOwner, ...entitlement.alerts] : [];
};

export const createAdministration = (core: Core, parts: AdministrationParts): Administration => {
  const { config, clock, store, authenticator } = core;
  const { policy, operatorToken, log } = parts;
  const onError = (what: string) => (error: unknown): void => log.error(what, { detail: errorText(error) });
  const lifecycle = createLifecycle(lifecycleDeps(core, policy));
  const requests = createRequests(lifecycleDeps(core, policy));
  const directory = createDirectory(lifecycleDeps(core, policy));
  const inspect = createInspect({ store, clock, policy, deciders: core.deciders });
  const decider = composeDecider(core, { policy, sink: { write: () => undefined }, quarantine: UNWATCHED });
  const { decisionLog, admin } = config;
  const reports = createReports({ store, clock, policy, standing: config.standing, exceptions: config.exceptions, orphans: config.lifecycle.orphans });
  const held = operatorToken === undefined ? [] : [(operatorToken.kind === 'development' ? developmentOperator : bootstrapOperator)(operatorToken.held, clock)];
  const authenticate = firstOf([
    ...held,
    oidcOperator({ authenticator, config: admin.operators, clock, store, credentialSkewMs: config.limits.credentialSkewMs }),
  ]);
  const app = createAdminApp({
    guard: { allowedHosts: admin.allowedHosts, allowedOrigins: admin.allowedOrigins },
    realms: new Set(config.realms),
    defaultRealm: defaultRealm(config),
    authenticate, policy, clock, lifecycle, inspect, store,
    entitlements: policy, requests, directory,
    breakGlass: { keys: config.lifecycle.breakGlass.keys, open: core.mode === 'development', now: () => clock.now().latest },
    explain: createExplain(decider, decisionLog.redactHeaders),
    status: (realm) => createStatus({ node: parts.node(), clock, store, authenticator, rollback: parts.record.rollback })(realm),
    refreshBundles: parts.refreshBundles,
    record: { store, keyId: parts.record.signer.keyId, publicJwk: parts.record.signer.publicJwk, rollback: parts.record.rollback },
    resetClock: createResetClock({ lifecycle, clock, tellWorkers: parts.resetWorkerClocks }),
    findDecision: decisionLog.to === 'file' && decisionLog.path !== undefined
      ? createFindDecision({ path: decisionLog.path, tailBytesMax: decisionLog.tailBytesMax })
      : async () => undefined,
    reports,
    periodReport: createPeriodReport({
      store, clock, reports,
      coverage: createCoverage({
        store, peps: config.peps, standing: config.standing, canaries: config.canaries, systems: config.lifecycle.systems, tiers: config.lifecycle.caps.tiers,
        downstreamOf: (id) => downstreamOf(policy(), id), entitlementIds: () => policy()?.entitlementIds() ?? [],
      }),
    }),
    drillEveryMs: config.lifecycle.breakGlass.drillEveryMs,
    metrics: parts.metrics,
    live: () => ({ ok: true }),
    ready: async () => {
      const { ready, faults } = await parts.health();
      return { ok: ready, rollback: parts.record.rollback, ...(faults.length === 0 ? {} : { detail: faults.join('; ') }) };
    },
    onError: onError('an admin request failed'),
    version: parts.version,
  });
  const roundFailed = onError('a round of housekeeping failed');
  const { realms } = config;
  const signals = createSignals(core, lifecycle, log, { requests, policy });
  const housekeeping = together([
    createSweeper({ store, clock, lifecycle, requests, realms, intervalMs: config.lifecycle.sweepIntervalMs, onError: roundFailed }),
    createCompactor({ store, clock, realms, keepEndedMs: config.lifecycle.keepEndedMs, credentialMs: longestCredential(config), grantMs: config.lifecycle.caps.maxGrantMs, pauseMs: COMPACT_PAUSE_MS, onError: roundFailed }),
    createSealer({ store, clock, realms, signer: parts.record.signer, anchors: parts.record.anchors, holder: newId(clock.now().latest), everyMs: config.record.sealEveryMs, onError: onError('the record can not be sealed or anchored') }),
    createMender({
      store, clock, realms, intervalMs: MEND_PAUSE_MS, onError: roundFailed,
      onMended: (realm, { putBack, accepted }) => log.warn('the store had lost what had ended; this node has put back what it knew', { realm, putBack, accepted }),
    }),
    ...(config.lifecycle.directory.file === undefined ? [] : [createPeopleFile({
      path: config.lifecycle.directory.file, directory, store, realms, pauseMs: config.lifecycle.sweepIntervalMs, monotonicMs: clock.monotonicMs, onError: onError('the people source was not taken over'),
    })]),
    ...(decisionLog.http === undefined || decisionLog.path === undefined ? [] : [createShipper({
      path: decisionLog.path, config: decisionLog.http, monotonicMs: clock.monotonicMs, onError: onError('the decision log is not sent now'),
    })]),
    ...openUseWatch(core, lifecycle, onError('access logs can not be held against the decision log now')),
    ...openCanaries(core, { lifecycle, metrics: parts.canaryMetrics, onError: onError('a canary can not be run') }),
    createForgetter({ store, clock, realms, pauseMs: FORGET_PAUSE_MS, onError: roundFailed }),
    createReviewWatch({
      store, clock, lifecycle, realms, config: config.lifecycle.breakGlass, intervalMs: config.lifecycle.sweepIntervalMs, onError: roundFailed,
      entitlements: () => emergencyEntitlements(policy()),
      answerable: (id) => answerableFor(policy(), id),
      holds: async (realm, id) => {
        const grant = await inspect.grant(realm, id);
        return grant?.['state'] !== 'ended' || grant['endedBecause'] === 'grant.recertification';
      },
    }),
    signals.rounds,
    createSurveyWatch({
      store, clock, lifecycle, reports, realms, manualSystems: config.lifecycle.manualSystems, everyMs: config.lifecycle.surveyMs, onError: roundFailed,
      downstreamOf: (id) => downstreamOf(policy(), id),
    }),
    createAlerting(core, { log, metrics: parts.alertMetrics }),
  ]);
  return { fetch: (request) => app.fetch(request), receiveSignal: signals.receive, housekeeping, trace: createPolicyTrace({ authenticate, sources: parts.rego }) };
};
