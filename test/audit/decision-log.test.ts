import { execFileSync } from 'node:child_process';
import { appendFileSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decisionLogConfig } from '../../src/audit/config.ts';
import { createRecordEncoder, createRecordText } from '../../src/audit/encode-record.ts';
import { escapeInvisible } from '../../src/domain/invisible.ts';
import { createFindDecision } from '../../src/audit/find-decision.ts';
import { createLineSink } from '../../src/audit/line-sink.ts';
import { fdOutlet } from '../../src/audit/outlet.ts';
import { openDecisionSink } from '../../src/audit/open-sink.ts';
import { createRedactor, replacedIn, secretHash } from '../../src/audit/redact.ts';
import type { DecisionRecord } from '../../src/decision/record.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import { sampleRecord } from './sample-record.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-audit-'));
  path = join(folder, 'decisions.jsonl');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const linesOf = (file: string): JsonObject[] =>
  readFileSync(file, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as JsonObject).filter((line) => !('segment' in line));
const encode = createRecordEncoder({ redactHeaders: [], recordBytesMax: 65_536 });
const textOf = createRecordText({ redactHeaders: [], recordBytesMax: 65_536 });

describe('G4: in the file itself', () => {
  test('no character becomes another one: not one whose low byte is a newline, a quote or a letter, wherever it stands', async () => {
    const sink = openDecisionSink(decisionLogConfig.parse({ to: 'file', path }));
    const texts = ['\u010a{"version":1,"id":"forged"}\u010a', '\u0122,\u0122allow\u0122:true', '\u202e\u2028\u0100\u0141', '\u{1f60a}\u{10a0a}', '\u007f', 'é', 'a\u0100', '\ud800'];
    // Each alone: what stands beside it in a batch tells nothing of it.
    for (const [index, text] of texts.entries()) {
      sink.write(sampleRecord(`d${index}`, { text, deep: [{ [text]: text }] }));
      await sink.flush();
    }
    await sink.close(5_000);
    const lines = linesOf(path);
    expect(lines.map(({ id }) => id)).toEqual(texts.map((_, index) => `d${index}`));
    expect(lines.map(({ input }) => input)).toEqual(texts.map((text) => ({ text, deep: [{ [text]: text }] })));
    // eslint-disable-next-line no-control-regex
    expect(readFileSync(path, 'utf8')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/);
  });
  test('the same, as a property: one record and many, of any text', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.string()), { minLength: 1, maxLength: 8 }), async (texts) => {
      rmSync(path, { force: true });
      const sink = openDecisionSink(decisionLogConfig.parse({ to: 'file', path }));
      texts.forEach((text, index) => sink.write(sampleRecord(`d${index}`, { text })));
      await sink.close(5_000);
      expect(linesOf(path).map(({ input }) => (input as JsonObject)['text'])).toEqual(texts);
    }), { numRuns: 60 });
  });
});

