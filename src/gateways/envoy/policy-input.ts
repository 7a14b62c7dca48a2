/**
 * The document that opa-envoy-plugin gives to policies: `attributes`, `parsed_path`, `parsed_query`, `parsed_body`,
 * `truncated_body`, `version`, `source_principal`. Differences: `headers` is there also when Envoy sends raw header lines (in
 * place of `headerMap`), and client headers named `x-curfew-*` are left out.
 */
import type { Reason } from '../../domain/reasons.ts';
import { readBody } from './body.ts';
import type { CheckRequest, HttpAttributes } from './check-request.ts';
import type { BodyLimits } from './config.ts';
import { parseForm } from './form.ts';
import type { GrpcBodies } from './grpc-body.ts';
import type { RequestHeaders } from './headers.ts';

export interface PolicyInput {
  readonly document: Record<string, unknown>;
  readonly refused?: Reason;
}

const VERSION = { ext_authz: 'v3', encoding: 'protojson' } as const;

/** Segments of the decoded path, without its leading slashes; `undefined` when it does not decode. */
const parsedPath = (path: string): readonly string[] | undefined => {
  try {
    return decodeURIComponent(path).replace(/^\/+/, '').split('/');
  } catch {
    return undefined;
  }
};

export const policyInput = (request: CheckRequest, http: HttpAttributes, headers: RequestHeaders, limits: BodyLimits, bodies?: GrpcBodies): PolicyInput => {
  const target = http.path ?? '';
  const mark = target.indexOf('?');
  const segments = parsedPath(mark < 0 ? target : target.slice(0, mark));
  const query = parseForm(mark < 0 ? '' : target.slice(mark + 1), limits.maxParts);
  const { headerMap: _lines, ...plain } = http;
  const { attributes } = request;
  const document: Record<string, unknown> = {
    attributes: { ...attributes, request: { ...attributes?.request, http: { ...plain, headers: headers.merged } } },
    parsed_path: segments ?? [],
    parsed_query: query ?? {},
    version: VERSION,
  };
  let refused: Reason | undefined = segments === undefined || query === undefined ? 'request.ambiguous' : undefined;
  if (limits.parse) {
    const body = readBody(http, headers, limits, bodies);
    document['parsed_body'] = body.value ?? null;
    document['truncated_body'] = body.truncated;
    refused ??= body.refused ?? (body.truncated && limits.truncated === 'deny' ? 'request.too_large' : undefined);
  }
  const principal = attributes?.source?.principal;
  if (principal !== undefined) document['source_principal'] = principal;
  return { document, ...(refused === undefined ? {} : { refused }) };
};
