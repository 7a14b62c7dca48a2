/** Standing entries as configuration: `decision/standing.ts` says what they do. */
import { z } from 'zod';
import type { StandingEntry } from '../decision/standing.ts';
import { fromRfc3339 } from '../domain/instant.ts';
import { ACTIONS_MAX, resourcePatternFault, SCOPES_MAX } from '../domain/scope.ts';

const name = z.string().min(1).max(256);

const scope = z.strictObject({
  actions: z.array(z.string().min(1).max(128)).min(1).max(ACTIONS_MAX).describe('Actions, `*` for any.'),
  resource: z.strictObject({
    type: z.string().min(1).max(64),
    id: z.string().superRefine((pattern, context) => {
      const fault = resourcePatternFault(pattern);
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
    }).describe('Pattern: `*` is one segment, `**` (last only) any number.'),
  }),
});

/** The one exception to "no allow without a live grant": named, owned, with a reason and an end. */
export const standingConfig = z
  .strictObject({
    id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/).describe('Name of the entry; its uses are counted and reported under it.'),
    match: z
      .strictObject({
        realms: z.array(name).min(1).optional().describe('Realms; absent: every one.'),
        peps: z.array(name).min(1).optional().describe('Enforcement points; absent: every one, anonymous ones too.'),
        scopes: z.array(scope).min(1).max(SCOPES_MAX).describe('What it covers.'),
      })
      .describe('When the entry counts.'),
    identity: z.enum(['required', 'optional']).default('required').describe('Whether a verified credential is still needed.'),
    observe: z.boolean().default(false).describe('Decide in full, answer allow, and count what would have been denied: the way to roll out.'),
    owner: name.describe('Who answers for it: `user:` or `team:`.'),
    reason: z.string().min(1).max(1_000).describe('Why it is there.'),
    end: z.string().transform((text, context) => {
      const instant = fromRfc3339(text);
      if (instant !== undefined) return instant;
      context.addIssue({ code: 'custom', message: 'must be an RFC 3339 date-time, such as 2027-01-31T12:00:00Z' });
      return z.NEVER;
    }).describe('From this instant on it denies. RFC 3339.'),
  })
  .transform((entry): StandingEntry => entry);
