/**
 * The flow of one admin request, and the only place with its branches:
 *
 *   host and origin > realm > operator > role > clock > body and query > policy > handler > answer
 *
 * Authentication happens here, inside the handler of the route that was matched, never in a middleware that might see another
 * path. Every refusal is a problem; no exception leaves.
 */
import { z, type OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Clock } from '../decision/ports.ts';
import type { JsonObject } from '../domain/json.ts';
import { mayCommand, policyIsAsked, rolesFor, worksUntimed, type Command } from '../domain/lifecycle/roles.ts';
import type { Call } from '../lifecycle/lifecycle.ts';
import { parseTraceparent } from '../telemetry/trace-context.ts';
import { CursorInvalid, StoreUnavailable } from '../store/port.ts';
import { askPolicy, type AdminPolicy } from './admin-policy.ts';
import type { AuthenticateOperator, Principal } from './principal.ts';
import { jsonAnswer, problemAnswer, type Problem } from './problem.ts';
import { judgeBy, readBody } from './read-body.ts';
import { refuseRequest, type RequestGuard } from './request-guard.ts';

export interface EndpointDeps {
  readonly guard: RequestGuard;
  readonly realms: ReadonlySet<string>;
  readonly defaultRealm: string;
  readonly authenticate: AuthenticateOperator;
  readonly policy: () => AdminPolicy | undefined;
  readonly clock: Clock;
  /** Told about unexpected failures; their text never goes out. */
  readonly onError: (error: unknown) => void;
}

export interface AdminRequest<Body, Query> {
  readonly realm: string;
  readonly principal: Principal;
  readonly params: Readonly<Record<string, string>>;
  readonly body: Body;
  readonly query: Query;
  readonly headers: Headers;
  /** For the lifecycle: actor, realm and idempotency key of this request. */
  readonly call: Call;
}

export type Answer =
  | { readonly status: number; readonly body: JsonObject; readonly headers?: Readonly<Record<string, string>> }
  | { readonly problem: Problem };

export interface Endpoint<Body = unknown, Query = unknown> {
  readonly method: 'get' | 'post' | 'put';
  /** Below `/v1` and `/v1/realms/{realm}`; parameters in braces. */
  readonly path: string;
  readonly command: Command;
  readonly summary: string;
  readonly tag: string;
  /** Absent: the endpoint takes no body. */
  readonly body?: z.ZodType<Body>;
  readonly query?: z.ZodType<Query>;
  readonly answers: Readonly<Record<number, { readonly description: string; readonly schema: z.ZodType }>>;
  handle(request: AdminRequest<Body, Query>): Promise<Answer>;
}

/** Keeps the types of body and query within one endpoint, and hides them from the list of all. */
export const endpoint = <Body, Query>(definition: Endpoint<Body, Query>): Endpoint => definition;

const BEARER = /^Bearer ([A-Za-z0-9._~+/=-]{1,8192})$/;
const IDEMPOTENCY_KEY = /^[!-~]{1,200}$/;

const NO_BODY = z.strictObject({});
const NO_QUERY = z.strictObject({});

const unauthenticated = (detail: string): Problem => ({ code: 'unauthenticated', detail });

/** Every query parameter once. */
const queryOf = (url: string): JsonObject | undefined => {
  const members = new Map<string, string>();
  for (const [name, value] of new URL(url).searchParams) {
    if (members.has(name)) return undefined;
    members.set(name, value);
  }
  return Object.fromEntries(members);
};

const isWrite = (method: Endpoint['method']): boolean => method !== 'get';

