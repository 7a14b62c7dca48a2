/** Exceptions as configuration: access that is not as it should be, written out with an owner, a tier, a reason, an end and a review. */
import { z } from 'zod';
import { fromRfc3339 } from '../domain/instant.ts';
import { isPerson } from '../domain/lifecycle/fields.ts';

export const EXCEPTION_KINDS = ['batch', 'legacy', 'third-party-oauth', 'shared-account', 'other'] as const;
export const EXCEPTION_TIERS = ['standard', 'sensitive', 'critical'] as const;

const instant = z.string().transform((text, context) => {
  const value = fromRfc3339(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: 'must be an RFC 3339 date-time, such as 2027-01-31T12:00:00Z' });
  return z.NEVER;
});

const DAY = 24 * 3_600_000;
/** The riskier, the sooner it has to be thought over: from when it was agreed to its end, in milliseconds. */
export const EXCEPTION_MS_MAX: Readonly<Record<(typeof EXCEPTION_TIERS)[number], number>> = { standard: 366 * DAY, sensitive: 92 * DAY, critical: 31 * DAY };

/** It describes; it allows nothing. What lets something through is a standing entry or a grant. */
export const exceptionConfig = z
  .strictObject({
    id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/).describe('name of the exception'),
    kind: z.enum(EXCEPTION_KINDS).describe('what it is'),
    subject: z.string().min(1).max(500).describe('workload, account or system that it is about'),
    tier: z.enum(EXCEPTION_TIERS).describe('how much could go wrong; the longest time from `agreed` to `end` is a year, three months or a month'),
    owner: z.string().refine(isPerson, 'must be a person or team such as team:shop').describe('who answers for it'),
    reason: z.string().min(1).max(1_000).describe('why it is there'),
    agreed: instant.describe('when it was agreed, or last renewed. RFC 3339'),
    end: instant.describe('until when. RFC 3339'),
  })
  .superRefine(({ tier, agreed, end }, context) => {
    if (!(agreed < end)) context.addIssue({ code: 'custom', path: ['end'], message: 'must be later than agreed' });
    else if (!(end - agreed <= EXCEPTION_MS_MAX[tier])) context.addIssue({ code: 'custom', path: ['end'], message: `may be at most ${EXCEPTION_MS_MAX[tier] / DAY} days after agreed, in tier ${tier}` });
  });
export type Exception = z.output<typeof exceptionConfig>;
