/** The whole configuration, assembled from what each module says about itself. */
import { z } from 'zod';
import { adminConfig } from '../admin/config.ts';
import { alertsConfig } from '../alerts/config.ts';
import { accessLogsConfig, decisionLogConfig } from '../audit/config.ts';
import { recordConfig } from '../audit/record/config.ts';
import { canariesConfig } from '../canary/config.ts';
import { pepConfig, routeConfig } from '../gateways/config.ts';
import { authzenConfig } from '../gateways/authzen/config.ts';
import { envoyGatewayConfig } from '../gateways/envoy/config.ts';
import { opaConfig } from '../gateways/opa/config.ts';
import { httpListenerConfig } from '../gateways/http/config.ts';
import { kubernetesConfig } from '../gateways/kubernetes/config.ts';
import { identityConfig } from '../identity/config.ts';
import { lifecycleConfig } from '../lifecycle/config.ts';
import { policyConfig } from '../policy/config.ts';
import { signalsConfig } from '../signals/config.ts';
import { storeConfig } from '../store/config.ts';
import { logConfig } from '../telemetry/config.ts';
import { tracesConfig } from '../telemetry/traces/config.ts';
import { exceptionConfig } from './exceptions.ts';
import { limitsConfig } from './limits.ts';
import { standingConfig } from './standing.ts';

const WORKERS_MAX = 256;

export const configSchema = z.strictObject({
  realms: z
    .array(z.string().regex(/^[A-Za-z0-9._-]{1,128}$/, 'must be letters, digits, dots, dashes and underscores'))
    .min(1)
    .max(1_000)
    .default(['default'])
    .describe('Units of isolation: trust domains or tenants. A question for another realm denies.'),
  workers: z.int().min(1).max(WORKERS_MAX).optional().describe('Processes that decide. Absent: as many as there are processors.'),
  http: httpListenerConfig.describe('The listener for decisions over HTTP (forward-auth, ext_authz over HTTP), self-service and health.'),
  grpc: envoyGatewayConfig.prefault({}).describe('The listener for Envoy ext_authz over gRPC.'),
  authzen: authzenConfig.describe('AuthZEN, on the HTTP listener.'),
  opa: opaConfig.describe("OPA's REST API, on the HTTP listener."),
  kubernetes: kubernetesConfig.describe('The webhook authorizer of Kubernetes, on the HTTP listener.'),
  admin: adminConfig.prefault({}),
  peps: z.array(pepConfig).max(1_000).default([]).describe('Enforcement points: who may ask, and what each may say about a request.'),
  routes: z.array(routeConfig).max(10_000).default([]).describe('How requests map to actions and resources; the first match counts.'),
  identity: identityConfig.prefault({}),
  policy: policyConfig.prefault({}),
  store: storeConfig.prefault({}).describe('Where grants, tasks and endings are kept.'),
  lifecycle: lifecycleConfig.prefault({}),
  exceptions: z.array(exceptionConfig).max(1_000).default([]).describe('Access that is not as it should be, with an owner, a tier, a reason and an end: batch, legacy, third-party OAuth, shared accounts. They describe; they allow nothing.'),
  canaries: canariesConfig,
  alerts: alertsConfig.prefault({}),
  signals: signalsConfig.prefault({}),
  standing: z.array(standingConfig).max(1_000).default([]).describe('Exceptions to "no allow without a live grant", each with an owner, a reason and an end.'),
  limits: limitsConfig,
  decisionLog: decisionLogConfig.prefault({}).describe('Where every decision is written down.'),
  accessLogs: accessLogsConfig.prefault({}),
  record: recordConfig.prefault({}),
  traces: tracesConfig.optional(),
  log: logConfig.describe('What the process says about itself.'),
});

export type Config = z.output<typeof configSchema>;
