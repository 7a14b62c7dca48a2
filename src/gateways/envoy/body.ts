/**
 * `parsed_body` and `truncated_body`. Parsed are JSON, forms, multipart forms, and messages of gRPC that are described; other types give `null`, as does an empty body
 * (the gateway need not send it). What can't be parsed, or could be read in two ways, denies.
 */
import { isJson, type JsonValue } from '../../domain/json.ts';
import type { Reason } from '../../domain/reasons.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import type { HttpAttributes } from './check-request.ts';
import type { BodyLimits } from './config.ts';
import { parseForm } from './form.ts';
import type { GrpcBodies } from './grpc-body.ts';
import type { RequestHeaders } from './headers.ts';
import { parseMediaType, parseMultipart } from './multipart.ts';

export interface Body {
  readonly value?: JsonValue;
  readonly truncated: boolean;
  readonly refused?: Reason;
}

const NOTHING: Body = { truncated: false };
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const refused = (reason: Reason): Body => ({ truncated: false, refused: reason });

const parse = (type: string, parameters: ReadonlyMap<string, string>, bytes: Buffer, limits: BodyLimits): Body => {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    // A file in a multipart form may hold any bytes.
    if (type !== 'multipart/form-data') return refused('request.malformed');
    text = '';
  }
  if (type === 'application/json') {
    const value = parseStrictJson(text, { depthMax: limits.maxDepth, exactIntegers: true });
    if (value !== undefined) return { value, truncated: false };
    return refused(isJson(text) ? 'request.ambiguous' : 'request.malformed');
  }
  if (type === 'application/x-www-form-urlencoded') {
    const form = parseForm(text, limits.maxParts);
    return form === undefined ? refused('request.ambiguous') : { value: form, truncated: false };
  }
  const boundary = parameters.get('boundary');
  const parts = boundary === undefined ? undefined : parseMultipart(bytes, boundary, limits);
  return parts === undefined ? refused('request.malformed') : { value: parts, truncated: false };
};

const PARSED = new Set(['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data']);
const CHARSETS = new Set(['utf-8', 'us-ascii', 'utf8']);

const GRPC = new Set(['application/grpc', 'application/grpc+proto']);

const grpcBody = (http: HttpAttributes, bytes: Buffer, limits: BodyLimits, bodies: GrpcBodies): Body => {
  if (bytes.length > limits.maxBytes) return refused('request.too_large');
  const message = bodies((http.path ?? '').split('?', 1)[0] as string, bytes);
  if (message.kind === 'malformed') return refused('request.malformed');
  if (message.kind === 'truncated') return { truncated: true };
  return message.kind === 'value' ? { value: message.value, truncated: false } : NOTHING;
};

/** `bodies`: what describes messages of gRPC, where it is configured. */
export const readBody = (http: HttpAttributes, { byName }: RequestHeaders, limits: BodyLimits, bodies?: GrpcBodies): Body => {
  // Envoy says so itself when it forwarded less than there was.
  if (byName.get('x-envoy-auth-partial-body')?.some((value) => value.includes('true')) === true) return { truncated: true };
  const contentType = byName.get('content-type')?.[0];
  if (contentType === undefined) return NOTHING;
  const media = parseMediaType(contentType);
  if (media === undefined) return refused('request.ambiguous');
  const described = bodies !== undefined && GRPC.has(media.type);
  if (!described && !PARSED.has(media.type)) return NOTHING;
  const bytes = http.rawBody === undefined ? Buffer.from(http.body ?? '', 'utf8') : Buffer.from(http.rawBody, 'base64');
  if (described) return grpcBody(http, bytes, limits, bodies);
  if (bytes.length === 0) return NOTHING;
  const declared = byName.get('content-length')?.[0];
  if (declared !== undefined) {
    if (!/^\d{1,15}$/.test(declared)) return refused('request.ambiguous');
    if (Number(declared) > bytes.length) return { truncated: true };
  }
  if (bytes.length > limits.maxBytes) return refused('request.too_large');
  const charset = media.parameters.get('charset');
  if (charset !== undefined && !CHARSETS.has(charset.toLowerCase())) return refused('request.ambiguous');
  try {
    return parse(media.type, media.parameters, bytes, limits);
  } catch {
    return refused('request.too_large');
  }
};