const answer = async (context: Context, definition: Endpoint, deps: EndpointDeps): Promise<Answer> => {
  const request = context.req.raw;
  const { headers } = request;
  const refused = refuseRequest(headers, deps.guard);
  if (refused !== undefined) return { problem: refused };

  const params = context.req.param() as Readonly<Record<string, string>>;
  const realm = params['realm'] ?? deps.defaultRealm;
  const token = BEARER.exec(headers.get('authorization') ?? '')?.[1];
  if (token === undefined) return { problem: unauthenticated('send the operator credential as Authorization: Bearer') };
  const known = deps.realms.has(realm);
  const principal = await deps.authenticate(token, known ? realm : deps.defaultRealm);
  if (principal === undefined) return { problem: unauthenticated('the operator credential is not valid') };
  if (!known) return { problem: { code: 'not-found', detail: 'the realm is not configured' } };

  const { command } = definition;
  const outOfBounds = principal.kind === 'bootstrap' && !command.startsWith('operators.');
  if (outOfBounds || !mayCommand(principal.roles, command)) {
    return { problem: { code: 'forbidden', detail: `${command} takes the role ${rolesFor(command).join(' or ')}${outOfBounds ? '; the bootstrap credential configures operators only' : ''}` } };
  }

  if (principal.untimed === true && !worksUntimed(command)) {
    return { problem: { code: 'clock-untrusted', detail: 'whether the credential has expired is not known while the clock is not trusted; what ends access works all the same' } };
  }

  const query = queryOf(request.url);
  if (query === undefined) return { problem: { code: 'malformed', detail: 'a query parameter is given twice' } };
  const asked = judgeBy(definition.query ?? NO_QUERY, query);
  if (!asked.ok) return { problem: asked.problem };
  const body = isWrite(definition.method) ? await readBody(request, definition.body ?? NO_BODY) : judgeBy(NO_BODY, {});
  if (!body.ok) return { problem: body.problem };

  if (policyIsAsked(command)) {
    const fault = await askPolicy(deps.policy(), { now: deps.clock.now().latest, realm, operator: principal, command, target: { ...body.json, ...params } });
    if (fault !== undefined) return { problem: fault };
  }

  const key = headers.get('idempotency-key');
  if (key !== null && !IDEMPOTENCY_KEY.test(key)) return { problem: { code: 'malformed', detail: 'Idempotency-Key must be 1 to 200 visible ASCII characters' } };
  const trace = headers.get('traceparent') ?? undefined;
  const call: Call = {
    realm,
    ...(parseTraceparent(trace) === undefined ? {} : { traceparent: trace }),
    actor: { kind: 'operator', id: principal.id, names: [...principal.persons, ...principal.groups.map((group) => `group:${group}`)] },
    ...(key === null || !isWrite(definition.method) ? {} : { idempotency: { principal: principal.id, key, body: { params: { ...params }, body: body.json } } }),
  };
  return definition.handle({ realm, principal, params, body: body.value, query: asked.value, headers, call });
};

const handler = (definition: Endpoint, deps: EndpointDeps) => async (context: Context): Promise<Response> => {
  try {
    const result = await answer(context, definition, deps);
    return 'problem' in result ? problemAnswer(result.problem) : jsonAnswer(result.status, result.body, result.headers);
  } catch (error) {
    if (error instanceof StoreUnavailable) return problemAnswer({ code: 'store-unavailable', detail: 'the store can not be read' });
    if (error instanceof CursorInvalid) return problemAnswer({ code: 'invalid', detail: '/after is not a cursor of this listing', faults: [{ path: '/after', message: 'is not a cursor of this listing' }] });
    deps.onError(error);
    return problemAnswer({ code: 'internal', detail: 'an unexpected failure; nothing is known of the outcome' });
  }
};

const problemSchema = z.strictObject({
  type: z.string(), title: z.string(), status: z.int(), code: z.string(), detail: z.string(),
  errors: z.array(z.strictObject({ path: z.string(), message: z.string() })).optional(),
}).openapi('Problem');

const PROBLEM_ANSWER = { description: 'A problem (RFC 9457)', content: { 'application/problem+json': { schema: problemSchema } } };

const prefixes = ['/v1', '/v1/realms/{realm}'] as const;
const parameterNames = (path: string): readonly string[] => [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');

/** Serves and documents an endpoint for the default realm and for named ones. */
export const addEndpoint = (app: OpenAPIHono, definition: Endpoint, deps: EndpointDeps): void => {
  for (const prefix of prefixes) {
    const path = `${prefix}${definition.path}`;
    app.on(definition.method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1'), handler(definition, deps));
    app.openAPIRegistry.registerPath({
      method: definition.method,
      path,
      operationId: `${definition.command}${definition.path.replaceAll(/\W+/g, '.')}${prefix.includes('realm') ? '.inRealm' : ''}`,
      summary: definition.summary,
      tags: [definition.tag],
      security: [{ operator: [] }],
      request: {
        params: z.strictObject(Object.fromEntries(parameterNames(path).map((name) => [name, z.string()]))),
        ...(definition.query === undefined ? {} : { query: definition.query as z.ZodObject }),
        ...(definition.body === undefined ? {} : { body: { required: definition.method === 'put' || !definition.body.safeParse({}).success, content: { 'application/json': { schema: definition.body } } } }),
        ...(isWrite(definition.method) ? { headers: z.object({ 'idempotency-key': z.string().regex(IDEMPOTENCY_KEY).optional() }) } : {}),
      },
      responses: {
        ...Object.fromEntries(Object.entries(definition.answers).map(([status, { description, schema }]) => [status, { description, content: { 'application/json': { schema } } }])),
        '4XX': PROBLEM_ANSWER,
        '5XX': PROBLEM_ANSWER,
      },
    });
  }
};
