/** Configuration of the lifecycle: caps that no bundle can widen, and how long things are remembered. */
import { z } from 'zod';
import { isPerson } from '../domain/lifecycle/fields.ts';
import { SUBJECT_ACTS } from '../domain/lifecycle/task-kinds.ts';

const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;

const longest = (ms: number) => z.int().min(1).max(YEAR).default(ms);

const least = (count: number) => z.int().min(0).max(16).default(count);

const tier = (timeBoxed: number, jit: number, breakGlass: number, approvals: readonly [number, number, number]) =>
  z.strictObject({
    minApprovals: z
      .strictObject({ 'time-boxed': least(approvals[0]), jit: least(approvals[1]), 'break-glass': least(approvals[2]) })
      .prefault({})
      .describe('how many distinct persons approve a request at least, by model; 0: the policy alone may'),
    maxTtlMs: z
      .strictObject({ 'time-boxed': longest(timeBoxed), jit: longest(jit), 'break-glass': longest(breakGlass) })
      .prefault({})
      .describe('longest time from start to end of a grant, in milliseconds, by model'),
  });

const standard = tier(24 * HOUR, 12 * HOUR, HOUR, [1, 0, 0]);

export const capsConfig = z
  .strictObject({
    tiers: z
      .object({
        standard: standard.prefault({}),
        sensitive: tier(8 * HOUR, 4 * HOUR, HOUR, [1, 1, 0]).prefault({}),
        critical: tier(4 * HOUR, 2 * HOUR, HOUR, [2, 2, 0]).prefault({}),
      })
      .catchall(standard)
      .prefault({})
      .describe('by tier of the entitlement; a grant without entitlement is of tier standard; a tier that is not listed can not be granted'),
    logging: z.strictObject({ none: longest(HOUR), basic: longest(24 * HOUR), full: longest(YEAR) }).prefault({}).describe('longest time of a grant, in milliseconds, by how well the use of its entitlement is logged'),
    automation: z.strictObject({ manual: longest(4 * HOUR), partial: longest(24 * HOUR), full: longest(YEAR) }).prefault({}).describe('longest time of a grant, in milliseconds, by how far its end is automated in the systems behind'),
    maxGrantMs: longest(YEAR).describe('longest time from start to end of any grant, in milliseconds, whatever its tier allows; what ended is kept for as long, so that it covers every grant that it could'),
    maxTaskMs: z.int().min(1_000).max(YEAR).default(24 * HOUR).describe('longest life of a task, and the deadline of one that names none'),
    maxAheadMs: z.int().min(0).max(YEAR).default(30 * 24 * HOUR).describe('how far ahead a grant may start'),
    maxLiveGrants: z.int().min(1).max(1_000).default(1_000).describe('how many grants that have not ended one workload may have'),
  })
  .describe('the authority floor for grants and tasks; the bundle can only tighten it');

const names = (act: string) =>
  z.array(z.string().min(1).max(1_024)).max(256).optional().describe(`who may ${act} them: operators (\`user:alice\`, or an account), teams, \`group:name\`; absent: every issuer`);

const taskKinds = z.record(
  z.string().regex(/^(?:\*|[A-Za-z0-9][A-Za-z0-9._:-]{0,127})$/, 'must be a kind of tasks, or *'),
  z.strictObject({
    open: names('open'), beat: names('beat'), pause: names('pause'), resume: names('resume'), close: names('close'),
    subject: z.array(z.enum(SUBJECT_ACTS)).max(2).default([...SUBJECT_ACTS]).describe('what a workload may do with a task that its live grant hangs on'),
  }),
);

