/** Reads a decision log line by line, of any size. What is no record is told with its line, and never ends the reading. */
import { z } from 'zod';
import type { DecisionRecord } from '../decision/record.ts';
import { REASONS } from '../domain/reasons.ts';

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

export type LogLine =
  | { readonly kind: 'record'; readonly line: number; readonly record: DecisionRecord }
  /** Records that the log itself says are missing; `dropped` is null when nobody could count them. */
  | { readonly kind: 'gap'; readonly line: number; readonly dropped: number | null }
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
  const read = recordSchema.safeParse(value);
  return read.success ? { kind: 'record', line, record: value as DecisionRecord } : { kind: 'malformed', line, fault: where(read.error) };
};

const NEWLINE = 0x0a;

/** Empty lines are left out. Rejects when the stream does. */
export async function* readLog(stream: AsyncIterable<Buffer>, lineBytesMax = LINE_BYTES_MAX): AsyncGenerator<LogLine> {
  let parts: Buffer[] = [];
  let size = 0;
  let number = 0;
  const end = (): LogLine | undefined => {
    number += 1;
    const text = size > lineBytesMax ? undefined : Buffer.concat(parts).toString('utf8');
    parts = [];
    size = 0;
    if (text === undefined) return { kind: 'malformed', line: number, fault: `is longer than ${lineBytesMax} bytes` };
    return text.trim() === '' ? undefined : readLine(number, text);
  };
  const add = (part: Buffer): void => {
    size += part.length;
    // Too long a line is only counted.
    if (size > lineBytesMax) parts = [];
    else parts.push(part);
  };
  for await (const chunk of stream) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, at));
      from = at + 1;
      const line = end();
      if (line !== undefined) yield line;
    }
    add(chunk.subarray(from));
  }
  const last = size > 0 ? end() : undefined;
  if (last !== undefined) yield last;
}
