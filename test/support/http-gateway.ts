/** A running HTTP gateway in front of a decision that the test makes, with every evaluation kept. */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import { EMPTY_SHAPING } from '../../src/decision/verdict.ts';
import type { Allow, Decision, Deny, Evaluation, Shaping } from '../../src/decision/evaluation.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { Reason } from '../../src/domain/reasons.ts';
import { pepConfig, routeConfig } from '../../src/gateways/config.ts';
import { httpListenerConfig } from '../../src/gateways/http/config.ts';
import { createHttpGateway } from '../../src/gateways/http/gateway.ts';
import type { HttpGatewayDeps, RunningHttpGateway } from '../../src/gateways/http/gateway.ts';
import { httpRules } from '../../src/gateways/http-question.ts';
import { createPepAuthenticator, type PepAuthenticator } from '../../src/gateways/pep.ts';

/** 2030-01-01T00:00:00.000Z: what the fake decisions take for now. */
export const NOW = 1_893_456_000_000 as Instant;

export const shapingOf = (shaping: Partial<Shaping> = {}): Shaping => ({ ...EMPTY_SHAPING, ...shaping });

export const allowing = (evaluation: Evaluation, more: Partial<Allow> = {}): Allow => ({
  id: evaluation.id, realm: evaluation.realm, decidedAt: NOW, shaping: EMPTY_SHAPING, policyRevision: 'test', allow: true,
  validUntil: (NOW + 5_000) as Instant, cacheUntil: NOW, ...more,
});

export const denying = (evaluation: Evaluation, reason: Reason, more: Partial<Deny> = {}): Deny => ({
  id: evaluation.id, realm: evaluation.realm, decidedAt: NOW, shaping: EMPTY_SHAPING, policyRevision: 'test', allow: false, reason, ...more,
});

/** As the pipeline begins: refused questions and missing credentials are denied; all else is up to the test. */
export const faultOf = (evaluation: Evaluation): Reason | undefined => {
  if (evaluation.refused !== undefined) return evaluation.refused;
  if (evaluation.question === undefined) return 'request.malformed';
  if (evaluation.presented.kind === 'none') return 'credential.missing';
  return evaluation.presented.kind === 'malformed' ? 'credential.malformed' : undefined;
};

export interface TestGateway {
  readonly port: number;
  readonly evaluations: Evaluation[];
  readonly running: RunningHttpGateway;
  close(): Promise<void>;
}

export interface TestGatewayOptions {
  readonly decide?: (evaluation: Evaluation) => Decision | Promise<Decision>;
  readonly listener?: z.input<typeof httpListenerConfig>;
  readonly peps?: readonly z.input<typeof pepConfig>[];
  readonly routes?: readonly z.input<typeof routeConfig>[];
  readonly fineReasons?: boolean;
  readonly selfService?: HttpGatewayDeps['selfService'];
  readonly ready?: HttpGatewayDeps['ready'];
  readonly admission?: HttpGatewayDeps['admission'];
  /** Protocols that ask in JSON, made of the decider and the rest. */
  readonly apis?: (parts: ApiParts) => HttpGatewayDeps['apis'];
}

export interface ApiParts {
  readonly decide: HttpGatewayDeps['decide'];
  readonly peps: PepAuthenticator;
  readonly rulesFor: ReturnType<typeof httpRules>;
  readonly realm: string | undefined;
  readonly fineReasons: boolean;
  readonly monotonicMs: () => number;
}

export const startGateway = async (options: TestGatewayOptions = {}): Promise<TestGateway> => {
  const evaluations: Evaluation[] = [];
  const judge = options.decide ?? ((evaluation: Evaluation) => allowing(evaluation));
  const peps = (options.peps ?? []).map((pep) => pepConfig.parse(pep));
  const decide: HttpGatewayDeps['decide'] = async (evaluation) => {
    evaluations.push(evaluation);
    const fault = faultOf(evaluation);
    return fault === undefined ? judge(evaluation) : denying(evaluation, fault);
  };
  const config = httpListenerConfig.parse({ port: 0, ...options.listener });
  const authenticator = createPepAuthenticator(peps, { readFile: () => '', env: () => undefined });
  const routes = (options.routes ?? []).map((route) => routeConfig.parse(route));
  const fineReasons = options.fineReasons ?? true;
  const gateway = createHttpGateway({
    decide, config, routes, fineReasons,
    peps: authenticator,
    apis: options.apis?.({ decide, peps: authenticator, rulesFor: httpRules(routes), realm: config.realm, fineReasons, monotonicMs: () => performance.now() }),
    ready: options.ready ?? (() => ({ ready: true })),
    selfService: options.selfService,
    ...(options.admission === undefined ? {} : { admission: options.admission }),
  });
  const running = await gateway.listen();
  return { port: running.port, evaluations, running, close: () => running.close() };
};

/** The header lines of a forward-auth question. */
export const forwarded = (uri: string, more: readonly string[] = [], method = 'GET', host = 'shop.local'): readonly string[] => [
  'Authorization: Bearer good', `X-Forwarded-Method: ${method}`, 'X-Forwarded-Proto: https', `X-Forwarded-Host: ${host}`, `X-Forwarded-Uri: ${uri}`, ...more,
];

export const temporaryPath = (name: string): string => join(tmpdir(), `curfew-${randomUUID().slice(0, 8)}-${name}`);
