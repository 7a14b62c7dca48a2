/**
 * OPA's REST API as OPA's clients know it: documents of the active bundle, decided like everything else. A path that the configuration lists
 * is governed by what its input asks for, any other by its own name; the answer says by what. Writing and compiling are not served.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { Decider } from '../../decision/decide.ts';
import type { Decision } from '../../decision/evaluation.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import type { Reason } from '../../domain/reasons.ts';
import type { PepConfig } from '../config.ts';
import { RETRY_AFTER_S } from '../admission.ts';
import { writeJson, type HttpApi } from '../http/api.ts';
import type { Emission } from '../http/emission.ts';
import { identifyCaller, traceOf } from '../http/caller.ts';
import { pathOf, type HttpRequest } from '../http/request.ts';
import type { HttpQuestionRules } from '../http-question.ts';
import type { PepAuthenticator } from '../pep.ts';
import { pointerSteps } from '../subject.ts';
import { decisionHeaders, INPUT_MISSING, opaError, resultOf, warningOf, type OpaErrorCode } from './answer.ts';
import { parametersOf, readAsk, sinceNs, type Ask, type Style } from './ask.ts';
import type { OpaConfig } from './config.ts';
import { pathMatches } from './path.ts';
import { opaEvaluation, opaRefusal, type OpaAsker } from './question.ts';
import { serveNode, type OpaNode } from './node.ts';
import { createTracing, noTraceMessage, OPERATOR_HEADER, type TraceDeps, type Traced } from './trace.ts';

export interface OpaDeps {
  readonly decide: Decider['decide'];
  /** Told of every answer; absent: nobody wants to know. */
  readonly emitted?: Emission | undefined;
  readonly config: OpaConfig;
  readonly peps: PepAuthenticator;
  readonly rulesFor: (pep: PepConfig | undefined) => HttpQuestionRules;
  /** Of the listener; `undefined` leaves it to the enforcement point. */
  readonly realm: string | undefined;
  readonly fineReasons: boolean;
  readonly monotonicMs: () => number;
  readonly node: OpaNode;
  /** Absent: nothing is traced. */
  readonly tracing?: TraceDeps;
}

const isOn = (parameters: URLSearchParams, name: string): boolean => parameters.has(name) && !/^(?:false|0|off)$/i.test(parameters.get(name) ?? '');

/** OPA compresses answers from this size on. */
const GZIP_BYTES_MIN = 1_024;

const writeOpa = (request: HttpRequest, response: ServerResponse, status: number, value: unknown, headers: readonly string[] = []): void => {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(value, undefined, isOn(parametersOf(request.target), 'pretty') ? 2 : undefined);
  const takesGzip = (request.headers.get('accept-encoding') ?? []).some((line) => /(?:^|,)\s*gzip\s*(?:,|$|;\s*q=(?:1|0\.\d*[1-9]))/i.test(line));
  if (!takesGzip || text.length < GZIP_BYTES_MIN) return writeJson(response, status, text, headers);
  const packed = gzipSync(text);
  response.writeHead(status, ['content-type', 'application/json', 'content-encoding', 'gzip', 'cache-control', 'no-store', 'content-length', String(packed.length), ...headers]);
  response.end(packed);
};

interface Route {
  readonly style: Style;
  readonly path: string | undefined;
}

const DATA_CHARS = '/v1/data'.length;

const routeOf = (path: string, { defaultDecision }: OpaConfig): Route | undefined => {
  if (path === '/') return { style: 'v0', path: defaultDecision };
  if (path === '/v1/query') return { style: 'query', path: undefined };
  const style = path.startsWith('/v1/data') ? 'v1' : path.startsWith('/v0/data') ? 'v0' : undefined;
  if (style !== undefined && (path.length === DATA_CHARS || path[DATA_CHARS] === '/')) return { style, path: path.slice(DATA_CHARS) };
  return undefined;
};

/** A query that binds nothing holds, or does not: OPA then tells no value. That of a denial does not hold, whatever else was said. */
const bindingsOf = ({ variable }: Ask, decision: Decision, result: JsonValue | undefined): JsonObject | undefined => {
  if (result === undefined) return undefined;
  if (variable !== undefined) return { [variable]: result };
  return decision.allow === true && result !== false ? {} : undefined;
};

const NO_TRACED_QUERY = 'no trace: `explain` is not offered on /v1/query, only on /v1/data';

/** Not served, whatever the method. */
const ELSEWHERE = /^\/v1\/(?:compile|policies|batch)(?:\/|$)/;

