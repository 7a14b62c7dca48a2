/** What the admin API takes and gives. Strict: a member that is not listed is refused. Fine limits are the domain rules' matter. */
import { z } from '@hono/zod-openapi';
import { fromRfc3339, type Instant } from '../domain/instant.ts';
import { MODELS } from '../domain/grant.ts';
import { ROLES } from '../domain/lifecycle/roles.ts';
import { SELECTOR_KINDS } from '../domain/selector.ts';

const CHARS_MAX = 4_096;
const ITEMS_MAX = 256;
const word = () => z.string().min(1).max(CHARS_MAX);
const words = () => z.array(word()).max(ITEMS_MAX);

export const instant = () =>
  z.string().max(64)
    .transform((text, context): Instant => {
      const value = fromRfc3339(text);
      if (value !== undefined) return value;
      context.addIssue({ code: 'custom', message: 'must be an RFC 3339 date-time such as 2026-11-21T10:00:00.000Z' });
      return z.NEVER;
    })
    .openapi({ type: 'string', format: 'date-time' });
const durationMs = () => z.number().openapi({ type: 'integer', minimum: 1, description: 'whole milliseconds' });
export const instantText = () => z.string().openapi({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' });

export const scope = z.strictObject({
  actions: words(),
  resource: z.strictObject({ type: word(), id: word() }).describe('`*` is one segment, `**` (last only) any number'),
});

const conditions = z.strictObject({ audience: words().optional(), pep: words().optional(), source: words().optional() });
const binding = z.strictObject({ x5t: word().optional(), jkt: word().optional() });

export const openTaskBody = z.strictObject({
  source: word().optional().describe('the id under which a source outside knows it: `<source>:<id there>`'),
  kind: word(), owner: word(), reference: word().optional(), heartbeatMs: durationMs().optional(), deadline: instant().optional(),
});

export const issueGrantBody = z.strictObject({
  workload: word(), model: z.enum(MODELS), scopes: z.array(scope).max(ITEMS_MAX),
  ttlMs: durationMs().optional(), notBefore: instant().optional(), expiresAt: instant().optional(),
  owner: word(), justification: word(), reference: word().optional(), task: word().optional(), entitlement: word().optional(),
  conditions: conditions.optional(), binding: binding.optional(), uses: z.number().openapi({ type: 'integer', minimum: 1 }).optional(),
});

export const requestBody = z.strictObject({
  entitlement: word(), workload: word(), parameters: z.record(z.string().max(64), z.string().max(256)).optional(),
  scopes: z.array(scope).max(ITEMS_MAX).optional().describe("narrower than the entitlement's; absent: all of them"),
  ttlMs: durationMs().optional(), notBefore: instant().optional(), expiresAt: instant().optional(),
  owner: word().optional(), justification: word(), reference: word().optional(), task: word().optional(),
  conditions: conditions.optional(), binding: binding.optional(), uses: z.number().openapi({ type: 'integer', minimum: 1 }).optional(),
});
export const extendBody = z.strictObject({ ttlMs: durationMs(), justification: word() });
export const approveBody = z.strictObject({ digest: word().describe('of the request, as it was looked at') });
export const denyBody = z.strictObject({ reason: word() });

const selector = z.strictObject({
  kind: z.enum(SELECTOR_KINDS),
  value: z.union([word(), z.strictObject({
    issuer: word().optional(), jti: word().optional(), sha256: word().optional(), serial: word().optional(), spki: word().optional(),
  })]),
});
export const endBody = z.strictObject({ selector, reason: word() });
export const liftBody = z.strictObject({ reason: word().optional() });
export const clockBody = z.strictObject({ reason: word() });
export const operatorBody = z.strictObject({ roles: z.array(z.enum(ROLES)).max(ROLES.length) });

export const explainBody = z.strictObject({
  workload: word().optional(), token: z.string().min(1).max(16_384).optional(),
  action: word(), resource: z.strictObject({ type: word(), id: word() }),
  audience: words().optional(), pep: word().optional(), source: word().optional(),
  context: z.record(z.string(), z.unknown()).optional(), at: instant().optional(),
});

const limit = z.string().regex(/^(?:[1-9]\d?|1\d\d|200)$/, 'must be a whole number from 1 to 200').transform(Number).default(50).openapi({ type: 'integer', minimum: 1, maximum: 200 });
export const pageQuery = z.strictObject({ after: word().optional(), limit });
export const requestsQuery = z.strictObject({ after: word().optional(), limit, state: z.enum(['pending', 'approved', 'denied', 'expired', 'cancelled']).optional() });
export const grantsQuery = z.strictObject({
  after: word().optional(), limit,
  workload: word().optional(), state: z.enum(['scheduled', 'active', 'ended']).optional(), model: z.enum(MODELS).optional(), task: word().optional(),
});

export const nodes = z.array(z.object({ node: z.string(), holder: z.string(), state: z.enum(['acknowledged', 'lapsed', 'pending']) })).optional()
  .describe('processes that decide: it knows; it did not say so and its lease is over; neither yet');

export const taskAnswer = z.object({
  id: z.string(), kind: z.string(), owner: z.string(), reference: z.string().optional(), state: z.enum(['open', 'paused', 'closed']),
  endedBecause: z.string().optional(), openedBy: z.string(), openedAt: instantText(), deadline: instantText(), heartbeatMs: z.int().optional(),
  lastBeatAt: instantText().optional(), closedAt: instantText().optional(), closedBy: z.string().optional(), position: z.string(), nodes,
}).openapi('Task');

export const grantAnswer = z.object({
  id: z.string(), realm: z.string(), workload: z.string(), model: z.enum(MODELS), scopes: z.array(scope), conditions, binding: binding.optional(),
  notBefore: instantText(), expiresAt: instantText(), state: z.enum(['scheduled', 'active', 'ended']), endedBecause: z.string().optional(),
  owner: z.string(), owners: z.array(z.string()), justification: z.string(), reference: z.string().optional(), task: z.string().optional(),
  entitlement: z.string().optional(), tier: z.string(), uses: z.int().optional(), usesLeft: z.int().optional(), direct: z.boolean(),
  used: z.object({
    firstAt: instantText(), lastAt: instantText(),
    peps: z.array(z.object({ pep: z.string().describe('`-`: the enforcement point has no name'), firstAt: instantText(), lastAt: instantText() })),
  }).optional().describe('of one grant: when it was first and last used, and by which enforcement points; noted within `lifecycle.useNotesMs`'),
  issuedBy: z.string(), issuedAt: instantText(), bundleRevision: z.string(), position: z.string(),
  history: z.array(z.record(z.string(), z.unknown())).optional(),
}).openapi('Grant');

const ending = {
  id: z.string(), position: z.string(), effectiveAt: instantText(), enforcedAt: instantText().optional().describe('no allow that relies on it is written later; absent: not known yet'),
  selector: z.object({ kind: z.enum(SELECTOR_KINDS), value: z.string() }), reason: z.string(), placedBy: z.string(), notes: z.array(z.string()).optional(),
  nodes,
};
export const revocationAnswer = z.object(ending).openapi('Revocation');
export const suspensionAnswer = z.object({
  ...ending, state: z.enum(['standing', 'lifted']), liftedBy: z.string().optional(), liftedAt: instantText().optional(), liftReason: z.string().optional(),
}).openapi('Suspension');
export const operatorAnswer = z.object({ id: z.string(), roles: z.array(z.enum(ROLES)), setBy: z.string(), position: z.string() }).openapi('Operator');
export const clockAnswer = z.object({ at: instantText(), reason: z.string(), by: z.string(), behindMs: z.int(), position: z.string() }).openapi('ClockReset');
export const bundleAnswer = z.object({ result: z.enum(['active', 'unchanged']), revision: z.string(), digest: z.string() }).openapi('Bundle');
export const anyAnswer = z.record(z.string(), z.unknown());
export const pageAnswer = (item: z.ZodType) => z.object({ items: z.array(item), next: z.string().optional().describe('cursor for `after`; absent on the last page') });
