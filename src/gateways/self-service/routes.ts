/**
 * What a workload may do for itself, over HTTP: see its grants, beat and close its tasks, ask for access and for more of it, hand it on. Every
 * handler authenticates for itself, with the workload's own credential; no enforcement point stands in between. Nothing but the
 * caller's own grants and tasks can be named (the port's duty).
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Hono } from 'hono';
import type { HttpBindings } from '@hono/node-server';
import type { Identity } from '../../decision/evaluation.ts';
import type { Authenticator, Clock } from '../../decision/ports.ts';
import type { Reason } from '../../domain/reasons.ts';
import { reasonText, wireReason } from '../../domain/reasons.ts';
import { canonicalAuthority } from '../../domain/authority.ts';
import { parseTraceparent } from '../../telemetry/trace-context.ts';
import { readJsonBody } from '../http/api.ts';
import { json, problem } from '../http/problem.ts';
import { once, readHeaders } from '../http/request.ts';
import { readPresented } from '../presented.ts';
import type { z } from 'zod';
import type { JsonValue } from '../../domain/json.ts';
import { delegationBody, extensionBody, readBodyBy, requestBody } from './bodies.ts';
import type { Admit, SelfAnswer, SelfCaller, SelfService } from './port.ts';

export interface SelfServiceDeps {
  readonly service: SelfService;
  readonly authenticator: Authenticator;
  readonly admit: Admit;
  readonly clock: Clock;
  readonly realm: string;
  /** Development: fine reasons on the wire. */
  readonly fineReasons: boolean;
}

export const PAGE_MAX = 200;
const PAGE_DEFAULT = 50;
const TASK_ID = /^[A-Za-z0-9._:-]{1,128}$/;
const CURSOR = /^[\x21-\x7e]{1,512}$/;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,128}$/;

export type SelfServiceApp = Hono<{ Bindings: HttpBindings }>;

const refusal = (reason: Reason, deps: SelfServiceDeps): Response => {
  const wire = wireReason(reason);
  const code = deps.fineReasons ? reason : wire;
  const title = deps.fineReasons ? reasonText(reason) : 'access denied';
  if (wire !== 'unauthenticated') return problem(403, code, title);
  const error = reason === 'credential.missing' ? '' : ', error="invalid_token"';
  return problem(401, code, title, { 'www-authenticate': `Bearer realm="curfew"${error}` });
};

const answered = (answer: SelfAnswer): Response => (answer.ok ? json(answer.value, answer.pending === true ? 202 : 200) : problem(answer.status, answer.code, answer.detail));

const verified = async (incoming: IncomingMessage, deps: SelfServiceDeps): Promise<{ readonly identity: Identity } | { readonly reason: Reason }> => {
  const headers = readHeaders(incoming.rawHeaders);
  const tls = incoming.socket instanceof TLSSocket ? incoming.socket : undefined;
  const scheme = tls === undefined ? 'http' : 'https';
  const host = canonicalAuthority(once(headers, 'host') ?? '', scheme);
  const [path = ''] = (incoming.url ?? '').split('?', 1);
  const url = host === undefined ? undefined : `${scheme}://${host}${path}`;
  const certificate = tls?.authorized === true ? tls.getPeerX509Certificate() : undefined;
  const x5t = certificate === undefined ? undefined : createHash('sha256').update(certificate.raw).digest('base64url');
  const now = deps.clock.now();
  if (!now.trusted) return { reason: 'clock.untrusted' };
  const presented = readPresented(headers, { method: incoming.method ?? '', url, x5t });
  const authenticated = await deps.authenticator.authenticate(presented, { realm: deps.realm, now });
  if (!authenticated.ok) return { reason: authenticated.reason };
  const { identity } = authenticated;
  const covered = await deps.admit(identity, { realm: deps.realm, now });
  if (covered !== undefined) return { reason: covered };
  // Once more, after all waiting: nothing is done for a credential that ended meanwhile.
  const { expiresAt } = identity.credential;
  return expiresAt !== undefined && deps.clock.now().latest < expiresAt ? { identity } : { reason: 'credential.expired' };
};

/** Authenticates, then does it; a failure of either is a refusal. */
const asSelf = async (incoming: IncomingMessage, deps: SelfServiceDeps, act: (caller: SelfCaller) => Promise<SelfAnswer>): Promise<Response> => {
  try {
    const known = await verified(incoming, deps);
    if ('reason' in known) return refusal(known.reason, deps);
    const headers = readHeaders(incoming.rawHeaders);
    const keys = headers.get('idempotency-key');
    const idempotencyKey = once(headers, 'idempotency-key');
    if (keys !== undefined && (idempotencyKey === undefined || !IDEMPOTENCY_KEY.test(idempotencyKey))) {
      return problem(400, 'idempotency_key', 'Idempotency-Key must be there once, with 1 to 128 visible ASCII characters');
    }
    const traceparent = once(headers, 'traceparent');
    return answered(await act({
      identity: known.identity,
      realm: deps.realm,
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      ...(traceparent !== undefined && parseTraceparent(traceparent) !== undefined ? { traceparent } : {}),
    }));
  } catch {
    return problem(503, 'unavailable', 'this can not be served now');
  }
};

