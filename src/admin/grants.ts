/** Grants over HTTP: issued by operators, listed and inspected with their computed state. */
import type { Grant } from '../domain/grant.ts';
import type { Inspect } from '../lifecycle/inspect.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { grantView, pageView } from '../lifecycle/view.ts';
import { done, found } from './answers.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { grantAnswer, grantsQuery, issueGrantBody, pageAnswer } from './schemas.ts';

const tag = 'grants';

export const grantEndpoints = (lifecycle: Lifecycle, inspect: Inspect): readonly Endpoint[] => [
  endpoint({
    method: 'post', path: '/grants', command: 'grant.issue', summary: 'Issue a grant', tag, body: issueGrantBody,
    answers: { 201: { description: 'The grant', schema: grantAnswer } },
    handle: async ({ call, body }) =>
      done(await lifecycle.issueGrant(call, body), 201, (reply, { at, position }) => {
        const grant = reply['grant'] as unknown as Grant;
        return grantView(grant, { state: grant.notBefore <= at ? 'active' : 'scheduled' }, position, grant.uses);
      }),
  }),
  endpoint({
    method: 'get', path: '/grants', command: 'grant.read', summary: 'List grants, filtered', tag, query: grantsQuery,
    answers: { 200: { description: 'A page of grants; it may be short although there is a `next`', schema: pageAnswer(grantAnswer) } },
    handle: async ({ realm, query }) => ({ status: 200, body: pageView(await inspect.grants(realm, query, query)) }),
  }),
  endpoint({
    method: 'get', path: '/grants/{id}', command: 'grant.read', summary: 'One grant with its history', tag,
    answers: { 200: { description: 'The grant', schema: grantAnswer } },
    handle: async ({ realm, params }) => found(await inspect.grant(realm, params['id'] ?? ''), 'grant'),
  }),
];
