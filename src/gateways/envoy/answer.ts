/**
 * Decision to CheckResponse. A denial is always a `denied_response` with a 4xx; `error_response`, which Envoy's
 * `failure_mode_allow` would turn into an allow, is never used.
 */
import type { Decision, Deny } from '../../decision/evaluation.ts';
import { remainingMs, toRfc3339 } from '../../domain/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { wireReason, type Reason } from '../../domain/reasons.ts';
import { encoder } from '../../grpc/proto/schema.ts';
import { GRPC_STATUS, type GrpcStatus } from '../../grpc/status.ts';
import { RETRY_AFTER_S } from '../admission.ts';
import { challenge, denialBody, denialStatus, toldReason } from '../denial.ts';
import { CLIENT_CARRIAGE, STREAM_TIMEOUT } from '../envoy-carriage.ts';

export interface AnswerOptions {
  /** Development: the fine reason and the grant are on the wire. In production only the coarse reason is. */
  readonly fineReasons: boolean;
  /** Client headers of Curfew's own family. */
  readonly ownHeaders: readonly string[];
  /** The request opens a stream: Envoy is told to end it with the access. */
  readonly stream: boolean;
}

interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string };
  readonly append?: { readonly value: boolean };
}

/** In Curfew's family; removed from every request that is allowed unless the answer itself sets them. */
const OWN_HEADERS = [
  'x-curfew-decision-id', 'x-curfew-valid-until', 'x-curfew-valid-ms', 'x-curfew-max-stream-ms', 'x-curfew-grant', 'x-curfew-reason', 'x-curfew-pep-token',
] as const;

const encode = encoder('envoy.service.auth.v3.CheckResponse');

/** `append` rather than `append_action`, which Envoy 1.40 does not heed for the headers of an allow; both are understood everywhere else. */
const option = (key: string, value: string, append = false): HeaderOption => ({ header: { key, value }, append: { value: append } });

/** Percent-encoded UTF-8; a lone surrogate becomes U+FFFD. */
const queryPart = (text: string): string => encodeURIComponent(Buffer.from(text, 'utf8').toString('utf8'));

/** For requests: the first line of a name replaces what the client sent, further ones join it. */
const replacing = (pairs: readonly (readonly [string, string])[]): HeaderOption[] => {
  const seen = new Set<string>();
  return pairs.map(([name, value]) => {
    const key = name.toLowerCase();
    const again = seen.has(key);
    seen.add(key);
    return option(key, value, again);
  });
};

/** For responses: a line beside those that are there, as `set-cookie` needs it. */
const adding = (pairs: readonly (readonly [string, string])[]): HeaderOption[] => pairs.map(([name, value]) => ({ header: { key: name.toLowerCase(), value } }));

const structValue = (value: JsonValue): Record<string, unknown> => {
  if (value === null) return { nullValue: 0 };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return isJsonObject(value) ? { structValue: struct(value) } : { listValue: { values: value.map(structValue) } };
};

const struct = (object: JsonObject): { fields: Record<string, unknown> } => {
  const fields = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of Object.entries(object)) if (value !== undefined) fields[name] = structValue(value);
  return { fields };
};

const metadata = (decision: Decision, { fineReasons }: AnswerOptions): { fields: Record<string, unknown> } =>
  struct({
    ...decision.shaping.metadata,
    decision_id: decision.id,
    ...(decision.workload === undefined ? {} : { workload: decision.workload }),
    ...(decision.allow ? { valid_until_ms: decision.validUntil } : { reason: toldReason(decision, fineReasons) }),
    ...(decision.grant === undefined || (!decision.allow && !fineReasons) ? {} : { grant: decision.grant }),
    ...(decision.allow && decision.standing !== undefined ? { standing: decision.standing } : {}),
  });

const denied = (decision: Deny, answer: AnswerOptions): Uint8Array => {
  const status = denialStatus(decision);
  const { shaping } = decision;
  const body = shaping.body ?? denialBody(decision, status, answer.fineReasons);
  const headers = [
    ...(shaping.body === undefined ? [option('content-type', 'application/problem+json')] : []),
    option('cache-control', 'no-store'),
    ...(status === 401 ? [option('www-authenticate', challenge(decision))] : []),
    ...adding(shaping.headers),
    option('x-curfew-decision-id', decision.id),
    option('x-curfew-reason', toldReason(decision, answer.fineReasons)),
    ...(answer.fineReasons && decision.grant !== undefined ? [option('x-curfew-grant', decision.grant)] : []),
  ];
  return encode({
    status: { code: status === 401 ? GRPC_STATUS.UNAUTHENTICATED : GRPC_STATUS.PERMISSION_DENIED },
    deniedResponse: { status: { code: status }, headers, body },
    dynamicMetadata: metadata(decision, answer),
  });
};

export const checkResponse = (decision: Decision, answer: AnswerOptions): Uint8Array => {
  if (!decision.allow) return denied(decision, answer);
  const { shaping } = decision;
  const validMs = remainingMs(decision.decidedAt, decision.validUntil);
  const streamMs = Math.max(1, Math.min(validMs, decision.maxStreamMs ?? validMs));
  const upstream = [
    ...replacing(shaping.headers),
    option('x-curfew-decision-id', decision.id),
    option('x-curfew-valid-until', toRfc3339(decision.validUntil)),
    option('x-curfew-valid-ms', String(validMs)),
    ...(answer.fineReasons && decision.grant !== undefined ? [option('x-curfew-grant', decision.grant)] : []),
    ...(decision.maxStreamMs === undefined ? [] : [option('x-curfew-max-stream-ms', String(decision.maxStreamMs))]),
    ...(answer.stream ? [option(STREAM_TIMEOUT, String(streamMs))] : []),
  ];
  // Envoy sets before it removes: what was set here must not be in the list.
  const set = new Set(upstream.map(({ header }) => header.key));
  const remove = new Set([...OWN_HEADERS, ...CLIENT_CARRIAGE, ...answer.ownHeaders, ...shaping.removeHeaders.map((name) => name.toLowerCase())].filter((name) => !set.has(name)));
  return encode({
    status: { code: GRPC_STATUS.OK },
    okResponse: {
      headers: upstream,
      headersToRemove: [...remove],
      responseHeadersToAdd: [...adding(shaping.responseHeaders), option('x-curfew-decision-id', decision.id)],
      // Envoy writes them into the path as they are.
      queryParametersToSet: shaping.setQuery.map(([key, value]) => ({ key: queryPart(key), value: queryPart(value) })),
      queryParametersToRemove: shaping.removeQuery.map(queryPart),
    },
    dynamicMetadata: metadata(decision, answer),
  });
};

const emptyDenial = (id: string, code: GrpcStatus, status: number, reason: Reason, ...more: readonly HeaderOption[]): Uint8Array =>
  encode({
    status: { code },
    deniedResponse: { status: { code: status }, headers: [option('cache-control', 'no-store'), option('x-curfew-decision-id', id), option('x-curfew-reason', wireReason(reason)), ...more] },
  });

/** A denial that depends on nothing, for when there is no decision or no way to write it. */
export const bareDenial = (id: string): Uint8Array => emptyDenial(id, GRPC_STATUS.PERMISSION_DENIED, 403, 'decision.failed');

/** There is no room for one more question. A denial, since Envoy may be told to let failed calls pass. */
export const shedDenial = (id: string): Uint8Array => emptyDenial(id, GRPC_STATUS.RESOURCE_EXHAUSTED, 429, 'decision.shed', option('retry-after', RETRY_AFTER_S));
