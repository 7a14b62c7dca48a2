/** One question, asked in every protocol that the real program speaks, with its answer in one form. */
import { Metadata, type Client } from '@grpc/grpc-js';
import { openClient, unary, type Json } from '../../grpc/grpc-js.ts';
import { rawRequest } from '../../support/raw-http.ts';
import type { Curfew } from '../../runtime/curfew.ts';

export const PEP_TOKEN = 'agreement-token-0123456789';

export interface Ask {
  /** SPIFFE ID. */
  readonly workload: string;
  /** Its credential. */
  readonly token: string;
  readonly method: string;
  /** Of shop.local, `/orders/42` and the like. */
  readonly path: string;
}

export interface Answer {
  readonly allow: boolean;
  /** Of a denial. */
  readonly reason?: string;
  /** RFC 3339; the protocols' own words where they have them. */
  readonly validUntil?: string;
}

export type AskBy = (ask: Ask) => Promise<Answer>;

const REALM_OF_NAMES = 'spiffe://dev.local/agree/';

const fromHeaders = (allow: boolean, headers: Headers): Answer => ({
  allow, ...(allow ? { validUntil: headers.get('x-curfew-valid-until') ?? 'missing' } : { reason: headers.get('x-curfew-reason') ?? 'missing' }),
});

const headerOf = (options: readonly Json[] = [], name: string): string | undefined => options.map((one) => one['header']).find((header) => header.key === name)?.value as string | undefined;

export const protocolsOf = (curfew: Curfew): { readonly all: ReadonlyMap<string, AskBy>; close(): void } => {
  const base = `http://127.0.0.1:${curfew.ports.http}`;
  const grpc: Client = openClient(`127.0.0.1:${curfew.ports.grpc}`);
  const asPep = { 'x-curfew-pep-token': PEP_TOKEN };
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(`${base}${path}`, { method: 'POST', headers: { authorization: `Bearer ${PEP_TOKEN}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });

  const forwardAuth: AskBy = async ({ token, method, path }) => {
    const response = await fetch(`${base}/forward-auth`, {
      headers: { ...asPep, authorization: `Bearer ${token}`, 'x-forwarded-method': method, 'x-forwarded-proto': 'http', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': path },
    });
    return fromHeaders(response.status === 200, response.headers);
  };
  const original: AskBy = async ({ token, method, path }) => {
    const answer = await rawRequest(curfew.ports.http, `GET /forward-auth HTTP/1.1\r\nhost: shop.local\r\nx-original-method: ${method}\r\nx-original-uri: ${path}\r\nx-curfew-pep-token: ${PEP_TOKEN}-nginx\r\nauthorization: Bearer ${token}\r\nconnection: close\r\n\r\n`);
    return fromHeaders(answer.status === 200, new Headers([...answer.headers]));
  };
  const extAuthzHttp: AskBy = async ({ token, method, path }) => {
    // fetch would set its own Host.
    const answer = await rawRequest(curfew.ports.http, `${method} /ext-authz${path} HTTP/1.1\r\nhost: shop.local\r\nx-forwarded-proto: http\r\nx-curfew-pep-token: ${PEP_TOKEN}\r\nauthorization: Bearer ${token}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    return fromHeaders(answer.status === 200, new Headers([...answer.headers]));
  };
  const envoyGrpc: AskBy = async ({ token, method, path }) => {
    const types = ['envoy.service.auth.v3.CheckRequest', 'envoy.service.auth.v3.CheckResponse'] as const;
    const metadata = new Metadata();
    metadata.set('x-curfew-pep-token', PEP_TOKEN);
    const answer = await unary(grpc, '/envoy.service.auth.v3.Authorization/Check', types, {
      attributes: { request: { http: { method, path, host: 'shop.local', scheme: 'http', protocol: 'HTTP/1.1', headers: { authorization: `Bearer ${token}`, ':method': method, ':path': path, ':authority': 'shop.local', ':scheme': 'http' } } } },
    }, metadata);
    const allow = (answer['status']?.code ?? 0) === 0 && answer['okResponse'] !== undefined;
    return allow
      ? { allow, validUntil: headerOf(answer['okResponse'].headers, 'x-curfew-valid-until') ?? 'missing' }
      : { allow, reason: headerOf(answer['deniedResponse']?.headers, 'x-curfew-reason') ?? 'missing' };
  };
  const authzen = (credential: boolean): AskBy => async ({ workload, token, method, path }) => {
    const response = await post('/access/v1/evaluation', {
      subject: { type: 'workload', id: workload, ...(credential ? { properties: { credential: token } } : {}) }, action: { name: method }, resource: { type: 'http', id: `shop.local${path}` },
    });
    const { decision, context } = (await response.json()) as Json;
    return decision === true ? { allow: true, validUntil: context.valid_until } : { allow: false, reason: context.reason };
  };
  const batch: AskBy = async ({ workload, method, path }) => {
    const response = await post('/access/v1/evaluations', { subject: { type: 'workload', id: workload }, action: { name: method }, evaluations: [{ resource: { type: 'http', id: `shop.local${path}` } }] });
    const [{ decision, context }] = ((await response.json()) as Json)['evaluations'];
    return decision === true ? { allow: true, validUntil: context.valid_until } : { allow: false, reason: context.reason };
  };
  const opa = (path: string, input: (ask: Ask) => unknown): AskBy => async (ask) => {
    const response = await post(`/v1/data/${path}`, { input: input(ask) });
    const { result } = (await response.json()) as Json;
    return fromHeaders(result?.allow === true, response.headers);
  };
  const kubernetes: AskBy = async ({ workload, method, path }) => {
    const [, resource = '', name = ''] = path.split('/');
    const response = await post('/kubernetes/v1/authorize', {
      apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: { user: workload.slice(REALM_OF_NAMES.length), resourceAttributes: { namespace: 'shop', verb: method, resource, name } },
    });
    const { status } = (await response.json()) as Json;
    if (status.allowed === true) return { allow: true };
    return { allow: false, reason: status.denied === true ? (/^[a-z_.]+/.exec(status.reason)?.[0] ?? 'missing') : 'no opinion' };
  };
  const request = ({ method, path, token }: Ask) => ({ method, path, host: 'shop.local', scheme: 'http', headers: { authorization: `Bearer ${token}` } });

  return {
    all: new Map<string, AskBy>([
      ['forward-auth (X-Forwarded-*)', forwardAuth], ['forward-auth (X-Original-*)', original], ['ext_authz over HTTP', extAuthzHttp], ['ext_authz over gRPC', envoyGrpc],
      ['AuthZEN, asserted', authzen(false)], ['AuthZEN, credential', authzen(true)], ['AuthZEN, batch', batch],
      ['OPA, Envoy input', opa('curfew/access/decision', (ask) => ({ attributes: { request: { http: request(ask) } } }))],
      ['Kubernetes', kubernetes],
    ]),
    close: () => grpc.close(),
  };
};
