import { z } from 'zod';

export const limitsConfig = z
  .strictObject({
    decisionDeadlineMs: z.int().min(10).max(10_000).default(150).describe('Every decision ends within this time; later ones deny. Stay below the patience of the enforcement points (Envoy: 200).'),
    questionsMax: z.int().min(1).max(1_000_000).default(1_000).describe('Questions that one worker has under way at once. More are refused at once (`curfew_shed_total`): they could not be answered in time.'),
    evaluationBudgetMs: z.int().min(10).max(10_000).default(100).describe('Processor time that one evaluation of the policy may take. A worker that stands still longer is replaced, and what stopped it is denied from then on.'),
    maxFactsAgeMs: z.int().min(1).max(10_000).default(50).describe('Facts from Redis that are older than this at the last check are read once more, and what ends access is answered no sooner than this after its commit. On the embedded store workers say themselves that what they re-checked before has left them.'),
    pepCacheMaxMs: z.int().min(0).max(60_000).default(0).describe('How long an enforcement point may reuse an allow. Revocations wait that long, also for a longer one from before a reload or a restart; 0: not at all'),
    maxClockStepMs: z.int().min(10).max(3_600_000).default(2_000).describe('A step of the wall clock beyond this is not believed: everything is denied until the clock agrees again or an operator resets it.'),
    credentialSkewMs: z.int().min(0).max(600_000).default(2_000).describe("How far issuers' clocks may differ from ours: a revocation also covers credentials issued up to this long after it."),
    policyMaySet: z
      .array(z.string().regex(/^(?:query:)?[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/, 'must be a header name, or `query:` and a parameter name'))
      .max(100)
      .default([])
      .describe('Protected header names (lower case) and query parameters (`query:name`) that a policy may set on allow all the same.'),
    drainMs: z.int().min(0).max(600_000).default(10_000).describe('At shutdown and reload, how long open requests may take to end before the process is ended.'),
  })
  .prefault({})
  .describe('Times and sizes that bound every decision.');