const emergencyConfig = z
  .strictObject({
    frequentUses: z.int().min(1).max(1_000).default(3).describe('so many uses of one entitlement within `frequentWithinMs` raise an alarm; drills do not count'),
    frequentWithinMs: z.int().min(60_000).max(YEAR).default(30 * 24 * HOUR),
    keys: z.array(z.strictObject({ person: z.string().min(1).max(200).describe('whose key it is: `user:alice`'), sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256, hex').describe('of the key'), end: z.iso.datetime().describe('it is no key any more from then on'), realms: z.array(z.string().min(1)).min(1).optional().describe('realms in which it is a key; default all') })).max(1_000).default([]).describe('keys for the route of emergency access; beyond development there is none without'),
    drillEveryMs: z.int().min(60_000).max(10 * YEAR).default(90 * 24 * HOUR).describe('each entitlement for emergencies is tried at least so often, else an alarm'),
  })
  .describe('emergency access (break-glass)');
export type EmergencyConfig = z.infer<typeof emergencyConfig>;

const ASKS = ['each-use', 'sometimes', 'never'] as const;
const systemConfig = z
  .strictObject({
    owner: z.string().refine(isPerson, 'must be a person or team such as team:dba'),
    tier: z.string().min(1).max(64).default('standard'),
    asks: z.enum(ASKS).default('each-use').describe('whether Curfew is asked about each use, through `peps`; only `sometimes`, such as when a session begins; or `never`'),
    peps: z.array(z.string().min(1).max(128)).max(64).default([]).describe('enforcement points through which it is used'),
    maxGrantMs: z.int().min(1).max(YEAR).optional().describe('longest grant of an entitlement whose `downstream` names it: all that bounds access to a system that is not asked at each use'),
    reason: z.string().min(1).max(1_024).optional().describe('why it is not asked about each use'),
  })
  .superRefine(({ asks, peps, maxGrantMs }, context) => {
    if (asks === 'each-use' && peps.length === 0) context.addIssue({ code: 'custom', path: ['peps'], message: 'must name who asks about each use, or `asks` must say that nobody does' });
    if (asks !== 'each-use' && maxGrantMs === undefined) context.addIssue({ code: 'custom', path: ['maxGrantMs'], message: 'must bound what no refusal ends' });
  });

const directoryConfig = z
  .strictObject({
    file: z.string().min(1).optional().describe('JSON file with `persons` and `workloads`; read again when it changes. Persons of it that are no longer in it have left'),
    required: z.boolean().optional().describe('requests only for registered workloads; default: true beyond development'),
    knownOwners: z.boolean().optional().describe('owners of grants and workloads must be known to a people source, the directory or `admin.operators`; default: true beyond development in realms that have a people source (`file`, `signals.scim`), and elsewhere any name will do'),
    onTransfer: z.enum(['flag', 'end']).default('flag').describe('what becomes of what a person approved when it leaves a team: it is told (`flag`), or ends (`end`)'),
  })
  .describe('who people and workloads are');

export const lifecycleConfig = z
  .strictObject({
    caps: capsConfig.prefault({}),
    taskKinds: taskKinds
      .default({})
      .describe('who may do what with tasks of a kind, beside having the role issuer; `*` stands for kinds that are not listed. Without any, every kind is every issuer\'s; when some are listed and `*` is not, others can not be opened'),
    breakGlass: emergencyConfig.prefault({}),
    orphans: z
      .strictObject({
        unusedMs: z.int().min(60_000).max(YEAR).default(7 * 24 * HOUR).describe('a live grant, or a scope of one, that was not used for so long since it began is an orphan, where its entitlement says nothing else'),
        unseenMs: z.int().min(60_000).max(YEAR).default(30 * 24 * HOUR).describe('so is one whose workload was not seen for so long'),
      })
      .prefault({}),
    manualSystems: z
      .record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/), z.strictObject({
        assignee: z.string().refine(isPerson, 'must be a person or team such as team:dba').describe('who has to tell the system'),
        withinMs: z.int().min(60_000).max(YEAR).default(4 * HOUR).describe('within so long after the end'),
      }))
      .default({})
      .describe('systems that must be told by hand when access ended, by the name that entitlements have in `downstream`'),
    systems: z
      .record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/), systemConfig)
      .default({})
      .describe('inventory of the systems that access is given to, by the name that entitlements have in `downstream`: `curfew report` lists those that do not end access at once, the riskiest first'),
    surveyMs: z.int().min(1_000).max(24 * HOUR).default(600_000).describe('pause between two looks for orphans, access that is still open, and steps by hand'),
    useNotesMs: z.int().min(1_000).max(HOUR).default(60_000).describe('pause between two notes of what was used'),
    requests: z.strictObject({ maxPending: z.int().min(1).max(10_000).default(100).describe('requests of one person or workload that may wait for a decision') }).prefault({}).describe('access requests'),
    directory: directoryConfig.prefault({}),
    idempotencyKeepMs: z.int().min(60_000).max(30 * 24 * HOUR).default(24 * HOUR).describe('how long an Idempotency-Key is remembered'),
    keepEndedMs: z.int().min(HOUR).max(10 * YEAR).default(90 * 24 * HOUR).describe('how long grants, closed tasks and endings are kept once they are over; an ending stays longer as long as anything that it could cover might live. Events stay'),
    sweepIntervalMs: z.int().min(100).max(HOUR).default(5_000).describe('pause between two rounds of housekeeping'),
  })
  .describe('tasks, grants and their ends');
export type LifecycleConfig = z.infer<typeof lifecycleConfig>;
