/** What a timeline may say. Strict: an unknown member is an error. A step's form follows from the one act it names. */
import { z } from 'zod';
import { limitsConfig } from '../config/limits.ts';
import { nearest } from '../config/nearest.ts';
import { standingConfig } from '../config/standing.ts';
import type { Reason } from '../domain/reasons.ts';
import { REASONS } from '../domain/reasons.ts';
import { MODELS } from '../domain/grant.ts';
import { fromRfc3339, type Instant } from '../domain/instant.ts';
import { SELECTOR_KINDS } from '../domain/selector.ts';
import { routeConfig } from '../gateways/config.ts';
import { lifecycleConfig } from '../lifecycle/config.ts';
import { offset, resource, scope, span } from './terms.ts';

export const TIMELINE_LIMITS = { steps: 1_000, questions: 20_000 } as const;

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be a name: letters, digits, dots, dashes, underscores');
const text = z.string().min(1).max(1_000);
const members = z.record(z.string().max(256), z.json());
/** A name from `workloads`, or the id itself. */
const workload = z.string().min(1).max(512);

const instant = z.string().transform((given, context): Instant => {
  const found = fromRfc3339(given);
  if (found !== undefined) return found;
  context.addIssue({ code: 'custom', message: 'must be an RFC 3339 date-time, such as 2026-03-02T09:00:00Z' });
  return z.NEVER;
});

const subject = z.union([
  z.string().min(1).max(512).describe('SPIFFE ID, or oidc: id'),
  z.strictObject({
    id: z.string().min(1).max(512),
    issuer: z.string().min(1).max(512).optional(),
    claims: members.optional(),
    ttl: span.optional(),
  }),
]);

const { decisionDeadlineMs: _deadline, ...limits } = limitsConfig.unwrap().shape;

export const timelineSchema = z.strictObject({
  title: text,
  start: instant.prefault('2026-01-05T08:00:00Z'),
  /** As in development: grants need no entitlement, and whoever suspends may lift. */
  development: z.boolean().default(false),
  policy: z.array(z.string().min(1).max(1_024)).min(1).max(16).optional(),
  workloads: z.record(name, subject).default({}),
  config: z
    .strictObject({
      standing: z.array(standingConfig).max(100).default([]),
      routes: z.array(routeConfig).max(1_000).default([]),
      lifecycle: lifecycleConfig.prefault({}),
      limits: z.strictObject(limits).prefault({}),
    })
    .prefault({}),
  steps: z.array(z.record(z.string(), z.json())).min(1).max(TIMELINE_LIMITS.steps),
});
export type TimelineHead = z.output<typeof timelineSchema>;

const grant = z.strictObject({
  name: name.optional(),
  workload,
  model: z.enum(MODELS),
  scopes: z.array(scope).min(1).max(100),
  ttl: span.optional(),
  from: offset.optional(),
  until: offset.optional(),
  owner: text,
  justification: text,
  reference: text.optional(),
  task: name.optional(),
  entitlement: text.optional(),
  uses: z.int().optional(),
  conditions: z.strictObject({ audience: z.array(text).optional(), pep: z.array(text).optional(), source: z.array(text).optional() }).optional(),
});

const open = z.strictObject({ task: name, kind: text, owner: text, reference: text.optional(), heartbeat: span.optional(), deadline: offset.optional() });

/** Of the values, those that the story has names for (grant, task, credential, workload) are given by name. */
const selector = z.partialRecord(z.enum(SELECTOR_KINDS), z.union([text, members]));

const ending = z.strictObject({ selector, reason: text.default('as the timeline says') });

const many = <T extends z.ZodType>(one: T) => z.union([one, z.array(one).min(1).max(100)]);

const ask = z.strictObject({
  workload: workload.optional(),
  credential: name.optional(),
  action: many(text).optional(),
  resource: many(resource).optional(),
  request: z.strictObject({ method: text, url: text, headers: z.record(text, text).default({}) }).optional(),
  context: members.optional(),
  source: text.optional(),
  pep: text.optional(),
});

