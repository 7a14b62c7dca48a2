import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRecordEncoder, encodeGap } from '../../src/audit/encode-record.ts';
import { readLog, type LogLine } from '../../src/audit/read-log.ts';
import { createRedactor, sameUnderMasks, secretHash } from '../../src/audit/redact.ts';
import type { JsonValue } from '../../src/domain/json.ts';
import { sampleRecord } from './sample-record.ts';

const encode = createRecordEncoder({ redactHeaders: [], recordBytesMax: 65_536 });
const read = async (text: string | Buffer, chunk = 7, lineBytesMax?: number): Promise<LogLine[]> => {
  const bytes = Buffer.from(text as string);
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, index) => bytes.subarray(index * chunk, (index + 1) * chunk));
  const lines: LogLine[] = [];
  for await (const line of readLog(Readable.from(chunks) as AsyncIterable<Buffer>, lineBytesMax)) lines.push(line);
  return lines;
};

describe('reading a decision log', () => {
  test('every record comes back as it was written, wherever the stream is cut', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 5 }), fc.integer({ min: 1, max: 200 }), async (inputs, chunk) => {
      const records = inputs.map((input, index) => sampleRecord(`r${index}`, { free: input as JsonValue }));
      const lines = await read(records.map((record) => `${encode(record).toString()}\n`).join(''), chunk);
      expect(lines.map((line) => line.kind === 'record' && line.record)).toEqual(records.map((record) => JSON.parse(encode(record).toString()) as unknown));
    }), { numRuns: 100 });
  });
  test('what is no record is told with its line; the others are read', async () => {
    const good = encode(sampleRecord('good')).toString();
    const gap = (dropped: number | null): string => encodeGap({ version: 1, gap: { dropped, cause: 'x', pid: 1 } }).toString();
    const text = [good, '{"torn":', '', gap(3), gap(null), '[]', '{"version":2}', good.replace('"grant.none"', '"grant.unheard"'), good.replace('"latest":1001', '"latest":"x"'), `{"x":"${'y'.repeat(5_000)}"}`, good, '{"unfinished'].join('\n');
    const lines = await read(text, 7, 4_096);
    expect(lines.map((line) => [line.line, line.kind])).toEqual([
      [1, 'record'], [2, 'malformed'], [4, 'gap'], [5, 'gap'], [6, 'malformed'], [7, 'malformed'], [8, 'malformed'], [9, 'malformed'], [10, 'malformed'], [11, 'record'], [12, 'malformed'],
    ]);
    expect(lines.flatMap((line) => (line.kind === 'malformed' ? [line.fault] : []))).toEqual([
      'is not JSON', expect.stringContaining('expected'), expect.stringContaining('version'), expect.stringContaining('result.reason'), expect.stringContaining('now.latest'), 'is longer than 4096 bytes', 'is not JSON',
    ]);
    expect(lines.flatMap((line) => (line.kind === 'gap' ? [line.dropped] : []))).toEqual([3, null]);
  });
});

describe('a value of the log and one of today', () => {
  test('are the same under masks exactly when masking the one gives the other', () => {
    const value = { headers: { 'set-cookie': ['a', 'b'], 'x-own': 'secret', plain: 'x' }, path: '/a?token=t', n: [1, null, true] };
    expect(sameUnderMasks(createRedactor(['x-own'])(value), createRedactor()(value))).toBe(true);
    expect(sameUnderMasks({ a: secretHash('x') }, { a: 'x' })).toBe(true);
    expect(sameUnderMasks({ a: 'x' }, { a: secretHash('x') })).toBe(false);
    const others: readonly JsonValue[] = [{ a: 'y' }, { a: 'x', b: 1 }, {}, [], 'x', null, { b: 'x' }];
    for (const other of others) expect(sameUnderMasks({ a: secretHash('x') }, other)).toBe(false);
    expect(sameUnderMasks([1, 2], [2, 1])).toBe(false);
    expect(sameUnderMasks([1], { 0: 1 })).toBe(false);
  });
});
