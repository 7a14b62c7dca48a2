/**
 * AuthZEN Authorization API 1.0 over HTTP. A denial is always 200; 401 says that the enforcement point did not prove who it is, 400 that
 * the request is none. What can't be read is decided and recorded as a denial like everything else, and never answered with a yes.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Decider } from '../../decision/decide.ts';
import type { Decision, Evaluation } from '../../decision/evaluation.ts';
import { canonicalAuthority } from '../../domain/authority.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import type { Reason } from '../../domain/reasons.ts';
import { RETRY_AFTER_S } from '../admission.ts';
import { readJsonBody, writeJson, type HttpApi } from '../http/api.ts';
import type { Emission } from '../http/emission.ts';
import { identifyCaller, traceOf } from '../http/caller.ts';
import { once, pathOf, type HttpRequest } from '../http/request.ts';
import type { HttpQuestionRules } from '../http-question.ts';
import type { PepConfig } from '../config.ts';
import type { PepAuthenticator } from '../pep.ts';
import { pointerSteps } from '../subject.ts';
import { evaluationAnswer, faultyItem, type AnswerOptions, type OfferRequest } from './answer.ts';
import { endsWith, itemOf, readBatch, type Batch } from './batch.ts';
import type { AuthzenConfig } from './config.ts';
import { readEvaluation } from './entities.ts';
import { evaluationOf, refusedEvaluation, type Asker } from './evaluation.ts';
import { ENDPOINTS, METADATA_PATH, metadataOf, type Endpoint } from './metadata.ts';
import { search, type SearchSource, type Wanted } from './search.ts';

export interface AuthzenDeps {
  readonly decide: Decider['decide'];
  /** Told of every answer; absent: nobody wants to know. */
  readonly emitted?: Emission | undefined;
  /** Of an answer in a list that could not be sent. */
  readonly notEmitted?: ((decision: string) => void) | undefined;
  readonly explain: Decider['explain'];
  readonly config: AuthzenConfig;
  readonly peps: PepAuthenticator;
  readonly rulesFor: (pep: PepConfig | undefined) => HttpQuestionRules;
  /** Of the listener; `undefined` leaves it to the enforcement point. */
  readonly realm: string | undefined;
  readonly fineReasons: boolean;
  readonly monotonicMs: () => number;
  readonly search: SearchSource;
  /** Where access can be asked for: the endpoint's path, and what a denial says of it. */
  readonly accessRequests?: { readonly path: string; readonly offer: OfferRequest } | undefined;
}

const JSON_TYPE = /^\s*application\/json\s*(?:;.*)?$/i;
const REQUEST_ID = /^[\x20-\x7e]{1,256}$/;

const PATHS = new Map<string, Endpoint>(Object.entries(ENDPOINTS).map(([name, path]) => [path, name as Endpoint]));

/** What every answer to this request carries. */
const echoOf = (request: HttpRequest): readonly string[] => {
  const id = once(request.headers, 'x-request-id');
  return id !== undefined && REQUEST_ID.test(id) ? ['x-request-id', id] : [];
};

const writeFault = (response: ServerResponse, status: number, message: string, headers: readonly string[]): void => {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, ['content-type', 'text/plain; charset=utf-8', 'cache-control', 'no-store', 'x-content-type-options', 'nosniff', 'content-length', String(Buffer.byteLength(message)), ...headers]);
  response.end(message);
};

const CHALLENGE = ['www-authenticate', 'Bearer realm="curfew"'] as const;

