/** Revocations and suspensions over HTTP. They answer when they are enforced, or at once with 202 for `Prefer: respond-async`. */
import type { Instant } from '../domain/instant.ts';
import type { RevocationRecord, SuspensionRecord } from '../domain/lifecycle/ending-rules.ts';
import type { Done } from '../lifecycle/execute.ts';
import type { Inspect } from '../lifecycle/inspect.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { enforcementView, isUnconfirmed, pageView, revocationView, suspensionView } from '../lifecycle/view.ts';
import { done, found } from './answers.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { endBody, liftBody, pageAnswer, pageQuery, revocationAnswer, suspensionAnswer } from './schemas.ts';

/** RFC 7240: preferences are a comma-separated list; names are case-insensitive. */
export const wantsAsync = (headers: Headers): boolean =>
  (headers.get('prefer') ?? '').split(',').some((preference) => preference.trim().toLowerCase() === 'respond-async');

/** Of a command that ends access; a replay has the status of the first. What is not known to be enforced is never answered as if it were. */
export const endedStatus = (enforced: number) => (done: Done): number => (done.reply['respondAsync'] === true || isUnconfirmed(done) ? 202 : enforced);
const placedStatus = endedStatus(201);
const COMMITTED = 'Committed; enforced at `enforcedAt`, or, where that is absent, when each process that is `pending` has confirmed it or ended';

export const endingEndpoints = (lifecycle: Lifecycle, inspect: Inspect): readonly Endpoint[] => [
  endpoint({
    method: 'post', path: '/revocations', command: 'revoke', summary: 'End access by selector, for good', tag: 'revocations', body: endBody,
    answers: { 201: { description: 'Enforced', schema: revocationAnswer }, 202: { description: COMMITTED, schema: revocationAnswer } },
    handle: async ({ call, body, headers }) =>
      done(await lifecycle.revoke(call, body, wantsAsync(headers)), placedStatus, (reply, commit) =>
        revocationView(reply['revocation'] as unknown as RevocationRecord, commit.at, commit.position, enforcementView(commit))),
  }),
  endpoint({
    method: 'get', path: '/revocations', command: 'ending.read', summary: 'List revocations', tag: 'revocations', query: pageQuery,
    answers: { 200: { description: 'A page of revocations', schema: pageAnswer(revocationAnswer) } },
    handle: async ({ realm, query }) => ({ status: 200, body: pageView(await inspect.revocations(realm, query)) }),
  }),
  endpoint({
    method: 'get', path: '/revocations/{id}', command: 'ending.read', summary: 'One revocation', tag: 'revocations',
    answers: { 200: { description: 'The revocation', schema: revocationAnswer } },
    handle: async ({ realm, params }) => found(await inspect.revocation(realm, params['id'] ?? ''), 'revocation'),
  }),
  endpoint({
    method: 'post', path: '/suspensions', command: 'suspend', summary: 'Stop access by selector until it is lifted', tag: 'suspensions', body: endBody,
    answers: { 201: { description: 'Enforced', schema: suspensionAnswer }, 202: { description: COMMITTED, schema: suspensionAnswer } },
    handle: async ({ call, body, headers }) =>
      done(await lifecycle.suspend(call, body, wantsAsync(headers)), placedStatus, (reply, commit) =>
        suspensionView(reply['suspension'] as unknown as SuspensionRecord, commit.at, commit.position, enforcementView(commit))),
  }),
  endpoint({
    method: 'post', path: '/suspensions/{id}/lift', command: 'lift', summary: 'Lift a suspension that another person placed', tag: 'suspensions', body: liftBody,
    answers: { 200: { description: 'The suspension', schema: suspensionAnswer } },
    handle: async ({ call, body, params, principal }) =>
      done(await lifecycle.lift(call, { id: params['id'] ?? '', reason: body.reason, persons: principal.persons }), 200, (reply, { position }) =>
        suspensionView(reply['suspension'] as unknown as SuspensionRecord, reply['placedAt'] as Instant, position)),
  }),
  endpoint({
    method: 'get', path: '/suspensions', command: 'ending.read', summary: 'List suspensions', tag: 'suspensions', query: pageQuery,
    answers: { 200: { description: 'A page of suspensions', schema: pageAnswer(suspensionAnswer) } },
    handle: async ({ realm, query }) => ({ status: 200, body: pageView(await inspect.suspensions(realm, query)) }),
  }),
  endpoint({
    method: 'get', path: '/suspensions/{id}', command: 'ending.read', summary: 'One suspension', tag: 'suspensions',
    answers: { 200: { description: 'The suspension', schema: suspensionAnswer } },
    handle: async ({ realm, params }) => found(await inspect.suspension(realm, params['id'] ?? ''), 'suspension'),
  }),
];
