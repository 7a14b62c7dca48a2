/** What a request asks for: document, input and how the answer is to be written. Total: what is wrong is told as OPA tells it. */
import type { IncomingMessage } from 'node:http';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { readJsonBody } from '../http/api.ts';
import { once, type HttpRequest } from '../http/request.ts';
import type { OpaErrorCode } from './answer.ts';
import { dataReference, documentPath } from './path.ts';

/** v1: an envelope. v0: the bare result. query: bindings. */
export type Style = 'v1' | 'v0' | 'query';

export interface Ask {
  readonly style: Style;
  /** `undefined`: no document can have it. */
  readonly path: string | undefined;
  /** Of a query that binds the value to it. */
  readonly variable?: string | undefined;
  readonly input: JsonObject;
  readonly inputMissing: boolean;
  readonly parseNs: number;
}

export interface AskFault {
  readonly status: number;
  readonly code: OpaErrorCode;
  readonly message: string;
  /** The rest of the body was not read. */
  readonly unread?: boolean;
}

export type AskOutcome = { readonly ok: true; readonly ask: Ask } | { readonly ok: false; readonly fault: AskFault };

/** Nanoseconds, as OPA counts. */
export const sinceNs = (startedMs: number, monotonicMs: () => number): number => Math.max(0, Math.round((monotonicMs() - startedMs) * 1e6));

const fault = (message: string, status = 400, unread = false): AskOutcome => ({ ok: false, fault: { status, code: 'invalid_parameter', message, unread } });

/** Nobody writes to it. */
const NO_PARAMETERS = new URLSearchParams();

export const parametersOf = (target: string): URLSearchParams => {
  const mark = target.indexOf('?');
  return mark === -1 ? NO_PARAMETERS : new URLSearchParams(target.slice(mark + 1));
};

interface Body {
  readonly ok: true;
  /** `undefined`: there was none. */
  readonly value: JsonValue | undefined;
}

const bodyOf = async (request: HttpRequest, incoming: IncomingMessage, bytesMax: number): Promise<Body | Extract<AskOutcome, { ok: false }>> => {
  const no = (message: string, status = 400, unread = false) => fault(message, status, unread) as Extract<AskOutcome, { ok: false }>;
  const encodings = request.headers.get('content-encoding') ?? [];
  if (encodings.length > 1 || !/^(?:gzip|identity|)$/i.test(encodings[0] ?? '')) return no('content-encoding is gzip or none', 400, true);
  const isYaml = (request.headers.get('content-type') ?? []).some((type) => /yaml/i.test(type));
  const parse = isYaml ? (await import('./yaml-body.ts')).parseYamlBody : undefined;
  const body = await readJsonBody(incoming, { bytesMax, gzip: /gzip/i.test(encodings[0] ?? ''), parse });
  if (body.kind === 'too_large') return no(`the body may have at most ${bytesMax} bytes`, 413, true);
  if (body.kind === 'malformed') return no(`the body is not ${isYaml ? 'YAML' : 'JSON'} with one reading`);
  return { ok: true, value: body.kind === 'value' ? body.value : undefined };
};

const inputOf = (value: JsonValue | undefined): JsonObject | string => {
  if (value === undefined) return {};
  if (!isJsonObject(value)) return 'input must be an object: what Curfew knows is added to it';
  return Object.hasOwn(value, 'curfew') ? 'input.curfew is written by Curfew alone' : value;
};

/** `path` of v0 and v1; `undefined` for queries, which name it themselves. */
export const readAsk = async (style: Style, path: string | undefined, request: HttpRequest, incoming: IncomingMessage, bytesMax: number, monotonicMs: () => number): Promise<AskOutcome> => {
  const startedMs = monotonicMs();
  const parameters = parametersOf(request.target);
  let given: JsonValue | undefined;
  let query = parameters.get('q') ?? undefined;
  if (request.method === 'GET') {
    const text = parameters.get('input');
    const parsed = text === null ? undefined : parseStrictJson(text, { exactIntegers: true });
    if (text !== null && parsed === undefined) return fault('the parameter input is not JSON with one reading');
    given = parsed;
  } else {
    const body = await bodyOf(request, incoming, bytesMax);
    if (!body.ok) return body;
    const { value } = body;
    if (style === 'v0') given = value;
    else if (value !== undefined) {
      if (!isJsonObject(value)) return fault('the body must be an object');
      given = Object.hasOwn(value, 'input') ? value['input'] : undefined;
      const asked = Object.hasOwn(value, 'query') ? value['query'] : undefined;
      if (style === 'query' && typeof asked === 'string') query = asked;
    }
  }
  const input = inputOf(given);
  if (typeof input === 'string') return fault(input);
  const parseNs = sinceNs(startedMs, monotonicMs);
  const common = { style, input, inputMissing: given === undefined, parseNs };
  if (style !== 'query') return { ok: true, ask: { ...common, path: documentPath(path ?? '') } };
  if (query === undefined || once(request.headers, 'host') === undefined) return fault('a query is missing');
  const reference = dataReference(query);
  if (reference === undefined) return fault('queries are references here, such as data.a.b or x := data.a.b');
  return { ok: true, ask: { ...common, path: reference.path, variable: reference.variable } };
};