const isReason = (given: string): given is Reason => (REASONS as readonly string[]).includes(given);

const reason = z.string().transform((given, context): Reason => {
  if (isReason(given)) return given;
  const meant = nearest(given, REASONS);
  context.addIssue({ code: 'custom', message: `is not a reason${meant === undefined ? '' : `; did you mean \`${meant}\`?`}` });
  return z.NEVER;
});

const allowed = z.strictObject({
  allow: z.union([z.literal(true), name]),
  validUntil: offset.optional(),
  standing: text.optional(),
  wouldDeny: reason.optional(),
  headers: z.record(text, text).optional(),
});
const denied = z.strictObject({ deny: reason, grant: name.optional(), reasons: z.array(text).optional(), headers: z.record(text, text).optional() });
const refused = z.strictObject({ refused: text, says: text.optional() });

const grantState = z.strictObject({ state: z.enum(['scheduled', 'active', 'ended']), because: reason.optional(), usesLeft: z.int().optional(), until: offset.optional() });
const taskState = z.strictObject({ state: z.enum(['open', 'paused', 'closed']), because: reason.optional() });

const common = { at: offset.optional(), by: text.default('user:operator'), note: text.optional() };
const command = <T extends z.ZodRawShape>(act: T) => z.strictObject({ ...common, ...act, expect: refused.optional() });

/** By the act that a step names. */
const steps = {
  open: command({ open }),
  beat: command({ beat: name }),
  pause: command({ pause: name }),
  resume: command({ resume: name }),
  close: command({ close: name }),
  grant: command({ grant }),
  revoke: command({ revoke: ending }),
  suspend: command({ suspend: ending.extend({ name: name.optional() }) }),
  lift: command({ lift: name }),
  credential: z.strictObject({ ...common, credential: z.strictObject({ name, workload, ttl: span.optional(), claims: members.optional() }) }),
  list: z.strictObject({
    ...common,
    list: z.strictObject({ workload: workload.optional(), task: name.optional(), state: z.enum(['scheduled', 'active', 'ended']).optional(), model: z.enum(MODELS).optional() }),
    expect: z.array(name),
  }),
} as const;

const stated = {
  grant: z.strictObject({ ...common, state: z.strictObject({ grant: name }), expect: grantState }),
  task: z.strictObject({ ...common, state: z.strictObject({ task: name }), expect: taskState }),
} as const;

const asked = {
  allow: z.strictObject({ ...common, ask, expect: z.union([z.literal('allow'), allowed]) }),
  deny: z.strictObject({ ...common, ask, expect: denied }),
} as const;

export const ACTS = [...Object.keys(steps), 'state', 'ask'] as readonly string[];

export type Command = { readonly [Act in Exclude<keyof typeof steps, 'credential' | 'list'>]: z.output<(typeof steps)[Act]> };
export type CommandStep = Command[keyof Command];
export type CredentialStep = z.output<typeof steps.credential>;
export type ListStep = z.output<typeof steps.list>;
export type StateStep = z.output<typeof stated.grant> | z.output<typeof stated.task>;
export type AskStep = z.output<typeof asked.allow> | z.output<typeof asked.deny>;
export type Step = CommandStep | CredentialStep | ListStep | StateStep | AskStep;
export type Grant = z.output<typeof grant>;
export type Question = z.output<typeof ask>;

const has = (value: unknown, member: string): boolean => typeof value === 'object' && value !== null && Object.hasOwn(value, member);

/** The schema of a step that names `act`; what is expected of it decides where it may be one of two. */
export const schemaOf = (act: string, step: Readonly<Record<string, unknown>>): z.ZodType<Step> => {
  if (act === 'ask') return has(step['expect'], 'deny') ? asked.deny : asked.allow;
  if (act === 'state') return has(step['state'], 'task') ? stated.task : stated.grant;
  return steps[act as keyof typeof steps] as z.ZodType<Step>;
};