describe('secrets', () => {
  const canary = 'canary-4f1d';
  test('G4: a canary in any secret header, in any place and case, is in no record', () => {
    const redact = createRedactor(['X-My-Secret']);
    const names = ['authorization', 'Authorization', 'COOKIE', 'proxy-authorization', 'x-curfew-pep-token', 'dpop', 'set-cookie', 'x-api-key', 'x-my-secret'];
    for (const name of names) {
      const input = {
        attributes: { request: { http: { headers: { [name]: `Bearer ${canary}` }, headerMap: { headers: [{ key: name, rawValue: canary }, { key: 'accept', value: 'x' }] } } } },
        list: [{ [name]: [canary, canary] }],
        nested: { [name]: { deep: canary } },
      };
      const text = JSON.stringify(redact(input));
      expect(text).not.toContain(canary);
      expect(text).toContain(secretHash(`Bearer ${canary}`));
      expect(text).toContain('"value":"x"');
    }
  });
  test('G4: a token in a query string is hidden, the rest of the path is kept', () => {
    const redact = createRedactor();
    expect(redact({ path: `/a?x=1&access_token=${canary}&y=2`, parsed_query: { access_token: [canary] } })).toEqual({
      path: `/a?x=1&access_token=${secretHash(canary)}&y=2`,
      parsed_query: { access_token: secretHash(JSON.stringify([canary])) },
    });
  });
  test('an input without secrets is not copied', () => {
    const input = { a: { b: ['c', 1, null, true] } };
    expect(createRedactor()(input)).toBe(input);
  });

  test('a member called __proto__ is a member: what is secret in it is replaced, and nothing becomes a prototype', () => {
    const clean = createRedactor()(JSON.parse('{"__proto__": {"authorization": "Bearer abc", "kept": 1}, "other": 2}') as JsonObject);
    expect(JSON.stringify(clean)).toBe(`{"__proto__":{"authorization":"${secretHash('Bearer abc')}","kept":1},"other":2}`);
    expect(Object.getPrototypeOf(clean)).toBe(Object.prototype);
  });
  test('the record says where secrets were replaced in the input, so that a replay knows what it does not know', () => {
    const input = { 'a/b': [{ key: 'cookie', value: canary }], path: `/x?token=${canary}`, headers: { authorization: canary, 'x~y': { password: canary } }, plain: 'sha256:0123456789abcdef' };
    const line = JSON.parse(encode(sampleRecord('r', input)).toString()) as JsonObject;
    expect(line['masked']).toEqual(['/a~1b/0/value', '/path', '/headers/authorization', '/headers/x~0y/password']);
    expect(JSON.stringify(line)).not.toContain(canary);
    expect(JSON.parse(encode(sampleRecord('r', { plain: 'sha256:0123456789abcdef' })).toString())).not.toHaveProperty('masked');
    const short = createRecordEncoder({ redactHeaders: [], recordBytesMax: 4_096 });
    expect(JSON.parse(short(sampleRecord('r', { ...input, long: 'x'.repeat(5_000) })).toString())).not.toHaveProperty('masked');
  });
  test('G4: nor does one come out where a record says what was asked, whatever asked it', () => {
    const asked = `https://shop.local/x?access_token=${canary}&b=2`;
    const record = { ...sampleRecord('r', { subject: { id: asked }, curfew: { now_ms: 1, resource: { type: 'url', id: asked }, grants: [{ id: 'g', justification: asked }], tasks: [] } }), action: asked, resource: { type: 'url', id: asked }, detail: `failed at ${asked}` };
    for (const more of [{}, { format: 'opa' as const }]) {
      const write = createRecordEncoder({ redactHeaders: [], recordBytesMax: 65_536, ...more });
      for (let turn = 0; turn < 20; turn += 1) {
        const line = write(record).toString();
        expect(line).not.toContain(canary);
        expect(line).toContain('&b=2');
      }
    }
    const short = createRecordEncoder({ redactHeaders: [], recordBytesMax: 4_096 });
    expect(short({ ...record, input: { long: 'x'.repeat(5_000) } }).toString()).not.toContain(canary);
  });
  test("the policy's result is cleaned too", () => {
    const record = { ...sampleRecord('r'), policy: { revision: 'r', digest: 'd', result: { headers: { 'Set-Cookie': canary } } } };
    expect(encode(record).toString()).not.toContain(canary);
  });
});

