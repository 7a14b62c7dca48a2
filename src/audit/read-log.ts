/** Reads a decision log line by line, of any size. What is no record is told with its line, and never ends the reading. */
import { z } from 'zod';
import type { DecisionRecord } from '../decision/record.ts';
import { REASONS } from '../domain/reasons.ts';
import { byteLines } from './byte-lines.ts';

/** Longer than any record that Curfew writes (`decisionLog.recordBytesMax`). */
export const LINE_BYTES_MAX = 32 * 1_048_576;

const reason = z.enum(REASONS as readonly [string, ...string[]]);
const object = z.record(z.string(), z.unknown());
const recordSchema = z.looseObject({
  version: z.literal(1),
  id: z.string().min(1).max(256),
  now: z.looseObject({ earliest: z.int(), latest: z.int() }),
  workload: z.string().optional(),
  action: z.string().optional(),
  resource: z.looseObject({ type: z.string(), id: z.string() }).optional(),
  input: object.optional(),
  masked: z.array(z.string()).optional(),
  policy: z.looseObject({ revision: z.string(), digest: z.string(), entrypoint: z.string().optional(), fault: reason.optional() }),
  standing: z.looseObject({ id: z.string(), observe: z.boolean() }).optional(),
  facts: z.looseObject({ grants: z.array(z.looseObject({ id: z.string(), fault: reason.optional() })) }).optional(),
  result: z.looseObject({
    allow: z.boolean(), reason: reason.optional(), grant: z.string().optional(), standing: z.string().optional(), wouldDeny: reason.optional(),
  }),
});
const gapSchema = z.looseObject({ version: z.literal(1), gap: z.looseObject({ dropped: z.int().min(0).nullable() }) });
const otherSchema = z.union([z.looseObject({ version: z.literal(1), segment: object }), z.looseObject({ version: z.literal(1), not_emitted: object })]);

export type LogLine =
  | { readonly kind: 'record'; readonly line: number; readonly record: DecisionRecord }
  /** Records that the log itself says are missing; `dropped` is null when nobody could count them. */
  | { readonly kind: 'gap'; readonly line: number; readonly dropped: number | null }
  /** What holds the chain together, and answers that could not be sent: no decision. */
  | { readonly kind: 'other'; readonly line: number }
  | { readonly kind: 'malformed'; readonly line: number; readonly fault: string };

const where = (error: z.ZodError): string => {
  const [issue] = error.issues;
  return `${issue?.path.join('.') ?? ''} ${issue?.message ?? 'is malformed'}`.trim();
};

export const readLine = (line: number, text: string): LogLine => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'malformed', line, fault: 'is not JSON' };
  }
  const gap = gapSchema.safeParse(value);
  if (gap.success) return { kind: 'gap', line, dropped: gap.data.gap.dropped };
  if (otherSchema.safeParse(value).success) return { kind: 'other', line };
  const read = recordSchema.safeParse(value);
  return read.success ? { kind: 'record', line, record: value as DecisionRecord } : { kind: 'malformed', line, fault: where(read.error) };
};

/** Empty lines are left out. Rejects when the stream does. */
export async function* readLog(stream: AsyncIterable<Buffer>, lineBytesMax = LINE_BYTES_MAX): AsyncGenerator<LogLine> {
  let number = 0;
  for await (const lines of byteLines(stream, lineBytesMax)) {
    for (const line of lines) {
      number += 1;
      const text = line?.toString('utf8');
      if (text === undefined) yield { kind: 'malformed', line: number, fault: `is longer than ${lineBytesMax} bytes` };
      else if (text.trim() !== '') yield readLine(number, text);
    }
  }
}
