/**
 * From an HTTP request, as a gateway describes it, to one question. Guarantee: what is asked about is what the backend will
 * see, or the request is refused. Shared by all gateways for HTTP requests; reads no body. Not covered: a method override in a
 * query or body (`_method=DELETE`), which only the backend knows about.
 */
import type { Question } from '../decision/evaluation.ts';
import type { PepConfig } from './config.ts';
import { canonicalAuthority, parseScheme } from '../domain/authority.ts';
import type { Scheme } from '../domain/authority.ts';
import type { Reason } from '../domain/reasons.ts';
import { RESOURCE_ID_CHARS_MAX } from '../domain/scope.ts';
import { routeRequest } from '../domain/route.ts';
import type { Route } from '../domain/route.ts';

export { routeConfig } from './config.ts';

export interface RawHttpRequest {
  readonly method: string;
  readonly scheme: string;
  /** Host with optional port, as the gateway reports it. */
  readonly authority: string;
  /** Path and query, undecoded. */
  readonly target: string;
  /** By lower-case name, one entry a header line. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** Address of the end client. */
  readonly source?: string | undefined;
}

export interface HttpQuestionRules {
  readonly routes: readonly Route[];
  /** Canonical authorities that the enforcement point may ask about. */
  readonly hosts: 'any' | ReadonlySet<string>;
}

export interface HttpQuestion {
  readonly ok: true;
  readonly question: Question;
  readonly scheme: Scheme;
  /** Canonical authority. */
  readonly host: string;
  readonly canonicalPath: string;
  readonly segments: readonly string[];
  /** As sent. */
  readonly rawPath: string;
  readonly query: string | undefined;
  /** Id of the route that matched. */
  readonly route: string | undefined;
}

export type HttpQuestionOutcome = HttpQuestion | { readonly ok: false; readonly reason: Reason };

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const METHOD_OVERRIDES: ReadonlySet<string> = new Set(['x-http-method-override', 'x-http-method', 'x-method-override']);
/** Some frameworks take the path from these. */
const PATH_OVERRIDES: ReadonlySet<string> = new Set(['x-original-url', 'x-rewrite-url']);
const DASHED = /^[a-z0-9-]*$/;

type Headers = RawHttpRequest['headers'];

/** CGI, WSGI, Rack and PHP keep headers as `HTTP_X_NAME`: to them `x_http_method` and `x.http.method` are `x-http-method`. */
const hasAny = (headers: Headers, names: ReadonlySet<string>): boolean => {
  for (const name of headers.keys()) if (names.has(DASHED.test(name) ? name : name.replaceAll(/[^a-z0-9]/g, '-'))) return true;
  return false;
};

const mentions = (headers: Headers, name: string, pattern: RegExp): boolean =>
  headers.get(name)?.some((value) => pattern.test(value)) === true;

type Stream = 'none' | 'stream' | { readonly upgrades: readonly string[] };

const streamOf = (method: string, scheme: Scheme, headers: Headers): Stream => {
  const upgrades = headers.get('upgrade');
  if (upgrades !== undefined) return { upgrades: upgrades.flatMap((value) => value.split(',')).map((name) => name.trim().toLowerCase()) };
  if (scheme === 'ws' || scheme === 'wss') return { upgrades: ['websocket'] };
  if (method === 'CONNECT') return { upgrades: ['connect'] };
  const streams = mentions(headers, 'accept', /text\/event-stream/i) || mentions(headers, 'content-type', /^\s*application\/grpc/i);
  return streams ? 'stream' : 'none';
};

const streamFits = (stream: Stream, route: Route | undefined): boolean => {
  if (stream === 'none') return true;
  if (route?.maxStreamMs === undefined) return false;
  return stream === 'stream' || stream.upgrades.every((name) => route.upgrade.has(name));
};

const refuse = (reason: Reason): HttpQuestionOutcome => ({ ok: false, reason });

export const buildHttpQuestion = (raw: RawHttpRequest, rules: HttpQuestionRules): HttpQuestionOutcome => {
  const { method, headers, source } = raw;
  const scheme = parseScheme(raw.scheme);
  if (scheme === undefined || !METHOD.test(method)) return refuse('request.malformed');
  const host = canonicalAuthority(raw.authority, scheme);
  if (host === undefined) return refuse('request.ambiguous');
  if (rules.hosts !== 'any' && !rules.hosts.has(host)) return refuse('pep.not_permitted');
  const routed = routeRequest(rules.routes, { method, host, target: raw.target });
  if (!('target' in routed)) return refuse(routed.reason);
  const { target, route, action, resource } = routed;
  if (resource.id.length > RESOURCE_ID_CHARS_MAX) return refuse('request.too_large');
  if (hasAny(headers, PATH_OVERRIDES)) return refuse('request.ambiguous');
  if (route?.methodOverride !== 'ignore' && hasAny(headers, METHOD_OVERRIDES)) return refuse('request.ambiguous');
  const stream = streamOf(method, scheme, headers);
  if (!streamFits(stream, route)) return refuse('request.stream');
  // A route with maxStreamMs is known to stream, also where no header says so.
  const question: { -readonly [K in keyof Question]: Question[K] } = { action, resource };
  if (route?.maxStreamMs !== undefined) question.stream = { maxMs: route.maxStreamMs };
  if (source !== undefined) question.source = source;
  return {
    ok: true, question, scheme, host, canonicalPath: target.path, segments: target.segments,
    rawPath: target.rawPath, query: target.query, route: route?.id,
  };
};

/** The rules for each enforcement point, made once; an anonymous one has no binding and may ask about any host. */
export const httpRules = (routes: readonly Route[]): ((pep: PepConfig | undefined) => HttpQuestionRules) => {
  const open: HttpQuestionRules = { routes, hosts: 'any' };
  const known = new WeakMap<PepConfig, HttpQuestionRules>();
  return (pep) => {
    if (pep === undefined) return open;
    let rules = known.get(pep);
    if (rules === undefined) {
      rules = pep.hosts.includes('*') ? open : { routes, hosts: new Set(pep.hosts) };
      known.set(pep, rules);
    }
    return rules;
  };
};