describe('what a record says', () => {
  const name = fc.oneof(fc.constantFrom('key', 'value', 'Authorization', 'token', 'a/b', 'x~y', '__proto__', 'path', '0', 'r\u00e9', 'x"y'), fc.string({ unit: 'binary', maxLength: 3 }));
  const leaf = fc.oneof(
    fc.string({ unit: 'binary' }), fc.constantFrom('cookie', 'accept', '/a?token=x&b=2', 'code=1;sig=2', '?sig=\u202e', '', 'plain text', '"\\\u007f\n'), fc.double(), fc.integer(), fc.boolean(), fc.constant(null),
  );
  const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, depthSize: 'small' }, leaf, fc.array(tie('value'), { maxLength: 3 }),
      fc.array(fc.tuple(name, tie('value')), { maxLength: 4 }).map((pairs) => JSON.parse(`{${pairs.map(([key, member]) => `${JSON.stringify(key)}:${JSON.stringify(member)}`).join(',')}}`) as JsonValue),
    ),
  }));
  const object = fc.tuple(value, value).map(([one, two]): JsonObject => ({ one, two, more: { deep: two } }));
  const redact = createRedactor(['r\u00e9', 'result']);
  const write = createRecordEncoder({ redactHeaders: ['r\u00e9', 'result'], recordBytesMax: 16_777_216 });
  /** The same by copying, looking for differences, and `JSON.stringify`. */
  const reference = (record: ReturnType<typeof sampleRecord>): string => {
    const { input = {}, policy } = record;
    const shown = redact(input);
    return escapeInvisible(JSON.stringify({
      ...record, input: shown, ...(shown === input ? {} : { masked: replacedIn(input, shown) }),
      ...(policy.result === undefined ? {} : { policy: { ...policy, ...redact({ result: policy.result }) } }),
    }));
  };
  const record = (input: JsonObject, result: JsonValue) => ({ ...sampleRecord('r', input), policy: { revision: 'r\u202e', digest: 'd', result }, detail: 'de\u0000tail' });

  test('G4: and comes out as if it had been copied without secrets, and then written', () => {
    fc.assert(fc.property(object, value, (input, result) => {
      expect(write(record(input, result)).toString('utf8')).toBe(reference(record(input, result)));
    }), { numRuns: 3_000 });
  });
  test('G4: with what repeats from record to record, which is remembered, as if nothing were: secrets in it too', () => {
    const part = fc.oneof(value.map((said): JsonObject => ({ id: 'g', said })), object);
    const curfew = fc.record({ subject: part, credential: part, grants: fc.array(part, { maxLength: 3 }), tasks: fc.array(part, { maxLength: 2 }) });
    const writers = [['r\u00e9', 'result'], ['Curfew'], ['subject'], ['GRANTS'], []].map((redactHeaders) => ({
      encoder: createRecordEncoder({ redactHeaders, recordBytesMax: 16_777_216 }), clean: createRedactor(redactHeaders),
    }));
    const likeNew = ({ input = {}, policy, ...rest }: DecisionRecord, clean: (input: JsonObject) => JsonObject): JsonValue => {
      const shown = clean(input);
      return JSON.parse(JSON.stringify({ ...rest, input: shown, ...(shown === input ? {} : { masked: replacedIn(input, shown) }), policy: { ...policy, ...clean(policy.result === undefined ? {} : { result: policy.result }) } })) as JsonValue;
    };
    fc.assert(fc.property(object, curfew, value, (input, said, result) => {
      for (const name of ['now_ms', 'key'] as const) {
        const made = record({ ...input, curfew: { now_ms: 1, [name]: name === 'key' ? 'cookie' : 1, path: '/x?token=abc', ...said } }, result);
        // Often enough to be remembered.
        for (const { encoder, clean } of writers) for (let turn = 0; turn < 17; turn += 1) expect(JSON.parse(encoder(made).toString('utf8'))).toEqual(likeNew(made, clean));
        const inFront = record({ curfew: { now_ms: 1, ...said }, ...input }, result);
        for (const { encoder, clean } of writers) expect(JSON.parse(encoder(inFront).toString('utf8'))).toEqual(likeNew(inFront, clean));
      }
    }), { numRuns: 40 });
  });
  test('G4: nested deeper than is written down too', () => {
    for (const levels of [63, 64, 65, 66, 70]) {
      const input = JSON.parse(`${'{"a":['.repeat(levels / 2)}1${']}'.repeat(levels / 2)}`) as JsonObject;
      expect(write(record(input, input)).toString('utf8')).toBe(reference(record(input, input)));
    }
  });
  test('what JSON can not hold is left out or null, as JSON.stringify has it', () => {
    const odd = { none: undefined, list: [undefined, Number.POSITIVE_INFINITY, -0, 1e21, 5e-324] } as unknown as JsonObject;
    expect(write(record(odd, true)).toString('utf8')).toBe(reference(record(odd, true)));
  });
});

