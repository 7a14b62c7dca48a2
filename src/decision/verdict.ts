/**
 * What a policy's result means. Yes is literal `true`, or an object whose `allow` and `allowed`, where present, are all
 * literally true with at least one present. Everything else is no; known members of the wrong shape are malformed.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';
import type { Shaping } from './evaluation.ts';

export interface Verdict {
  readonly yes: boolean;
  /** The grant the policy relies on. */
  readonly grant?: string;
  readonly maxCacheMs?: number;
  readonly shaping: Shaping;
}

export type ReadVerdict = { readonly ok: true; readonly verdict: Verdict } | { readonly ok: false; readonly reason: Reason };

export const EMPTY_SHAPING: Shaping = {
  headers: [], responseHeaders: [], removeHeaders: [], setQuery: [], removeQuery: [], obligations: [],
};

const MALFORMED: ReadVerdict = { ok: false, reason: 'policy.malformed' };
export const PAIRS_MAX = 100;
export const BODY_CHARS_MAX = 64 * 1024;

type Pairs = readonly (readonly [string, string])[];

/** `{name: "v"}`, `{name: ["v", "w"]}`, or an array of such objects, as opa-envoy-plugin takes them. */
const readPairs = (value: JsonValue | undefined): Pairs | undefined => {
  if (value === undefined) return [];
  const objects = Array.isArray(value) ? (value as readonly JsonValue[]) : [value];
  const pairs: [string, string][] = [];
  for (const object of objects) {
    if (!isJsonObject(object)) return undefined;
    for (const [name, given] of Object.entries(object)) {
      for (const text of Array.isArray(given) ? given : [given]) {
        if (typeof text !== 'string') return undefined;
        pairs.push([name, text]);
      }
    }
  }
  return pairs.length > PAIRS_MAX ? undefined : pairs;
};

const readTexts = (value: JsonValue | undefined): readonly string[] | undefined => {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > PAIRS_MAX || !value.every((item) => typeof item === 'string')) return undefined;
  return value;
};

const readShaping = (result: JsonObject): Shaping | undefined => {
  const headers = readPairs(result['headers']);
  const responseHeaders = readPairs(result['response_headers_to_add']);
  const removeHeaders = readTexts(result['request_headers_to_remove']);
  const setQuery = readPairs(result['query_parameters_to_set']);
  const removeQuery = readTexts(result['query_parameters_to_remove']);
  const { body, http_status: status, dynamic_metadata: metadata, obligations = [], reasons } = result as {
    body?: JsonValue; http_status?: JsonValue; dynamic_metadata?: JsonValue; obligations?: JsonValue; reasons?: JsonValue;
  };
  if (headers === undefined || responseHeaders === undefined || removeHeaders === undefined || setQuery === undefined || removeQuery === undefined) return undefined;
  if (body !== undefined && (typeof body !== 'string' || body.length > BODY_CHARS_MAX)) return undefined;
  if (status !== undefined && !(typeof status === 'number' && Number.isInteger(status))) return undefined;
  if (metadata !== undefined && !isJsonObject(metadata)) return undefined;
  if (!Array.isArray(obligations) || obligations.length > PAIRS_MAX) return undefined;
  if (!obligations.every((item: unknown) => isJsonObject(item) && typeof item['type'] === 'string')) return undefined;
  if (reasons !== undefined && !Array.isArray(reasons)) return undefined;
  return {
    headers, responseHeaders, removeHeaders, setQuery, removeQuery,
    obligations: obligations as readonly JsonObject[],
    ...(body === undefined ? {} : { body }),
    ...(status === undefined ? {} : { httpStatus: status }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(reasons === undefined ? {} : { reasons }),
  };
};

export const readVerdict = (value: JsonValue): ReadVerdict => {
  if (typeof value === 'boolean') return { ok: true, verdict: { yes: value, shaping: EMPTY_SHAPING } };
  if (!isJsonObject(value)) return MALFORMED;
  const answers = ['allow', 'allowed'].filter((name) => Object.hasOwn(value, name)).map((name) => value[name]);
  if (answers.length === 0 || !answers.every((answer) => typeof answer === 'boolean')) return MALFORMED;
  const { grant, max_cache_ms: maxCacheMs } = value as { grant?: JsonValue; max_cache_ms?: JsonValue };
  if (grant !== undefined && typeof grant !== 'string') return MALFORMED;
  if (maxCacheMs !== undefined && !(typeof maxCacheMs === 'number' && Number.isSafeInteger(maxCacheMs) && maxCacheMs >= 0)) return MALFORMED;
  const shaping = readShaping(value);
  if (shaping === undefined) return MALFORMED;
  return {
    ok: true,
    verdict: {
      yes: answers.every((answer) => answer === true),
      shaping,
      ...(grant === undefined ? {} : { grant }),
      ...(maxCacheMs === undefined ? {} : { maxCacheMs }),
    },
  };
};

/** Of a rule that need not decide (OPA's data, under a standing entry): no only where it says no, and nothing in it is taken for more than data. */
export const plainVerdict = (value: JsonValue): ReadVerdict => {
  const said = isJsonObject(value) ? ['allow', 'allowed'].filter((name) => Object.hasOwn(value, name)).map((name) => value[name]) : [value !== false];
  return { ok: true, verdict: { yes: said.every((answer) => answer === true), shaping: EMPTY_SHAPING } };
};
