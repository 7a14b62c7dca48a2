/** Reports over HTTP: orphans, exceptions, what is still open, how standing access is; steps by hand; what groups give elsewhere. */
import { z } from '@hono/zod-openapi';
import type { Grant } from '../domain/grant.ts';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import { manualRef, openManualRef, readStep, type ManualStep } from '../domain/lifecycle/manual-rules.ts';
import { ORPHAN_CAUSES } from '../domain/reports/reports.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { SHARE_MS, type Reports } from '../lifecycle/reports.ts';
import { pageView } from '../lifecycle/view.ts';
import type { Store } from '../store/port.ts';
import { done } from './answers.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { instantText, pageAnswer, pageQuery, scope } from './schemas.ts';

const tag = 'reports';
const ITEMS_MAX = 1_000;

const ofGrant = { grant: z.string(), workload: z.string(), owner: z.string(), entitlement: z.string().optional() };
const grantMembers = (grant: Grant): JsonObject => ({ grant: grant.id, workload: grant.workload, owner: grant.owners.at(-1) ?? '', ...(grant.entitlement === undefined ? {} : { entitlement: grant.entitlement }) });

const orphanAnswer = z.object({ ...ofGrant, cause: z.enum(ORPHAN_CAUSES), scopes: z.array(scope).optional().describe('those that were never used'), action: z.enum(['flag', 'end']), expiresAt: instantText() }).openapi('Orphan');
const exceptionAnswer = z.object({
  id: z.string(), kind: z.string(), subject: z.string(), tier: z.string(), owner: z.string(), reason: z.string(), end: instantText(), state: z.enum(['standing', 'ended']), lastUsedAt: instantText().optional().describe('of standing entries'),
}).openapi('Exception');
const residualAnswer = z.object({
  ...ofGrant, endedAt: instantText(), endedBecause: z.string(),
  grants: z.array(z.string()).describe('live grants of the same workload that overlap'), standing: z.array(z.string()).describe('standing entries that overlap'), groups: z.array(z.array(z.string())).describe('groups of other systems that give it, from the outermost in'),
}).openapi('Residual');
const shareAnswer = z.object({ workload: z.string(), grants: z.int(), accessMs: z.int(), share: z.number().describe('of the time looked at, 0 to 1') }).openapi('StandingShare');
const listAnswer = (item: z.ZodType) => z.object({ items: z.array(item), truncated: z.boolean().describe('there is more than is listed, or than was looked at') });
const stepAnswer = z.object({
  id: z.string(), grant: z.string(), workload: z.string(), system: z.string(), assignee: z.string(), endedAt: instantText(), dueAt: instantText(), state: z.enum(['open', 'overdue', 'done']),
  proof: z.string().optional(), doneBy: z.string().optional(), doneAt: instantText().optional(),
}).openapi('ManualStep');
const groupsBody = z.strictObject({ groups: z.array(z.strictObject({ id: z.string().min(1).max(500), members: z.array(z.string().min(1).max(4_096)).max(20_000), scopes: z.array(scope).max(64).default([]) })).max(2_000) });

const stepView = ({ version: _, endedAt, dueAt, doneAt, state, ...rest }: ManualStep, now: Instant): JsonObject => ({
  ...rest, endedAt: toRfc3339(endedAt), dueAt: toRfc3339(dueAt), state: state === 'open' && !(now < dueAt) ? 'overdue' : state, ...(doneAt === undefined ? {} : { doneAt: toRfc3339(doneAt) }),
});
const listed = (items: readonly JsonObject[], truncated: boolean): JsonObject => ({ items: items.slice(0, ITEMS_MAX), truncated: truncated || items.length > ITEMS_MAX });

export interface ReportEndpointDeps {
  readonly lifecycle: Pick<Lifecycle, 'finishStep' | 'importGroups'>;
  readonly reports: Reports;
  readonly store: Pick<Store, 'list' | 'read'>;
  readonly now: () => Instant;
}

