/** Access requests over HTTP: asked for by people, approved and denied by others. Emergency access has a route and a key of its own. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import type { Instant } from '../domain/instant.ts';
import { REQUEST_STATES, type AccessRequest } from '../domain/lifecycle/request.ts';
import type { Executed } from '../lifecycle/execute.ts';
import { requestView, type Requests } from '../lifecycle/requests.ts';
import { pageView } from '../lifecycle/view.ts';
import { done, found } from './answers.ts';
import { endpoint, type AdminRequest, type Answer, type Endpoint } from './endpoint.ts';
import { approveBody, denyBody, extendBody, instantText, liftBody, pageAnswer, requestBody, requestsQuery } from './schemas.ts';

const tag = 'requests';

const answer = z.object({
  id: z.string(), state: z.enum(REQUEST_STATES), entitlement: z.string(), requester: z.object({ kind: z.string(), id: z.string() }), terms: z.record(z.string(), z.unknown()),
  digest: z.string().describe('of what is asked and of the entitlement; an approval names it'), needed: z.int().describe('how many persons must approve'),
  approvals: z.array(z.object({ id: z.string(), approver: z.string(), at: instantText() })), createdAt: instantText(), decideBy: instantText(),
  extends: z.string().optional(), grant: z.string().optional(), decidedBy: z.string().optional(), decidedAt: instantText().optional(), reason: z.string().optional(),
}).loose().openapi('AccessRequest');

const answered = (executed: Executed, status: number): Answer =>
  done(executed, status, (reply, { at }) => {
    const request = reply['request'] as unknown as AccessRequest;
    return requestView(request, request.state, at);
  });

export interface BreakGlassKey {
  readonly person: string;
  readonly sha256: string;
  readonly end: string;
  /** Absent: of any realm. */
  readonly realms?: readonly string[] | undefined;
}

export interface BreakGlass {
  readonly keys: readonly BreakGlassKey[];
  /** Development: no key is needed. */
  readonly open: boolean;
  readonly now: () => Instant;
}

export const BREAK_GLASS_HEADER = 'curfew-break-glass-key';

/** A key counts for its person alone, in its realms and until its end. */
const keyFault = ({ keys, open, now }: BreakGlass, { principal, headers, realm }: AdminRequest<unknown, unknown>): string | undefined => {
  if (open) return undefined;
  const given = createHash('sha256').update(headers.get(BREAK_GLASS_HEADER) ?? '', 'utf8').digest();
  const fits = keys.some(({ person, sha256, end, realms }) => {
    const same = timingSafeEqual(Buffer.from(sha256, 'hex'), given);
    return same && person === principal.id && (realms === undefined || realms.includes(realm)) && now() < Date.parse(end);
  });
  return fits ? undefined : `emergency access takes a key of this person for this realm that has not ended, in the header ${BREAK_GLASS_HEADER}`;
};

/** Without any role one sees what one asked for. */
const own = ({ principal }: AdminRequest<unknown, unknown>): string | undefined => (principal.roles.length === 0 ? principal.id : undefined);

export const requestEndpoints = (requests: Requests, breakGlass: BreakGlass): readonly Endpoint[] => [
  endpoint({
    method: 'post', path: '/requests', command: 'request.create', summary: 'Ask for access for a workload', tag, body: requestBody,
    answers: { 201: { description: 'The request; `approved` at once where no person needs to approve', schema: answer } },
    handle: async ({ call, body }) => answered(await requests.create(call, body, 'request'), 201),
  }),
  endpoint({
    method: 'post', path: '/break-glass', command: 'break-glass.open', summary: 'Ask for emergency access, with a key of its own', tag, body: requestBody,
    answers: { 201: { description: 'The request; the clock of its grant runs from now on', schema: answer } },
    handle: async (request) => {
      const fault = keyFault(breakGlass, request);
      return answered(await (fault === undefined ? requests.create(request.call, request.body, 'break-glass') : requests.refuseEmergency(request.call, fault)), 201);
    },
  }),
  endpoint({
    method: 'post', path: '/grants/{id}/extensions', command: 'request.create', summary: 'Ask for more of a grant, from its end on', tag, body: extendBody,
    answers: { 201: { description: 'The request; the end of the grant never moves, another follows it', schema: answer } },
    handle: async ({ call, params, body }) => answered(await requests.extend(call, params['id'] ?? '', body), 201),
  }),
  endpoint({
    method: 'get', path: '/requests', command: 'request.read', summary: 'List requests', tag, query: requestsQuery,
    answers: { 200: { description: 'A page of requests; it may be short although there is a `next`', schema: pageAnswer(answer) } },
    handle: async (request) => ({ status: 200, body: pageView(await requests.list(request.realm, request.query, own(request))) }),
  }),
  endpoint({
    method: 'get', path: '/requests/{id}', command: 'request.read', summary: 'One request', tag,
    answers: { 200: { description: 'The request', schema: answer } },
    handle: async (request) => found(await requests.get(request.realm, request.params['id'] ?? '', own(request)), 'request'),
  }),
  endpoint({
    method: 'post', path: '/requests/{id}/approve', command: 'request.approve', summary: 'Approve what `digest` stands for', tag, body: approveBody,
    answers: { 200: { description: 'The request; with the last approval `grant` is issued', schema: answer } },
    handle: async ({ call, params, body }) => answered(await requests.approve(call, params['id'] ?? '', body.digest), 200),
  }),
  endpoint({
    method: 'post', path: '/requests/{id}/deny', command: 'request.deny', summary: 'Deny a request for good', tag, body: denyBody,
    answers: { 200: { description: 'The request', schema: answer } },
    handle: async ({ call, params, body }) => answered(await requests.deny(call, params['id'] ?? '', body.reason), 200),
  }),
  endpoint({
    method: 'post', path: '/requests/{id}/cancel', command: 'request.cancel', summary: 'Withdraw a request of yours', tag, body: liftBody,
    answers: { 200: { description: 'The request', schema: answer } },
    handle: async ({ call, params, body }) => answered(await requests.cancel(call, params['id'] ?? '', body.reason), 200),
  }),
];
