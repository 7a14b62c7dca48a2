/** The policy input of HTTP gateways: the document that opa-envoy-plugin makes from a CheckRequest. */
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import type { HttpQuestionOutcome, RawHttpRequest } from '../http-question.ts';

const decodePart = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
};

/** As Go's url.ParseQuery: pairs that can't be read, or contain `;`, are left out. */
export const parseQuery = (query: string | undefined): JsonObject => {
  if (query === undefined || query === '') return {};
  const values = new Map<string, string[]>();
  for (const pair of query.split('&')) {
    if (pair === '' || pair.includes(';')) continue;
    const equals = pair.indexOf('=');
    const name = decodePart(equals === -1 ? pair : pair.slice(0, equals));
    const value = decodePart(equals === -1 ? '' : pair.slice(equals + 1));
    if (name === undefined || value === undefined) continue;
    const found = values.get(name);
    if (found === undefined) values.set(name, [value]);
    else found.push(value);
  }
  return Object.fromEntries(values);
};

const VERSION = { ext_authz: 'v3', encoding: 'protojson' };

const headerObject = (headers: RawHttpRequest['headers']): JsonObject => {
  const pairs: [string, string][] = [];
  for (const [name, lines] of headers) {
    // Ours, and the gateway's own secret among them.
    if (!name.startsWith('x-curfew-')) pairs.push([name, lines.length === 1 ? (lines[0] as string) : lines.join(',')]);
  }
  return Object.fromEntries(pairs);
};

/** `outcome` is the judged request; a refused one has no `parsed_path`. Bodies are not read here. */
export const httpPolicyInput = (id: string, raw: RawHttpRequest, outcome: HttpQuestionOutcome): JsonObject => {
  const { method, scheme, authority, target, source } = raw;
  const http = { id, method, path: target, host: outcome.ok ? outcome.host : authority, scheme, headers: headerObject(raw.headers) };
  const request = { http };
  const input: Record<string, JsonValue> = {
    attributes: source === undefined ? { request } : { source: { address: { socketAddress: { address: source } } }, request },
  };
  if (outcome.ok) {
    input['parsed_path'] = outcome.segments;
    input['parsed_query'] = parseQuery(outcome.query);
  }
  input['parsed_body'] = null;
  input['truncated_body'] = false;
  input['version'] = VERSION;
  return input;
};