describe('G4: a record is one line that looks like what it is', () => {
  test('line breaks, escape sequences, bidirectional and invisible characters are escaped', () => {
    const nasty = 'a\r\nb\u001b[31mc\u009b31m\u202ed\u2066e\u200bf\ufeffg\u2028h\u007f\ud800';
    const line = encode(sampleRecord('r', { nasty })).toString('utf8');
    expect(line).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(line)).toMatchObject({ input: { nasty } });
  });
  test('escaping keeps the value, for any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(JSON.parse(escapeInvisible(JSON.stringify(text)))).toBe(text);
    }));
  });
  test('B8: a huge input is left out, says so, and the line stays within its bound', () => {
    const short = createRecordEncoder({ redactHeaders: [], recordBytesMax: 4_096 });
    const line = short({ ...sampleRecord('r', { big: 'x'.repeat(1_000_000) }), detail: 'kept' });
    expect(line.length).toBeLessThan(4_096);
    expect(JSON.parse(line.toString())).toMatchObject({ id: 'r', detail: 'kept', input: { leftOut: 'too long' } });
    const deep: JsonObject = JSON.parse('{"a":'.repeat(3_000) + '1' + '}'.repeat(3_000)) as JsonObject;
    expect(short(sampleRecord('r', deep)).length).toBeLessThan(4_096);
  });
});