const BODY_BYTES_MAX = 64 * 1024;

/** As `asSelf`, with a JSON body; the caller is verified before the body is judged. */
const withBody = (incoming: IncomingMessage, deps: SelfServiceDeps, type: string | undefined, act: (caller: SelfCaller, value: JsonValue) => Promise<SelfAnswer>): Promise<Response> =>
  asSelf(incoming, deps, async (caller) => {
    if (type?.split(';')[0]?.trim().toLowerCase() !== 'application/json') return { ok: false, status: 400, code: 'invalid', detail: 'the body must be application/json' };
    const body = await readJsonBody(incoming, { bytesMax: BODY_BYTES_MAX });
    return body.kind === 'value' ? act(caller, body.value) : { ok: false, status: 400, code: 'invalid', detail: `the body is ${body.kind.replace('_', ' ')}` };
  });

const judged = <T>(schema: z.ZodType<T>, value: JsonValue, act: (body: T) => Promise<SelfAnswer>): Promise<SelfAnswer> => {
  const read = readBodyBy(schema, value);
  return read.ok ? act(read.body) : Promise.resolve({ ok: false, status: 400, code: 'invalid', detail: read.detail });
};

const readPage = (query: Readonly<Record<string, string[]>>): { after?: string; limit: number } | string => {
  const unknown = Object.keys(query).find((name) => name !== 'after' && name !== 'limit');
  if (unknown !== undefined) return 'only `after` and `limit` may be given';
  const { after = [], limit = [] } = query;
  if (after.length > 1 || limit.length > 1) return '`after` and `limit` may be given once';
  const size = limit[0] === undefined ? PAGE_DEFAULT : /^[0-9]{1,4}$/.test(limit[0]) ? Number(limit[0]) : 0;
  if (!(size >= 1 && size <= PAGE_MAX)) return `\`limit\` must be a whole number from 1 to ${PAGE_MAX}`;
  if (after[0] !== undefined && !CURSOR.test(after[0])) return '`after` must be the `next` of the page before';
  return { limit: size, ...(after[0] === undefined ? {} : { after: after[0] }) };
};

/** Where a workload asks for access. */
export const OWN_REQUESTS_PATH = '/self/v1/requests';

/** Of the routes below, those that read a body, within `BODY_BYTES_MAX`; the listener drops all others. */
const TAKES_BODY = /^\/self\/v1\/(?:requests|grants\/[^/?]+\/(?:extensions|delegations))(?:\?|$)/;
export const takesBody = (method: string | undefined, target: string): boolean => method === 'POST' && TAKES_BODY.test(target);

export const selfServiceRoutes = (app: SelfServiceApp, deps: SelfServiceDeps): void => {
  app.get('/self/v1/grants', (context) =>
    asSelf(context.env.incoming, deps, async (caller) => {
      const page = readPage(context.req.queries());
      if (typeof page === 'string') return { ok: false, status: 400, code: 'page', detail: page };
      return deps.service.listOwnGrants(caller, page);
    }));
  const { service } = deps;
  const notThere = { ok: false, status: 404, code: 'not-found', detail: 'there is no such thing of yours' } as const;
  app.post(OWN_REQUESTS_PATH, (context) =>
    withBody(context.env.incoming, deps, context.req.header('content-type'), (caller, value) => judged(requestBody, value, (body) => service.askForAccess(caller, body))));
  app.get('/self/v1/requests/:id', (context) =>
    asSelf(context.env.incoming, deps, async (caller) => (TASK_ID.test(context.req.param('id')) ? service.showRequest(caller, context.req.param('id')) : notThere)));
  app.post('/self/v1/requests/:id/cancel', (context) =>
    asSelf(context.env.incoming, deps, async (caller) => (TASK_ID.test(context.req.param('id')) ? service.cancelRequest(caller, context.req.param('id')) : notThere)));
  app.post('/self/v1/grants/:id/extensions', (context) =>
    withBody(context.env.incoming, deps, context.req.header('content-type'), async (caller, value) =>
      (TASK_ID.test(context.req.param('id')) ? judged(extensionBody, value, (body) => service.askForMore(caller, context.req.param('id'), body)) : notThere)));
  app.post('/self/v1/grants/:id/delegations', (context) =>
    withBody(context.env.incoming, deps, context.req.header('content-type'), async (caller, value) =>
      (TASK_ID.test(context.req.param('id')) ? judged(delegationBody, value, (body) => service.delegate(caller, context.req.param('id'), body)) : notThere)));
  for (const [verb, act] of [['heartbeat', deps.service.beatTask], ['close', deps.service.closeTask]] as const) {
    app.post(`/self/v1/tasks/:id/${verb}`, (context) =>
      asSelf(context.env.incoming, deps, async (caller) => {
        const id = context.req.param('id');
        if (!TASK_ID.test(id)) return { ok: false, status: 404, code: 'task.missing', detail: 'there is no such task of yours' };
        return act(caller, id);
      }));
  }
};