export const createAuthzen = (deps: AuthzenDeps): HttpApi => {
  const { config, decide } = deps;
  const credentialAt = pointerSteps(config.credentialAt);

  /** Where whoever asks reaches this listener; `undefined` where the request does not say it. */
  const baseOf = (request: HttpRequest, incoming: IncomingMessage): string | undefined => {
    if (config.publicUrl !== undefined) return config.publicUrl;
    const scheme = incoming.socket instanceof TLSSocket ? 'https' : 'http';
    const host = canonicalAuthority(once(request.headers, 'host') ?? '', scheme);
    return host === undefined ? undefined : `${scheme}://${host}`;
  };
  const optionsOf = (request: HttpRequest, incoming: IncomingMessage): AnswerOptions =>
    (deps.accessRequests === undefined ? { fineReasons: deps.fineReasons } : { fineReasons: deps.fineReasons, offer: deps.accessRequests.offer, base: baseOf(request, incoming) });

  const askerOf = (request: HttpRequest, arrivedMs: number): Asker => {
    const caller = identifyCaller(request, deps.peps, deps.realm);
    return { caller, rules: deps.rulesFor(caller.config), credentialAt, base: { ...traceOf(request), arrivedMs } };
  };

  /** Decided and recorded, whatever comes out. */
  const refuse = async (asker: Asker, reason: Reason, response: ServerResponse, status: number, message: string, echo: readonly string[]): Promise<void> => {
    const id = randomUUID();
    const evaluation = refusedEvaluation(id, asker, reason);
    const write = (): void => {
      const headers = [...echo, 'x-curfew-decision-id', id];
      if (evaluation.refused === 'pep.unauthenticated') writeFault(response, 401, 'the enforcement point did not prove who it is', [...headers, ...CHALLENGE]);
      else writeFault(response, status, message, headers);
    };
    await decide(evaluation, write).then(write);
    deps.emitted?.(response, evaluation.id);
  };

  const single = async (body: JsonObject, asker: Asker, options: AnswerOptions, response: ServerResponse, echo: readonly string[]): Promise<void> => {
    const read = readEvaluation(body);
    if (!read.ok) return refuse(asker, 'request.malformed', response, 400, read.message, echo);
    const evaluation = evaluationOf(randomUUID(), read.value, asker);
    // A second call finds the answer written.
    const write = (decision: Decision): void => {
      if (!decision.allow && decision.reason === 'pep.unauthenticated') writeFault(response, 401, 'the enforcement point did not prove who it is', [...echo, ...CHALLENGE]);
      else writeJson(response, 200, JSON.stringify(evaluationAnswer(evaluation, decision, options)), echo);
    };
    await decide(evaluation, write).then(write);
    deps.emitted?.(response, evaluation.id);
  };

  const batch = async (body: JsonObject, { items, semantic }: Batch, asker: Asker, options: AnswerOptions, response: ServerResponse, echo: readonly string[]): Promise<void> => {
    response.writeHead(200, ['content-type', 'application/json', 'cache-control', 'no-store', 'x-content-type-options', 'nosniff', ...echo]);
    for (const [index, given] of items.entries()) {
      if (response.destroyed) return;
      const item = itemOf(body, given);
      const read = item.ok ? readEvaluation(item.value) : item;
      const id = randomUUID();
      const evaluation: Evaluation = read.ok ? evaluationOf(id, read.value, asker) : refusedEvaluation(id, asker, 'request.malformed');
      let written = false;
      const write = (decision: Decision): void => {
        if (written || response.destroyed) return;
        written = true;
        const answer = read.ok ? evaluationAnswer(evaluation, decision, options) : faultyItem(evaluation, decision, read.message, options);
        response.write(`${index === 0 ? '{"evaluations":[' : ','}${JSON.stringify(answer)}`);
      };
      const decision = await decide(evaluation, write);
      write(decision);
      if (response.destroyed) deps.notEmitted?.(id);
      if (endsWith(semantic, decision.allow === true)) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    response.end(']}');
  };

  const searching = async (wanted: Wanted, body: JsonObject, asker: Asker, response: ServerResponse, echo: readonly string[]): Promise<void> => {
    const found = await search(wanted, body, asker, { ...deps.search, explain: deps.explain, pageMax: config.pageMax, candidatesMax: config.candidatesMax });
    if (!found.ok) return refuse(asker, 'request.malformed', response, 400, found.message, echo);
    writeJson(response, 200, JSON.stringify(found.value), echo);
  };

  const answer = async (endpoint: Endpoint, request: HttpRequest, incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const echo = echoOf(request);
    const asker = askerOf(request, deps.monotonicMs());
    if (request.method !== 'POST') return refuse(asker, 'request.malformed', response, 405, 'only POST', [...echo, 'allow', 'POST']);
    const { fault } = asker.caller;
    if (request.tooLarge || fault === 'pep.unauthenticated') {
      response.shouldKeepAlive = false;
      return refuse(asker, 'request.too_large', response, 431, 'too many header lines', echo);
    }
    // Whoever is nobody searches nothing.
    if (endpoint.startsWith('search/') && asker.caller.pep.id === undefined) return refuse(asker, 'pep.unauthenticated', response, 401, '', echo);
    if (!JSON_TYPE.test(once(request.headers, 'content-type') ?? '')) {
      response.shouldKeepAlive = false;
      return refuse(asker, 'request.malformed', response, 400, 'content-type must be application/json', echo);
    }
    const body = await readJsonBody(incoming, { bytesMax: config.bodyBytesMax });
    if (body.kind === 'too_large') {
      response.shouldKeepAlive = false;
      return refuse(asker, 'request.too_large', response, 413, `the body may have at most ${config.bodyBytesMax} bytes`, echo);
    }
    if (body.kind !== 'value') return refuse(asker, 'request.malformed', response, 400, body.kind === 'empty' ? 'the body is empty' : 'the body is not JSON with one reading', echo);
    const { value } = body;
    if (!isJsonObject(value)) return refuse(asker, 'request.malformed', response, 400, 'the body must be an object', echo);
    const options = optionsOf(request, incoming);
    if (endpoint === 'evaluation') return single(value, asker, options, response, echo);
    if (endpoint !== 'evaluations') return searching(endpoint.slice('search/'.length) as Wanted, value, asker, response, echo);
    const read = readBatch(value, config.evaluationsMax);
    if (!read.ok) return refuse(asker, 'request.malformed', response, 400, read.message, echo);
    return read.value === undefined ? single(value, asker, options, response, echo) : batch(value, read.value, asker, options, response, echo);
  };

  const tellMetadata = (request: HttpRequest, incoming: IncomingMessage, response: ServerResponse): void => {
    const base = baseOf(request, incoming);
    if (request.method !== 'GET' && request.method !== 'HEAD') return writeFault(response, 405, 'only GET', ['allow', 'GET, HEAD']);
    if (base === undefined) return writeFault(response, 400, 'the host can not be read', []);
    writeJson(response, 200, JSON.stringify(metadataOf(base, deps.accessRequests?.path)), echoOf(request));
  };

  return {
    serves: (target) => PATHS.has(pathOf(target)) || pathOf(target) === METADATA_PATH,
    shed: (request, response) => {
      if (!PATHS.has(pathOf(request.target))) return false;
      writeFault(response, 503, 'too many questions are under way', [...echoOf(request), 'retry-after', RETRY_AFTER_S]);
      return true;
    },
    handle: async (request, incoming, response) => {
      try {
        const endpoint = PATHS.get(pathOf(request.target));
        if (endpoint === undefined) tellMetadata(request, incoming, response);
        else await answer(endpoint, request, incoming, response);
      } catch {
        // Nothing was decided: that is no yes.
        if (response.headersSent) response.destroy();
        else writeJson(response, 200, pathOf(request.target).includes('/search/') ? '{"results":[],"page":{"next_token":""}}' : '{"decision":false,"context":{"reason":"unavailable"}}');
      }
    },
  };
};
