/**
 * Writes a decision as an HTTP answer, synchronously: status and headers leave in the tick in which the decision was made.
 * Allow is 200. A denial is 401 (with WWW-Authenticate) or 403, or the 4xx that the policy chose; never 2xx, whatever the
 * decision says. Outside development only the coarse reason leaves the house.
 */
import type { ServerResponse } from 'node:http';
import type { Allow, Decision, Deny } from '../../decision/evaluation.ts';
import { remainingMs, toRfc3339 } from '../../domain/instant.ts';
import { reasonText, wireReason } from '../../domain/reasons.ts';
import { isSteering } from './protocols.ts';

export interface AnswerOptions {
  /** Development: the fine reason and the grant are on the wire. */
  readonly fineReasons: boolean;
  /** The gateway understands no other denial than 401 and 403 (nginx). */
  readonly plainDenials: boolean;
}

const isDenial = (status: number | undefined): status is number => status !== undefined && status >= 400 && status <= 499;

/** May a policy set it on a denial? Those say what its body is or how to come back; the rest stays ours. */
const DENIAL_HEADERS: ReadonlySet<string> = new Set(['content-type', 'www-authenticate', 'location', 'content-encoding']);

const challenge = (reason: Deny['reason']): string =>
  reason === 'credential.missing' ? 'Bearer realm="curfew"' : 'Bearer realm="curfew", error="invalid_token"';

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
  // Envoy's HTTP service takes these off the request; other gateways never get such an allow.
  if (shaping.removeHeaders.length > 0) headers.push('x-envoy-auth-headers-to-remove', shaping.removeHeaders.join(','));
  response.writeHead(200, headers);
  response.end();
};

const denialStatus = (decision: Deny, options: AnswerOptions): number => {
  const usual = wireReason(decision.reason) === 'unauthenticated' ? 401 : 403;
  const { httpStatus } = decision.shaping;
  if (!isDenial(httpStatus)) return usual;
  return options.plainDenials && httpStatus !== 401 && httpStatus !== 403 ? usual : httpStatus;
};

const writeDeny = (response: ServerResponse, decision: Deny, options: AnswerOptions): void => {
  const status = denialStatus(decision, options);
  const reason = options.fineReasons ? decision.reason : wireReason(decision.reason);
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
  if (status === 401 && !taken.has('www-authenticate')) headers.push('www-authenticate', challenge(decision.reason));
  let body = shaping.body;
  if (body === undefined) {
    const title = options.fineReasons ? reasonText(decision.reason) : 'access denied';
    body = JSON.stringify({ title, status, decision_id: decision.id, reason });
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

/** The answer when there is no decision: something broke that must not. Reads nothing of the request. */
export const writeFailure = (response: ServerResponse): void => {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(403, ['cache-control', 'no-store', 'x-curfew-reason', 'unavailable', 'content-length', '0', 'connection', 'close']);
  response.end();
};
