/**
 * What an input asks about and for whom. A path that the configuration lists takes action and resource from its input; any other path is
 * itself the resource, so that only a grant or a standing entry for that very path lets its value out.
 */
import type { Evaluation, Presented } from '../../decision/evaluation.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import type { Reason } from '../../domain/reasons.ts';
import { withBase, type Caller, type Writable } from '../http/caller.ts';
import { buildHttpQuestion, type HttpQuestionRules, type RawHttpRequest } from '../http-question.ts';
import { readPresented } from '../presented.ts';
import { accessFault } from '../resource.ts';
import { pointerSteps, subjectOf, valueAt, without } from '../subject.ts';
import type { OpaQuestionForm } from './config.ts';
import { ROOT } from './path.ts';

export const OPA_ACTION = 'query';
export const OPA_TYPE = 'opa';
/** All documents at once are asked for by a name of their own: what stands for single ones, or for `**`, does not let out everything. */
const ROOT_RESOURCE = { type: 'opa-root', id: 'data' } as const;

export interface OpaAsker {
  readonly caller: Caller;
  readonly rules: HttpQuestionRules;
  readonly credentialAt: readonly string[];
  readonly base: Pick<Evaluation, 'traceparent' | 'arrivedMs'>;
}

interface Understood {
  readonly question?: Evaluation['question'];
  readonly presented: Presented;
  readonly refused?: Reason | undefined;
}

const NONE: Presented = { kind: 'none' };
const unreadable = (reason: Reason = 'request.malformed'): Understood => ({ presented: NONE, refused: reason });

const text = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** One line a header, or a list of them; names in lower case must not repeat. */
const headersOf = (value: JsonValue | undefined): ReadonlyMap<string, readonly string[]> | undefined => {
  const headers = new Map<string, readonly string[]>();
  if (value === undefined) return headers;
  if (!isJsonObject(value)) return undefined;
  for (const [given, lines] of Object.entries(value)) {
    const name = given.toLowerCase();
    const list = Array.isArray(lines) ? (lines as readonly JsonValue[]) : [lines];
    if (headers.has(name) || !list.every((line) => typeof line === 'string')) return undefined;
    headers.set(name, list);
  }
  return headers;
};

/** A request that a gateway describes; the credential is that of its `Authorization` header. */
const ofHttp = (raw: RawHttpRequest, { rules }: OpaAsker): Understood => {
  const asked = buildHttpQuestion(raw, rules);
  const presented = readPresented(raw.headers, { method: raw.method, url: asked.ok ? `${asked.scheme}://${asked.host}${asked.rawPath}` : undefined });
  return asked.ok ? { question: asked.question, presented } : { presented, refused: asked.reason };
};

const envoy = (input: JsonObject, asker: OpaAsker): Understood => {
  const http = valueAt(input, ['attributes', 'request', 'http']);
  const headers = headersOf(valueAt(http, ['headers']));
  const [method, target, authority] = ['method', 'path', 'host'].map((name) => text(valueAt(http, [name])));
  if (headers === undefined || method === undefined || target === undefined || authority === undefined) return unreadable();
  const source = text(valueAt(input, ['attributes', 'source', 'address', 'socketAddress', 'address']));
  return ofHttp({ method, scheme: text(valueAt(http, ['scheme'])) ?? 'http', authority, target, headers, source }, asker);
};

/** APISIX passes the path decoded: it is encoded again, and what then has two readings is refused. */
const apisix = (input: JsonObject, asker: OpaAsker): Understood => {
  const request = valueAt(input, ['request']);
  const headers = headersOf(valueAt(request, ['headers']));
  const [method, path, host, scheme] = ['method', 'path', 'host', 'scheme'].map((name) => text(valueAt(request, [name])));
  if (headers === undefined || method === undefined || path === undefined || host === undefined || scheme === undefined) return unreadable();
  const hosts = headers.get('host') ?? [host];
  if (hosts.length !== 1) return unreadable('request.ambiguous');
  const target = path.split('/').map(encodeURIComponent).join('/');
  return ofHttp({ method, scheme, authority: hosts[0] as string, target, headers, source: text(valueAt(input, ['var', 'remote_addr'])) }, asker);
};

const named = (action: string | undefined, type: string | undefined, id: string | undefined, workload: string | undefined, input: JsonObject, asker: OpaAsker): Understood => {
  if (action === undefined || type === undefined || id === undefined) return unreadable();
  const resource = { type, id };
  const subject = subjectOf(valueAt(input, asker.credentialAt), workload, asker.caller.config);
  return {
    question: { action, resource },
    presented: subject.ok ? subject.presented : NONE,
    refused: (subject.ok ? undefined : subject.reason) ?? accessFault(action, resource, asker.rules),
  };
};

const understand = (path: string, form: OpaQuestionForm | undefined, input: JsonObject, asker: OpaAsker): Understood => {
  const at = (pointer: string): string | undefined => text(valueAt(input, pointerSteps(pointer)));
  if (path === ROOT) return named(OPA_ACTION, ROOT_RESOURCE.type, ROOT_RESOURCE.id, undefined, input, asker);
  if (form === undefined) return named(OPA_ACTION, OPA_TYPE, path, undefined, input, asker);
  if (form === 'envoy') return envoy(input, asker);
  if (form === 'apisix') return apisix(input, asker);
  if (form === 'authzen') return named(at('/action/name'), at('/resource/type'), at('/resource/id'), at('/subject/id'), input, asker);
  const { action, resource, subject } = form;
  return named(action.startsWith('/') ? at(action) : action, resource.type, at(resource.id), subject === undefined ? undefined : at(subject), input, asker);
};

export const opaEvaluation = (id: string, rule: string, form: OpaQuestionForm | undefined, input: JsonObject, asker: OpaAsker): Evaluation => {
  const { caller: { pep, realm, fault }, base, credentialAt } = asker;
  const { question, presented, refused } = understand(rule, form, input, asker);
  // A path of documents is asked for by itself: what stands or is granted for one must not let out the value of another.
  const elsewhere = form !== undefined && (question?.resource.type === OPA_TYPE || question?.resource.type === ROOT_RESOURCE.type) ? 'request.ambiguous' : undefined;
  const reason = fault ?? refused ?? elsewhere;
  // Members are assigned: V8 makes a class of its own for every object that begins with a spread and then grows.
  const evaluation: Writable<Evaluation> = { id, realm, protocol: 'opa', pep, presented, input: without(input, credentialAt), rule };
  if (question !== undefined) evaluation.question = question;
  if (reason !== undefined) evaluation.refused = reason;
  return withBase(evaluation, base);
};

export const opaRefusal = (id: string, reason: Reason, { caller: { pep, realm, fault }, base }: OpaAsker): Evaluation => ({
  ...base, id, realm, pep, protocol: 'opa', presented: NONE, input: {}, refused: fault ?? reason,
});
