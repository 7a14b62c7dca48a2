/** Recertification over HTTP: what owners have to confirm, their word, and the one short grace of another person. */
import { z } from '@hono/zod-openapi';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import { readRecertification, recertificationEnd, type Recertification } from '../domain/recertification.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { pageView } from '../lifecycle/view.ts';
import type { Store } from '../store/port.ts';
import { done } from './answers.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { instantText, pageAnswer, pageQuery } from './schemas.ts';

const tag = 'recertification';

const word = { by: z.string(), at: instantText(), note: z.string() };
const answer = z.object({
  grant: z.string(), workload: z.string(), entitlement: z.string(), owner: z.string().describe('who confirms it; so may the owner and fallback owner of the entitlement'),
  state: z.enum(['held', 'grace', 'overdue', 'over']).describe('`held`: not due yet; `grace`: past it, by the word of another person; `overdue`: it denies; `over`: the grant has ended'),
  dueAt: instantText(), everyMs: z.int(), expiresAt: instantText().describe('of the grant; no word moves it'),
  confirmed: z.object(word).optional(), grace: z.object({ ...word, until: instantText() }).optional(),
}).openapi('Recertification');

const noteBody = z.strictObject({ note: z.string().min(1).max(4_096).describe('why it is still needed') });

const stateOf = (held: Recertification, now: Instant): string => {
  if (!(now < held.expiresAt)) return 'over';
  return now < held.dueAt ? 'held' : now < recertificationEnd(held) ? 'grace' : 'overdue';
};

const view = (held: Recertification, now: Instant): JsonObject => {
  const { grant, workload, entitlement, owner, dueAt, everyMs, expiresAt, confirmed, grace } = held;
  return {
    grant, workload, entitlement, owner, state: stateOf(held, now), dueAt: toRfc3339(dueAt), everyMs, expiresAt: toRfc3339(expiresAt),
    ...(confirmed === undefined ? {} : { confirmed: { ...confirmed, at: toRfc3339(confirmed.at) } }),
    ...(grace === undefined ? {} : { grace: { ...grace, at: toRfc3339(grace.at), until: toRfc3339(grace.until) } }),
  };
};

export interface RecertificationDeps {
  readonly lifecycle: Pick<Lifecycle, 'confirmGrant' | 'graceGrant'>;
  readonly store: Pick<Store, 'list'>;
  readonly now: () => Instant;
}

export const recertificationEndpoints = ({ lifecycle, store, now }: RecertificationDeps): readonly Endpoint[] => [
  endpoint({
    method: 'get', path: '/recertifications', command: 'grant.read', summary: 'List what owners have to confirm', tag, query: pageQuery,
    answers: { 200: { description: 'A page of them', schema: pageAnswer(answer) } },
    handle: async ({ realm, query: { after, limit } }) => {
      const { items, next } = await store.list(realm, { kind: 'recertification', limit, ...(after === undefined ? {} : { after }) });
      return { status: 200, body: pageView({ items: items.flatMap(({ value }) => readRecertification(value) ?? []).map((held) => view(held, now())), ...(next === undefined ? {} : { next }) }) };
    },
  }),
  endpoint({
    method: 'post', path: '/grants/{id}/recertify', command: 'grant.recertify', summary: 'Confirm that a grant is still needed, as its owner', tag, body: noteBody,
    answers: { 200: { description: 'Until when it holds now', schema: answer } },
    handle: async ({ call, params, body }) => done(await lifecycle.confirmGrant(call, params['id'] ?? '', body.note), 200, (reply, { at }) => view(reply['recertification'] as unknown as Recertification, at)),
  }),
  endpoint({
    method: 'post', path: '/grants/{id}/grace', command: 'grant.grace', summary: 'Give a grant one short grace, as another person', tag, body: noteBody,
    answers: { 200: { description: 'Until when it holds now', schema: answer } },
    handle: async ({ call, params, body }) => done(await lifecycle.graceGrant(call, params['id'] ?? '', body.note), 200, (reply, { at }) => view(reply['recertification'] as unknown as Recertification, at)),
  }),
];
