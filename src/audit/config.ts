import { z } from 'zod';

const headerName = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/, 'must be a header name');

export const decisionLogConfig = z
  .strictObject({
    to: z.enum(['stdout', 'file']).default('stdout').describe('Where decision records go: one JSON object a line.'),
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
      .enum(['drop-counted', 'block'])
      .default('drop-counted')
      .describe('What happens beyond `bufferedRecordsMax`. `drop-counted`: decisions go on, and the records that are missing are counted and declared by a gap line. `block`: decisions wait for room, within their deadline, and are denied (`decision.unrecorded`) when there is none.'),
    recordBytesMax: z
      .number().int().min(4_096).max(16_777_216).default(65_536)
      .describe('A longer record is written without its policy input (which says so); such a decision can not be replayed.'),
    tailBytesMax: z
      .number().int().min(65_536).max(1_073_741_824).default(67_108_864)
      .describe('How much of the end of the file is searched for a decision by its id.'),
  })
  .refine((value) => value.to !== 'file' || value.path !== undefined, { path: ['path'], message: 'is required with `to: file`' });

export type DecisionLogConfig = z.infer<typeof decisionLogConfig>;