export const reportEndpoints = ({ lifecycle, reports, store, now }: ReportEndpointDeps): readonly Endpoint[] => [
  endpoint({
    method: 'get', path: '/orphans', command: 'report.read', summary: 'Live grants that nobody answers for or uses', tag,
    answers: { 200: { description: 'All of them', schema: listAnswer(orphanAnswer) } },
    handle: async ({ realm }) => {
      const { items, truncated } = await reports.orphans(realm);
      return { status: 200, body: listed(items.map(({ grant, cause, action, scopes }) => ({ ...grantMembers(grant), cause, action, expiresAt: toRfc3339(grant.expiresAt), ...(scopes === undefined ? {} : { scopes: scopes as never }) })), truncated) };
    },
  }),
  endpoint({
    method: 'get', path: '/exceptions', command: 'report.read', summary: 'Standing entries and other exceptions, with owner, tier and end', tag,
    answers: { 200: { description: 'All of them', schema: listAnswer(exceptionAnswer) } },
    handle: async ({ realm }) => ({
      status: 200,
      body: listed((await reports.exceptions(realm)).map(({ end, lastUsedAt, ...rest }) => ({ ...rest, end: toRfc3339(end), ...(lastUsedAt === undefined ? {} : { lastUsedAt: toRfc3339(lastUsedAt) }) })), false),
    }),
  }),
  endpoint({
    method: 'get', path: '/residual', command: 'report.read', summary: 'Access that ended within a week and is still open some other way', tag,
    answers: { 200: { description: 'All of it', schema: listAnswer(residualAnswer) } },
    handle: async ({ realm }) => {
      const { items, truncated } = await reports.residuals(realm);
      return { status: 200, body: listed(items.map(({ grant, endedAt, ...rest }) => ({ ...grantMembers(grant), ...rest, endedAt: toRfc3339(endedAt) })), truncated) };
    },
  }),
  endpoint({
    method: 'get', path: '/standing-share', command: 'report.read', summary: 'How much of the last 30 days each workload had access', tag,
    answers: { 200: { description: 'Workloads with any, the most first', schema: z.object({ spanMs: z.int(), items: z.array(shareAnswer), truncated: z.boolean() }) } },
    handle: async ({ realm }) => {
      const { items, truncated } = await reports.shares(realm);
      return { status: 200, body: { spanMs: SHARE_MS, ...listed(items.map((share) => ({ ...share })), truncated) } };
    },
  }),
  endpoint({
    method: 'get', path: '/manual-revocations', command: 'report.read', summary: 'Steps for systems that must be told by hand', tag, query: pageQuery.extend({ state: z.enum(['open']).optional().describe('only those that wait') }),
    answers: { 200: { description: 'A page of steps', schema: pageAnswer(stepAnswer) } },
    handle: async ({ realm, query: { state, after, limit } }) => {
      const { items, next } = await store.list(realm, { kind: (state === 'open' ? openManualRef : manualRef)('').kind, limit, ...(after === undefined ? {} : { after }) });
      const records = state === 'open' ? await store.read(realm, items.map(({ key }) => manualRef(key.id))) : items;
      return { status: 200, body: pageView({ items: records.flatMap((record) => readStep(record?.value) ?? []).map((step) => stepView(step, now())), ...(next === undefined ? {} : { next }) }) };
    },
  }),
  endpoint({
    method: 'post', path: '/manual-revocations/{id}', command: 'manual.finish', summary: 'Say that a system was told, with the proof', tag, body: z.strictObject({ proof: z.string().min(1).max(4_096) }),
    answers: { 200: { description: 'The step', schema: stepAnswer } },
    handle: async ({ call, params, body, principal }) =>
      done(await lifecycle.finishStep(call, { id: params['id'] ?? '', proof: body.proof, persons: principal.persons }), 200, (reply, { at }) => stepView(reply['step'] as unknown as ManualStep, at)),
  }),
  endpoint({
    method: 'put', path: '/groups/{id}', command: 'group.import', summary: 'Import what groups of another system give, the whole graph at once', tag, body: groupsBody,
    answers: { 200: { description: 'How many groups', schema: z.object({ source: z.string(), groups: z.int(), by: z.string() }) } },
    handle: async ({ call, params, body }) => done(await lifecycle.importGroups(call, { version: 1, source: params['id'] ?? '', groups: body.groups }), 200, (reply) => reply),
  }),
];
