/** What an operator may say about the decision log. */
import { z } from 'zod';
import { urlFault } from '../bounded/url.ts';

const headerName = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/, 'must be a header name');

const shipConfig = z
  .strictObject({
    url: z.string().min(1).max(2_048).describe('Where batches are posted: a JSON array of events in the format of OPA\'s decision log API'),
    bearerToken: z.strictObject({ file: z.string().min(1).max(4_096) }).optional().describe('File of a token that is sent along, read anew for each batch'),
    ca: z.string().min(1).max(4_096).optional().describe('PEM file of the authorities to trust instead of the well-known ones'),
    gzip: z.boolean().default(true),
    everyMs: z.int().min(10).max(3_600_000).default(1_000).describe('How long a decision may wait for others to make a batch with'),
    batchEventsMax: z.int().min(1).max(10_000).default(500),
    batchBytesMax: z.int().min(65_536).max(67_108_864).default(4_194_304).describe('Before compression'),
    timeoutMs: z.int().min(100).max(120_000).default(10_000),
    retryMsMax: z.int().min(100).max(3_600_000).default(60_000).describe('Longest pause between tries; they begin at 100 ms and double, each with a random part'),
    labels: z.record(z.string().min(1).max(64), z.string().max(256)).default({}).describe('Of every event'),
    insecureLoopback: z.boolean().default(false).describe('Allows http to this machine'),
  })
  .superRefine(({ url, insecureLoopback }, context) => {
    const fault = urlFault(url, insecureLoopback);
    if (fault !== undefined) context.addIssue({ code: 'custom', path: ['url'], message: fault });
  });

const fieldName = z.string().min(1).max(256);
export const accessLogsConfig = z
  .strictObject({
    systems: z
      .array(z.strictObject({
        system: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be a short name').describe('Name of the system or gateway, in alerts'),
        file: z.string().min(1).max(4_096).describe('Its access log: one JSON object a line'),
        realm: z.string().min(1).max(64).default('default').describe('Of uses that no decision is known for'),
        fields: z
          .strictObject({
            decision: fieldName.default('decision_id').describe('Member with the id of the decision (`x-curfew-decision-id`)'),
            time: fieldName.default('start_time').describe('Member with the instant of the use: RFC 3339, or seconds or milliseconds since 1970'),
            reached: fieldName.default('upstream_host').describe('Member that is there, and neither empty nor `-`, when the system was reached'),
          })
          .prefault({}),
      }))
      .max(32)
      .default([]),
    everyMs: z.int().min(100).max(3_600_000).default(2_000),
    graceMs: z.int().min(0).max(3_600_000).default(10_000).describe('How long a line waits for its decision to be known, before it counts as a use without one'),
    deniedAfterEnd: z.boolean().default(true).describe('Attempts that were denied because access had ended are alerts as well, one a grant'),
  })
  .describe('Access logs of systems behind gateways, held against the decision log (`to: file`): uses without an allow, or after its end, are alerts.');

export type AccessLogsConfig = z.output<typeof accessLogsConfig>;
export type ShipConfig = z.output<typeof shipConfig>;

export const decisionLogConfig = z
  .strictObject({
    to: z.enum(['stdout', 'file']).default('stdout').describe('Where decision records go: one JSON object a line.'),
    format: z.enum(['curfew', 'opa']).default('curfew').describe('How a decision is written: as Curfew\'s record, or as OPA\'s console decision log has it (`type: openpolicyagent.org/decision_logs`). From OPA\'s events nothing can be judged again: `curfew decision`, replay, `accessLogs` and `http` need records.'),
    labels: z.record(z.string().min(1).max(64), z.string().max(256)).default({}).describe('Of every event, with `format: opa`'),
    path: z.string().min(1).optional().describe('The file, for `to: file`. Made with mode 0600 and only ever appended to.'),
    redactHeaders: z
      .array(headerName)
      .max(100)
      .default([])
      .describe('Header names whose values are secret, beyond the built-in ones (authorization, cookie, ...): only a short hash of them is written.'),
    bufferedRecordsMax: z
      .number().int().min(100).max(1_000_000).default(20_000)
      .describe('Records a worker keeps while the disk or the reader is slow.'),
    pressure: z
      .enum(['drop-counted', 'block', 'spill'])
      .default('drop-counted')
      .describe('What happens beyond `bufferedRecordsMax`. `drop-counted`: decisions go on, and the records that are missing are counted and declared by a gap line. `block`: decisions wait for room, within their deadline, and are denied (`decision.unrecorded`) when there is none. `spill`: what the file or standard output does not take within 100 ms goes to a file in `spill.path` and from there on, in order, also after a restart; beyond its bound it is as with `drop-counted`.'),
    spill: z
      .strictObject({
        path: z.string().min(1).max(4_096).describe('Folder of this node alone, on a disk of this machine, for files that only their owner can read'),
        bytesMax: z.int().min(1_048_576).max(1_099_511_627_776).default(268_435_456).describe('Of each process'),
      })
      .optional()
      .describe('Where records wait with `pressure: spill`. While it is there, what an earlier run left in it is handed on at the start.'),
    recordBytesMax: z
      .number().int().min(4_096).max(16_777_216).default(65_536)
      .describe('A longer record is written without its policy input (which says so); such a decision can not be replayed.'),
    http: shipConfig.optional().describe('With `to: file`: a server that is sent everything that is in the file. The file is the buffer: nothing is lost while the server is away, and a batch whose answer was lost is sent again.'),
    tailBytesMax: z
      .number().int().min(65_536).max(1_073_741_824).default(67_108_864)
      .describe('How much of the end of the file is searched for a decision by its id.'),
  })
  .refine((value) => value.http === undefined || value.to === 'file', { path: ['http'], message: 'needs `to: file`' })
  .refine((value) => value.http === undefined || value.format === 'curfew', { path: ['format'], message: 'must be `curfew` with `http`, which sends OPA\'s events itself' })
  .refine((value) => value.pressure !== 'spill' || value.spill !== undefined, { path: ['spill'], message: 'is required with `pressure: spill`' })
  .refine((value) => value.to !== 'file' || value.path !== undefined, { path: ['path'], message: 'is required with `to: file`' });

export type DecisionLogConfig = z.infer<typeof decisionLogConfig>;
