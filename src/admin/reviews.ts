/** Reviews of emergency access over HTTP, and when it was last tried. */
import { z } from '@hono/zod-openapi';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import { openReviewRef, readReview, REVIEW_OUTCOMES, reviewRef, type Review } from '../domain/review.ts';
import { readDrill } from '../domain/lifecycle/review-rules.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { pageView } from '../lifecycle/view.ts';
import type { Store } from '../store/port.ts';
import { done, found } from './answers.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { instantText, pageAnswer, pageQuery } from './schemas.ts';

const tag = 'reviews';

const reviewAnswer = z.object({
  grant: z.string(), workload: z.string(), entitlement: z.string().optional(), owners: z.array(z.string()), issuedBy: z.string(), reference: z.string().optional(), by: z.string().optional().describe('whose task it is'),
  decision: z.string().describe('the first use'), pep: z.string().nullable(), usedAt: instantText(), dueAt: instantText(),
  state: z.enum(['open', 'overdue', 'closed']), stopped: z.array(z.string()).optional().describe('suspensions that were placed because it was overdue'),
  outcome: z.enum(REVIEW_OUTCOMES).optional(), note: z.string().optional(), closedBy: z.string().optional(), closedAt: instantText().optional(),
}).openapi('Review');

const closeBody = z.strictObject({ outcome: z.enum(REVIEW_OUTCOMES), note: z.string().min(1).max(4_096) });
const reviewsQuery = pageQuery.extend({ state: z.enum(['open']).optional().describe('only those that wait') });
const drillAnswer = z.object({ entitlement: z.string(), lastAt: instantText().optional().describe('absent: never'), dueAt: instantText(), overdue: z.boolean() }).openapi('Drill');

const view = ({ version: _, usedAt, dueAt, closedAt, state, ...rest }: Review, now: Instant): JsonObject => ({
  ...rest, usedAt: toRfc3339(usedAt), dueAt: toRfc3339(dueAt), state: state === 'open' && !(now < dueAt) ? 'overdue' : state,
  ...(closedAt === undefined ? {} : { closedAt: toRfc3339(closedAt) }),
});

export interface ReviewDeps {
  readonly lifecycle: Pick<Lifecycle, 'closeReview'>;
  readonly store: Pick<Store, 'list' | 'read'>;
  readonly now: () => Instant;
  readonly drillEveryMs: number;
}

export const reviewEndpoints = ({ lifecycle, store, now, drillEveryMs }: ReviewDeps): readonly Endpoint[] => [
  endpoint({
    method: 'get', path: '/reviews', command: 'review.read', summary: 'List reviews of emergency access, in the order in which it was issued', tag, query: reviewsQuery,
    answers: { 200: { description: 'A page of reviews', schema: pageAnswer(reviewAnswer) } },
    handle: async ({ realm, query: { state, after, limit } }) => {
      const { items, next } = await store.list(realm, { kind: state === 'open' ? openReviewRef('').kind : reviewRef('').kind, limit, ...(after === undefined ? {} : { after }) });
      const records = state === 'open' ? await store.read(realm, items.map(({ key }) => reviewRef(key.id))) : items;
      return { status: 200, body: pageView({ items: records.flatMap((record) => readReview(record?.value) ?? []).map((review) => view(review, now())), ...(next === undefined ? {} : { next }) }) };
    },
  }),
  endpoint({
    method: 'get', path: '/reviews/{id}', command: 'review.read', summary: 'The review of one grant', tag,
    answers: { 200: { description: 'The review', schema: reviewAnswer } },
    handle: async ({ realm, params }) => {
      const review = readReview((await store.read(realm, [reviewRef(params['id'] ?? '')]))[0]?.value);
      return found(review === undefined ? undefined : view(review, now()), 'review');
    },
  }),
  endpoint({
    method: 'post', path: '/reviews/{id}', command: 'review.close', summary: 'Sort a use of emergency access: a drill, real, or misuse', tag, body: closeBody,
    answers: { 200: { description: 'The review', schema: reviewAnswer } },
    handle: async ({ call, params, body, principal }) =>
      done(await lifecycle.closeReview(call, { grant: params['id'] ?? '', ...body, persons: principal.persons }), 200, (reply, { at }) => view(reply['review'] as unknown as Review, at)),
  }),
  endpoint({
    method: 'get', path: '/drills', command: 'review.read', summary: 'When access by each entitlement for emergencies was last tried', tag, query: pageQuery,
    answers: { 200: { description: 'A page of drills', schema: pageAnswer(drillAnswer) } },
    handle: async ({ realm, query: { after, limit } }) => {
      const { items, next } = await store.list(realm, { kind: 'drill', limit, ...(after === undefined ? {} : { after }) });
      const drills = items.flatMap(({ value }) => readDrill(value) ?? []).map(({ entitlement, lastAt, since }) => {
        const dueAt = ((lastAt ?? since ?? 0) + drillEveryMs) as Instant;
        return { entitlement, ...(lastAt === undefined ? {} : { lastAt: toRfc3339(lastAt) }), dueAt: toRfc3339(dueAt), overdue: !(now() < dueAt) };
      });
      return { status: 200, body: pageView({ items: drills, ...(next === undefined ? {} : { next }) }) };
    },
  }),
];
