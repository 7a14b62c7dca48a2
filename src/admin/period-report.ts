/** What a period shows an auditor, over HTTP. One is made at a time, since each reads through the record. */
import { z } from '@hono/zod-openapi';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import { CANARY_RESULTS } from '../domain/lifecycle/canary-rules.ts';
import type { JsonObject } from '../domain/json.ts';
import { lastQuarter, type Period } from '../domain/reports/period.ts';
import { SYSTEM_MODES } from '../lifecycle/coverage.ts';
import type { MakePeriodReport, PeriodReport } from '../lifecycle/period-report.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { instant, instantText } from './schemas.ts';

const count = () => z.int().min(0);
const entitlementAnswer = z.object({
  entitlement: z.string().optional().describe('absent: grants without one'), issued: count(), used: count().describe('grants of which a use was noted'), live: count().describe('had not ended when the period did'),
  ended: z.array(z.object({ because: z.string(), selector: z.string().optional().describe('what the revocation named'), count: count(), longestMs: count().optional().describe('from the revocation until it was enforced everywhere, at the latest') })),
  usedAfterEnd: count().describe('grants that expired or were revoked, with an allow that was noted after that was to be enforced'),
});
const reportAnswer = z.object({
  realm: z.string(), from: instantText(), to: instantText(), asOf: instantText().describe('overdue, exceptions and coverage are as they were then'), entitlements: z.array(entitlementAnswer),
  placed: z.object({ revocations: count(), suspensions: count(), shortestMs: count().optional(), longestMs: count().optional() }).describe('within the period, and how long until they were enforced, at the latest'),
  overdue: z.array(z.object({ kind: z.enum(['recertification', 'emergency-review']), grant: z.string(), entitlement: z.string().optional(), who: z.string(), dueAt: instantText() })),
  exceptions: z.array(z.object({ id: z.string(), kind: z.string(), subject: z.string(), tier: z.string(), owner: z.string(), reason: z.string(), end: instantText(), state: z.enum(['standing', 'ended']), lastUsedAt: instantText().optional() })),
  coverage: z.array(z.object({
    pep: z.string().describe('`-`: has no name'), configured: z.boolean(), mode: z.enum(['enforcing', 'observing']), observe: z.array(z.object({ entry: z.string(), end: instantText() })),
    lastUsedAt: instantText().optional().describe('last use of a grant of this period through it; absent: none was noted'),
    canary: z.enum(CANARY_RESULTS).optional().describe('the worst of its canaries; absent: none was run'),
  })),
  canaries: z.array(z.object({
    canary: z.string(), pep: z.string(), result: z.enum([...CANARY_RESULTS, 'none']).describe('`ended`: access ended with its grant; `open`: it did not; `unproven`: that could not be shown; `none`: not run yet'),
    detail: z.string().optional(), at: instantText().optional(), endedAt: instantText().optional().describe('last run that went as it should'), flipMs: count().optional().describe('from the end of the grant to the first refusal that was seen'),
  })),
  systems: z.array(z.object({
    system: z.string(), mode: z.enum(SYSTEM_MODES).describe('`unknown`: an entitlement names it, and the inventory does not'), tier: z.string(), owner: z.string().optional(), peps: z.array(z.string()),
    maxGrantMs: count().optional().describe('longest grant of an entitlement that names it'), reason: z.string().optional(), live: count().describe('grants of entitlements that name it, which had not ended when the period did'),
  })).describe('the riskiest first'),
  truncated: z.boolean().describe('the record is longer, or holds more, than was looked at'),
}).openapi('PeriodReport');

const lastUsed = (at: Instant | undefined): JsonObject => (at === undefined ? {} : { lastUsedAt: toRfc3339(at) });
const view = (realm: string, { from, to, asOf, overdue, exceptions, coverage, canaries, ...rest }: PeriodReport): JsonObject => ({
  realm, from: toRfc3339(from), to: toRfc3339(to), asOf: toRfc3339(asOf), ...(rest as unknown as JsonObject),
  overdue: overdue.map(({ dueAt, ...one }) => ({ ...one, dueAt: toRfc3339(dueAt) })),
  exceptions: exceptions.map(({ end, lastUsedAt, ...one }) => ({ ...one, end: toRfc3339(end), ...lastUsed(lastUsedAt) })),
  canaries: canaries.map(({ at, endedAt, ...one }) => ({ ...one, ...(at === undefined ? {} : { at: toRfc3339(at) }), ...(endedAt === undefined ? {} : { endedAt: toRfc3339(endedAt) }) })),
  coverage: coverage.map(({ observe, lastUsedAt, ...one }) => ({ ...one, observe: observe.map(({ entry, end }) => ({ entry, end: toRfc3339(end) })), ...lastUsed(lastUsedAt) })),
});

/** Nothing asked for: the calendar quarter (UTC) that is over. */
const periodOf = (from: Instant | undefined, to: Instant | undefined, now: Instant): Period | undefined => {
  if (from === undefined) return to === undefined ? lastQuarter(now) : undefined;
  return from < (to ?? now) ? { from, to: to ?? now } : undefined;
};

export const periodReportEndpoints = (make: MakePeriodReport, now: () => Instant): readonly Endpoint[] => {
  let making = false;
  return [
    endpoint({
      method: 'get', path: '/period-report', command: 'report.read', summary: 'What a period shows an auditor: issued, used, ended, overdue, exceptions, coverage', tag: 'reports',
      query: z.strictObject({ from: instant().optional(), to: instant().optional() }).describe('without either: the last calendar quarter (UTC); without `to`: until now'),
      answers: { 200: { description: 'The report; `to` is now at the latest', schema: reportAnswer } },
      handle: async ({ realm, query: { from, to } }) => {
        const period = periodOf(from, to, now());
        if (period === undefined) return { problem: { code: 'invalid', detail: 'that is no period', faults: [{ path: '/from', message: 'must be there, and earlier than to and now' }] } };
        if (making) return { problem: { code: 'busy', detail: 'another report is being made; ask again' } };
        making = true;
        try {
          return { status: 200, body: view(realm, await make(realm, period)) };
        } finally {
          making = false;
        }
      },
    }),
  ];
};
