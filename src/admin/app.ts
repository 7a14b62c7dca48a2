/**
 * The admin API: every endpoint, `/openapi.json`, health and metrics. It has its own listener, apart from decisions. What is not
 * a known route is a 404 problem; nothing but health, metrics and the document of the API answers without a credential.
 */
import { OpenAPIHono } from '@hono/zod-openapi';
import { alertEndpoints } from './alerts.ts';
import { bundleEndpoints, type RefreshBundles } from './bundles.ts';
import { clockEndpoints, type ResetClock } from './clock.ts';
import type { FindDecision } from './decisions.ts';
import { decisionEndpoints, type Explain } from './decisions.ts';
import { addEndpoint, type EndpointDeps } from './endpoint.ts';
import { endingEndpoints } from './endings.ts';
import { entitlementEndpoints } from './entitlements.ts';
import { grantEndpoints } from './grants.ts';
import { directoryEndpoints } from './directory.ts';
import { operatorEndpoints } from './operators.ts';
import { recordEndpoints, type RecordSource } from './record.ts';
import { ANSWER_HEADERS, jsonAnswer, problemAnswer, type Problem } from './problem.ts';
import { refuseRequest } from './request-guard.ts';
import { periodReportEndpoints } from './period-report.ts';
import { reportEndpoints } from './reports.ts';
import { recertificationEndpoints } from './recertifications.ts';
import { reviewEndpoints } from './reviews.ts';
import { requestEndpoints, type BreakGlass } from './requests.ts';
import { statusEndpoints, type NodeStatus } from './status.ts';
import { taskEndpoints } from './tasks.ts';
import type { ActiveEntitlements } from '../lifecycle/entitlements.ts';
import type { Directory } from '../lifecycle/directory.ts';
import type { Requests } from '../lifecycle/requests.ts';
import type { Inspect } from '../lifecycle/inspect.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { MakePeriodReport } from '../lifecycle/period-report.ts';
import type { Reports } from '../lifecycle/reports.ts';
import type { Store } from '../store/port.ts';

export interface Health {
  readonly ok: boolean;
  readonly detail?: string;
  /** Of a node: would an anchor tell that its store was put back? */
  readonly rollback?: 'detectable' | 'undetectable';
}

export interface AdminDeps extends EndpointDeps {
  readonly lifecycle: Lifecycle;
  readonly requests: Requests;
  readonly directory: Directory;
  readonly breakGlass: BreakGlass;
  readonly entitlements: () => ActiveEntitlements | undefined;
  readonly inspect: Inspect;
  readonly store: Pick<Store, 'list' | 'read' | 'epoch'>;
  readonly explain: Explain;
  readonly findDecision: FindDecision;
  readonly resetClock: ResetClock;
  readonly refreshBundles: RefreshBundles;
  readonly status: NodeStatus;
  readonly record: RecordSource;
  readonly reports: Reports;
  readonly periodReport: MakePeriodReport;
  /** Entitlements for emergencies are tried at least so often. */
  readonly drillEveryMs: number;
  /** Prometheus exposition. */
  readonly metrics?: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly live?: () => Health;
  readonly ready?: () => Health | Promise<Health>;
  readonly version: string;
}

const healthAnswer = (health: Health): Response =>
  jsonAnswer(health.ok ? 200 : 503, { status: health.ok ? 'ok' : 'unavailable', ...(health.detail === undefined ? {} : { detail: health.detail }), ...(health.rollback === undefined ? {} : { rollback: health.rollback }) });

export const createAdminApp = (deps: AdminDeps): OpenAPIHono => {
  const app = new OpenAPIHono();
  const open = (path: string, respond: () => Response | Promise<Response>): void => {
    app.get(path, async (context) => {
      const refused = refuseRequest(context.req.raw.headers, deps.guard);
      return refused === undefined ? respond() : problemAnswer(refused);
    });
  };

  const endpoints = [
    ...taskEndpoints(deps.lifecycle, deps.inspect),
    ...grantEndpoints(deps.lifecycle, deps.inspect),
    ...endingEndpoints(deps.lifecycle, deps.inspect),
    ...entitlementEndpoints(deps.entitlements),
    ...requestEndpoints(deps.requests, deps.breakGlass),
    ...directoryEndpoints(deps.directory),
    ...operatorEndpoints(deps.lifecycle, deps.store),
    ...decisionEndpoints(deps.explain, deps.findDecision),
    ...clockEndpoints(deps.resetClock),
    ...bundleEndpoints(deps.refreshBundles),
    ...statusEndpoints(deps.status),
    ...alertEndpoints(deps.lifecycle, deps.store),
    ...recordEndpoints(deps.record),
    ...reportEndpoints({ lifecycle: deps.lifecycle, reports: deps.reports, store: deps.store, now: () => deps.clock.now().latest }),
    ...periodReportEndpoints(deps.periodReport, () => deps.clock.now().latest),
    ...recertificationEndpoints({ lifecycle: deps.lifecycle, store: deps.store, now: () => deps.clock.now().latest }),
    ...reviewEndpoints({ lifecycle: deps.lifecycle, store: deps.store, now: () => deps.clock.now().latest, drillEveryMs: deps.drillEveryMs }),
  ];
  for (const definition of endpoints) addEndpoint(app, definition, deps);

  app.openAPIRegistry.registerComponent('securitySchemes', 'operator', { type: 'http', scheme: 'bearer' });
  let document: string | undefined;
  open('/openapi.json', () => {
    document ??= JSON.stringify(app.getOpenAPI31Document({
      openapi: '3.1.0',
      info: { title: 'Curfew admin API', version: deps.version, description: 'Instants are RFC 3339 with milliseconds, durations whole milliseconds (`...Ms`). Every write takes an Idempotency-Key.' },
    }));
    return new Response(document, { headers: { ...ANSWER_HEADERS, 'content-type': 'application/json' } });
  });
  const { metrics, live, ready } = deps;
  if (metrics !== undefined) {
    open('/metrics', async () => {
      const { contentType, text } = await metrics();
      return new Response(text, { headers: { ...ANSWER_HEADERS, 'content-type': contentType } });
    });
  }
  if (live !== undefined) open('/health/live', () => healthAnswer(live()));
  if (ready !== undefined) open('/health/ready', async () => healthAnswer(await ready()));

  const methods = new Map<string, readonly string[]>();
  for (const { path, method } of app.routes) methods.set(path, [...(methods.get(path) ?? []), method]);
  for (const [path, allowed] of methods) {
    const problem: Problem = { code: 'method-not-allowed', detail: `here only ${allowed.join(', ')} is served`, headers: { allow: allowed.join(', ') } };
    app.all(path, () => problemAnswer(problem));
  }
  app.notFound(() => problemAnswer({ code: 'not-found', detail: 'there is no such resource; the API is described at /openapi.json' }));
  app.onError((error) => {
    deps.onError(error);
    return problemAnswer({ code: 'internal', detail: 'an unexpected failure' });
  });
  return app;
};
