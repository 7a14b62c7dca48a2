/**
 * Writes a decision as an HTTP answer, synchronously: status and headers leave in the tick in which the decision was made.
 * Allow is 200. A denial is 401 (with WWW-Authenticate) or 403, or the 4xx that the policy chose; never 2xx, whatever the
 * decision says. Outside development only the coarse reason leaves the house.
 */
import type { ServerResponse } from 'node:http';
import type { Allow, Decision, Deny } from '../../decision/evaluation.ts';
import { remainingMs, toRfc3339 } from '../../domain/instant.ts';
import { wireReason } from '../../domain/reasons.ts';
import { RETRY_AFTER_S } from '../admission.ts';
import { challenge, denialBody, denialStatus, toldReason } from '../denial.ts';
import { CLIENT_CARRIAGE } from '../envoy-carriage.ts';
import { isSteering } from './protocols.ts';

export interface AnswerOptions {
  /** Development: the fine reason and the grant are on the wire. */
  readonly fineReasons: boolean;
  /** The gateway understands no other denial than 401 and 403 (nginx). */
  readonly plainDenials: boolean;
  /** The gateway is Envoy's HTTP service, which takes the headers off the request that the answer names. */
  readonly removeByEnvoy: boolean;
}

/** May a policy set it on a denial? Those say what its body is or how to come back; the rest stays ours. */
const DENIAL_HEADERS: ReadonlySet<string> = new Set(['content-type', 'www-authenticate', 'location', 'content-encoding']);

/** `no-store` unless a gateway may keep the answer for at least a second: `max-age` has no finer unit. */
const cacheControl = (decision: Allow): string => {
  const seconds = Math.floor(remainingMs(decision.decidedAt, decision.cacheUntil) / 1_000);
  return seconds >= 1 ? `private, max-age=${seconds}` : 'no-store';
};

const writeAllow = (response: ServerResponse, decision: Allow, options: AnswerOptions): void => {
  const headers = [
    'x-curfew-decision-id', decision.id,
    'x-curfew-valid-until', toRfc3339(decision.validUntil),
    'x-curfew-valid-ms', String(remainingMs(decision.decidedAt, decision.validUntil)),
    'cache-control', cacheControl(decision),
    'content-length', '0',
  ];
  if (decision.maxStreamMs !== undefined) headers.push('x-curfew-max-stream-ms', String(decision.maxStreamMs));
  if (options.fineReasons && decision.grant !== undefined) headers.push('x-curfew-grant', decision.grant);
  const { shaping } = decision;
  for (const [name, value] of shaping.headers) headers.push(name, value);
  for (const [name, value] of shaping.responseHeaders) headers.push(name, value);
  // Other gateways can't take headers off a request, and never get an allow that asks for it.
  if (options.removeByEnvoy) headers.push('x-envoy-auth-headers-to-remove', [...CLIENT_CARRIAGE, ...shaping.removeHeaders].join(','));
  response.writeHead(200, headers);
  response.end();
};

const writeDeny = (response: ServerResponse, decision: Deny, options: AnswerOptions): void => {
  const chosen = denialStatus(decision);
  const status = options.plainDenials && chosen !== 401 ? 403 : chosen;
  const reason = toldReason(decision, options.fineReasons);
  const { shaping } = decision;
  const headers = ['x-curfew-decision-id', decision.id, 'x-curfew-reason', reason, 'cache-control', 'no-store', 'x-content-type-options', 'nosniff'];
  if (options.fineReasons && decision.grant !== undefined) headers.push('x-curfew-grant', decision.grant);
  const taken = new Set<string>();
  for (const [name, value] of shaping.headers) {
    const lower = name.toLowerCase();
    if (isSteering(lower) && !DENIAL_HEADERS.has(lower)) continue;
    taken.add(lower);
    headers.push(name, value);
  }
  if (status === 401 && !taken.has('www-authenticate')) headers.push('www-authenticate', challenge(decision));
  let body = shaping.body;
  if (body === undefined) {
    body = denialBody(decision, status, options.fineReasons);
    if (!taken.has('content-type')) headers.push('content-type', 'application/problem+json');
  } else if (!taken.has('content-type')) headers.push('content-type', 'text/plain; charset=utf-8');
  headers.push('content-length', String(Buffer.byteLength(body)));
  response.writeHead(status, headers);
  response.end(body);
};

export const writeDecision = (response: ServerResponse, decision: Decision, options: AnswerOptions): void => {
  if (response.headersSent || response.destroyed) return;
  if (decision.allow === true) writeAllow(response, decision, options);
  else writeDeny(response, decision, options);
};

const SHED_BODY = JSON.stringify({ title: 'too many questions are under way', status: 429, reason: wireReason('decision.shed') });

/** There is no room for one more question: nothing was decided. */
export const writeShed = (response: ServerResponse, plainDenials: boolean): void => {
  const body = plainDenials ? '' : SHED_BODY;
  const headers = ['cache-control', 'no-store', 'x-curfew-reason', wireReason('decision.shed'), 'retry-after', RETRY_AFTER_S, 'content-length', String(body.length)];
  if (!plainDenials) headers.push('content-type', 'application/problem+json');
  response.writeHead(plainDenials ? 403 : 429, headers);
  response.end(body);
};

/** The answer when there is no decision: something broke that must not. Reads nothing of the request. */
export const writeFailure = (response: ServerResponse): void => {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(403, ['cache-control', 'no-store', 'x-curfew-reason', 'unavailable', 'content-length', '0', 'connection', 'close']);
  response.end();
};