export const createOpa = (deps: OpaDeps): HttpApi => {
  const { config, decide, fineReasons } = deps;
  const credentialAt = pointerSteps(config.credentialAt);
  const tracing = deps.tracing && createTracing(deps.tracing);
  const formOf = (path: string) => config.paths.find((entry) => pathMatches(entry.path, path))?.question;

  const refuse = async (request: HttpRequest, response: ServerResponse, asker: OpaAsker, reason: Reason, status: number, code: OpaErrorCode, message: string): Promise<void> => {
    const evaluation = opaRefusal(randomUUID(), reason, asker);
    const write = (): void => {
      const headers = ['x-curfew-decision-id', evaluation.id];
      if (evaluation.refused !== 'pep.unauthenticated') return writeOpa(request, response, status, opaError(code, message), headers);
      return writeOpa(request, response, 401, opaError('unauthorized', 'the enforcement point did not prove who it is'), [...headers, 'www-authenticate', 'Bearer realm="curfew"']);
    };
    await decide(evaluation, write).then(write);
    deps.emitted?.(response, evaluation.id);
  };

  /** The members beside the result. */
  const extras = (request: HttpRequest, ask: Ask, decision: Decision, startedMs: number, traced: Traced | undefined): JsonObject => {
    const parameters = parametersOf(request.target);
    const members: Record<string, JsonValue> = { decision_id: decision.id };
    if (parameters.size > 0) {
      const handlerNs = sinceNs(startedMs, deps.monotonicMs);
      const explain = parameters.get('explain');
      if (isOn(parameters, 'metrics') || isOn(parameters, 'instrument')) {
        members['metrics'] = { timer_rego_input_parse_ns: ask.parseNs, timer_rego_query_eval_ns: Math.max(0, handlerNs - ask.parseNs), timer_server_handler_ns: handlerNs };
      }
      if (isOn(parameters, 'provenance')) {
        const bundles = { curfew: { revision: decision.policyRevision } };
        members['provenance'] = { version: deps.node.version, build_commit: '', build_timestamp: '', build_hostname: '', bundles };
      }
      if (explain !== null && explain !== '' && explain !== 'off') {
        const trace = traced !== undefined && 'trace' in traced ? traced.trace : undefined;
        members['explanation'] = trace ?? [];
        if (trace === undefined) members['warning'] = warningOf(ask.style === 'query' ? NO_TRACED_QUERY : noTraceMessage(traced));
      }
    }
    if (ask.inputMissing && ask.style === 'v1' && request.method === 'POST') members['warning'] = INPUT_MISSING;
    return members;
  };

  const write = (request: HttpRequest, response: ServerResponse, ask: Ask, decision: Decision, startedMs: number, traced: Traced | undefined): void => {
    const headers = decisionHeaders(decision, fineReasons);
    if (!decision.allow && decision.reason === 'pep.unauthenticated') {
      return writeOpa(request, response, 401, opaError('unauthorized', 'the enforcement point did not prove who it is'), [...headers, 'www-authenticate', 'Bearer realm="curfew"']);
    }
    const result = resultOf(decision);
    if (ask.style === 'v0') {
      return result === undefined
        ? writeOpa(request, response, 404, opaError('undefined_document', 'document undefined'), headers)
        : writeOpa(request, response, 200, result, headers);
    }
    const members = extras(request, ask, decision, startedMs, traced);
    if (ask.style === 'v1') return writeOpa(request, response, 200, { ...(result === undefined ? {} : { result }), ...members }, headers);
    const { decision_id: _id, ...told } = members;
    const bindings = bindingsOf(ask, decision, result);
    return writeOpa(request, response, 200, { ...(bindings === undefined ? {} : { result: [bindings] }), ...told }, headers);
  };

  const answer = async (request: HttpRequest, incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const startedMs = deps.monotonicMs();
    const caller = identifyCaller(request, deps.peps, deps.realm);
    const asker: OpaAsker = { caller, rules: deps.rulesFor(caller.config), credentialAt, base: { ...traceOf(request), arrivedMs: startedMs } };
    const path = pathOf(request.target);
    const route = routeOf(path, config);
    if (request.tooLarge || caller.fault === 'pep.unauthenticated') {
      response.shouldKeepAlive = false;
      return refuse(request, response, asker, 'request.too_large', 431, 'invalid_parameter', 'too many header lines');
    }
    if (route === undefined) return refuse(request, response, asker, 'request.malformed', 501, 'invalid_operation', 'this is not served: policies come in bundles');
    const methods = path === '/' ? ['POST'] : ['GET', 'POST'];
    if (!methods.includes(request.method)) return refuse(request, response, asker, 'request.malformed', 405, 'invalid_operation', `only ${methods.join(' and ')}`);
    const read = await readAsk(route.style, route.path, request, incoming, config.bodyBytesMax, deps.monotonicMs);
    if (!read.ok) {
      const { status, code, message, unread = false } = read.fault;
      if (unread) response.shouldKeepAlive = false;
      return refuse(request, response, asker, status === 413 ? 'request.too_large' : 'request.malformed', status, code, message);
    }
    const { ask } = read;
    const made = ask.path === undefined ? opaRefusal(randomUUID(), 'request.malformed', asker) : opaEvaluation(randomUUID(), ask.path, formOf(ask.path), ask.input, asker);
    let evaluation = made;
    let traced: Traced | undefined;
    if (tracing !== undefined && ask.style === 'v1' && request.headers.has(OPERATOR_HEADER)) {
      const parameters = parametersOf(request.target);
      traced = await tracing(request, made, parameters.get('explain'), isOn(parameters, 'pretty'));
      // A trace takes its time; the decision has all of its own.
      evaluation = { ...made, arrivedMs: deps.monotonicMs() };
    }
    const send = (decision: Decision): void => write(request, response, ask, decision, startedMs, traced);
    send(await decide(evaluation, send));
    deps.emitted?.(response, evaluation.id);
  };

  return {
    serves: (target) => {
      const path = pathOf(target);
      return routeOf(path, config) !== undefined || ELSEWHERE.test(path) || deps.node.serves(path);
    },
    shed: (request, response) => {
      if (deps.node.serves(pathOf(request.target))) return false;
      writeJson(response, 503, JSON.stringify(opaError('internal_error', 'too many questions are under way')), ['retry-after', RETRY_AFTER_S]);
      return true;
    },
    handle: async (request, incoming, response) => {
      try {
        if (deps.node.serves(pathOf(request.target))) await serveNode(deps.node, request, response, identifyCaller(request, deps.peps, deps.realm));
        else await answer(request, incoming, response);
      } catch {
        if (response.headersSent) response.destroy();
        else writeJson(response, 500, JSON.stringify(opaError('internal_error', 'something failed here')));
      }
    },
  };
};
