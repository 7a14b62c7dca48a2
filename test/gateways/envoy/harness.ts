/** The Envoy gateway on a free port, in front of a `decide` that the test writes. */
import { createEnvoyGateway } from '../../../src/gateways/envoy/gateway.ts';
import { envoyGatewayConfig } from '../../../src/gateways/envoy/config.ts';
import type { GrpcBodies } from '../../../src/gateways/envoy/grpc-body.ts';
import { startEnvoyGateway, type EnvoyListeners } from '../../../src/gateways/envoy/start.ts';
import { routeConfig } from '../../../src/gateways/config.ts';
import { createPepAuthenticator, pepConfig } from '../../../src/gateways/pep.ts';
import type { Decision, Evaluation, Shaping } from '../../../src/decision/evaluation.ts';
import type { Instant } from '../../../src/domain/instant.ts';
import type { Reason } from '../../../src/domain/reasons.ts';
import type { GrpcTls } from '../../../src/grpc/server.ts';

export const NO_SHAPING: Shaping = { headers: [], responseHeaders: [], removeHeaders: [], setQuery: [], removeQuery: [], obligations: [] };

export const DECIDED_AT = Date.parse('2026-11-21T10:00:00.000Z') as Instant;

export const allowed = (evaluation: Evaluation, shaping: Partial<Shaping> = {}, validMs = 60_000): Decision => ({
  allow: true, id: evaluation.id, realm: evaluation.realm, decidedAt: DECIDED_AT, workload: 'spiffe://test/ci', grant: 'grant-1',
  shaping: { ...NO_SHAPING, ...shaping }, policyRevision: 'r1', position: 'e:1',
  validUntil: (DECIDED_AT + validMs) as Instant, cacheUntil: DECIDED_AT,
  ...(evaluation.question?.stream?.maxMs === undefined ? {} : { maxStreamMs: evaluation.question.stream.maxMs }),
});

export const denied = (evaluation: Evaluation, reason: Reason, shaping: Partial<Shaping> = {}): Decision => ({
  allow: false, id: evaluation.id, realm: evaluation.realm, decidedAt: DECIDED_AT, reason, shaping: { ...NO_SHAPING, ...shaping }, policyRevision: 'r1',
});

/** As the real `decide`: what the adapter refused is denied with that reason. */
export const unlessRefused = (then: (evaluation: Evaluation) => Decision) => (evaluation: Evaluation): Decision => {
  if (evaluation.refused !== undefined) return denied(evaluation, evaluation.refused);
  return evaluation.question === undefined ? denied(evaluation, 'request.malformed') : then(evaluation);
};

export interface RunningGateway extends EnvoyListeners {
  /** Every evaluation that was asked for, in order. */
  readonly evaluations: Evaluation[];
}

export interface GatewayOptions {
  readonly config?: Record<string, unknown>;
  readonly peps?: readonly Record<string, unknown>[];
  readonly routes?: readonly Record<string, unknown>[];
  readonly fineReasons?: boolean;
  readonly tls?: GrpcTls;
  readonly grpcBodies?: GrpcBodies;
}

export const startGateway = async (decide: (evaluation: Evaluation) => Decision | Promise<Decision>, options: GatewayOptions = {}): Promise<RunningGateway> => {
  const config = envoyGatewayConfig.parse({ port: 0, ...options.config });
  const peps = (options.peps ?? []).map((pep) => pepConfig.parse(pep));
  const routes = (options.routes ?? []).map((route) => routeConfig.parse(route));
  const evaluations: Evaluation[] = [];
  const gateway = createEnvoyGateway({
    decide: async (evaluation) => {
      evaluations.push(evaluation);
      return decide(evaluation);
    },
    config,
    pep: createPepAuthenticator(peps, { readFile: () => '', env: () => undefined }),
    rulesFor: (pep) => ({ routes, hosts: pep === undefined || pep.hosts.includes('*') ? 'any' : new Set(pep.hosts) }),
    fineReasons: options.fineReasons ?? true,
    grpcBodies: options.grpcBodies,
  });
  const listeners = await startEnvoyGateway({ config, gateway, tls: options.tls });
  listeners.setServing(true);
  return { ...listeners, evaluations };
};