describe('the file', () => {
  const open = (extra: object = {}) => openDecisionSink(decisionLogConfig.parse({ to: 'file', path, ...extra }));

  test('holds every record once, in order, whole, and only the owner can read it', async () => {
    const sink = open();
    const ids = Array.from({ length: 2_000 }, (_, index) => `r${index}`);
    for (const id of ids) sink.write(sampleRecord(id));
    await sink.close(5_000);
    expect(linesOf(path).map(({ id }) => id)).toEqual(ids);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
  test('nothing is encoded before the caller has gone on', () => {
    let encoded = 0;
    const fd = openSync(path, 'a');
    const sink = createLineSink({ outlet: fdOutlet(fd), textOf: (record) => { encoded += 1; return textOf(record); }, bufferedRecordsMax: 10, writeBytesMax: 1e6 });
    sink.write(sampleRecord('r'));
    expect(encoded).toBe(0);
    sink.flushNow();
    expect(encoded).toBe(1);
    closeSync(fd);
    expect(linesOf(path)).toHaveLength(1);
  });
  test('I11: what does not fit is dropped, counted and declared where it is missing', async () => {
    const sink = open({ bufferedRecordsMax: 100 });
    for (let index = 0; index < 150; index += 1) sink.write(sampleRecord(`a${index}`));
    await sink.flush();
    sink.write(sampleRecord('later'));
    await sink.close(5_000);
    const lines = linesOf(path);
    expect(lines.slice(0, 100).map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, index) => `a${index}`));
    expect(lines[100]).toMatchObject({ gap: { dropped: 50, cause: 'buffer full', from: 1_001 } });
    expect(lines.at(-1)).toMatchObject({ id: 'later' });
    expect(lines).toHaveLength(102);
    expect(sink.stats().dropped).toBe(50);
  });
  test('a torn last line of a crashed process does not swallow the next record', async () => {
    writeFileSync(path, '{"id":"torn"');
    const sink = open();
    sink.write(sampleRecord('next'));
    await sink.close(5_000);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines[0]).toBe('{"id":"torn"');
    expect(JSON.parse(lines[1] as string)).toMatchObject({ segment: { through: 0 } });
    expect(JSON.parse(lines[2] as string)).toMatchObject({ id: 'next' });
  });
  test('what is no file keeps its permissions: pointed at /dev/null by root, it must not be closed to all others', async () => {
    const before = statSync('/dev/null').mode;
    await openDecisionSink(decisionLogConfig.parse({ to: 'file', path: '/dev/null' })).close(1_000);
    expect(statSync('/dev/null').mode).toBe(before);
  });

  test('a full disk is retried and reported; nothing is lost when there is room again', async () => {
    const failures: unknown[] = [];
    const full = openSync('/dev/full', 'w');
    const sink = createLineSink({ outlet: fdOutlet(full), textOf, bufferedRecordsMax: 100, writeBytesMax: 1e6, onFailure: (error) => failures.push(error) });
    sink.write(sampleRecord('r'));
    await expect.poll(() => failures.length, { timeout: 40_000 }).toBeGreaterThan(1);
    expect(sink.stats()).toMatchObject({ buffered: 1 });
    await sink.close(50);
    // One attempt may have been under way.
    const tried = failures.length;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(failures.length, 'a closed sink leaves its descriptor alone').toBeLessThanOrEqual(tried + 1);
    closeSync(full);
  });
  test('a slow reader of a pipe delays nobody and loses no record', async () => {
    const fifo = join(folder, 'pipe');
    execFileSync('mkfifo', [fifo]);
    const reader = openSync(fifo, 'r+');
    const writer = openSync(fifo, 'w');
    const sink = createLineSink({ outlet: fdOutlet(writer), textOf, bufferedRecordsMax: 10_000, writeBytesMax: 4_096 });
    for (let index = 0; index < 1_000; index += 1) sink.write(sampleRecord(`p${index}`));
    // The pipe holds 64 KiB: the sink now waits, and this process still runs.
    await expect.poll(() => sink.stats().buffered, { timeout: 40_000 }).toBeGreaterThan(0);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sink.stats().buffered).toBeGreaterThan(0);
    const { createReadStream } = await import('node:fs');
    let text = '';
    const stream = createReadStream('', { fd: reader, encoding: 'utf8' });
    stream.on('data', (chunk) => { text += String(chunk); });
    await sink.flush();
    closeSync(writer);
    await expect.poll(() => text.split('\n').length - 1, { timeout: 40_000 }).toBe(1_000);
    expect(text.trimEnd().split('\n').map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(Array.from({ length: 1_000 }, (_, index) => `p${index}`));
    execFileSync('sh', ['-c', `echo > ${fifo}`]);
    stream.destroy();
  });
});

describe('a decision by its id', () => {
  test('is found at the start, in the middle, at the end and across chunks; an unknown id is not', async () => {
    const pad = 'x'.repeat(3_000);
    const text = Array.from({ length: 2_000 }, (_, index) => JSON.stringify({ id: `id-${index}`, pad, other: `id-${index + 1}` })).join('\n');
    writeFileSync(path, `${text}\n`);
    const find = createFindDecision({ path, tailBytesMax: 100_000_000 });
    for (const index of [0, 1, 349, 350, 699, 1_000, 1_999]) expect(await find(`id-${index}`)).toMatchObject({ id: `id-${index}` });
    expect(await find('id-2000')).toBeUndefined();
    expect(await find('id-2001')).toBeUndefined();
    expect(await find('"; drop')).toBeUndefined();
  });
  test('only the configured end of the file is read', async () => {
    const pad = 'x'.repeat(1_000);
    for (let index = 0; index < 200; index += 1) appendFileSync(path, `${JSON.stringify({ id: `id-${index}`, pad })}\n`);
    const find = createFindDecision({ path, tailBytesMax: 65_536 });
    expect(await find('id-199')).toMatchObject({ id: 'id-199' });
    expect(await find('id-0')).toBeUndefined();
  });
  test('without a file there is none', async () => {
    expect(await createFindDecision({ path: join(folder, 'absent'), tailBytesMax: 65_536 })('x')).toBeUndefined();
  });
});
