import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decisionLogConfig } from '../../src/audit/config.ts';
import { createDecisionChain } from '../../src/audit/decision-chain.ts';
import { createLineSink } from '../../src/audit/line-sink.ts';
import { openDecisionSink } from '../../src/audit/open-sink.ts';
import { openEnds } from '../../src/audit/open-ends.ts';
import type { Outlet } from '../../src/audit/outlet.ts';
import { verifyLog, type LogReport } from '../../src/audit/verify-log.ts';
import { until } from '../support/until.ts';
import { sampleRecord } from './sample-record.ts';

let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'curfew-chain-')); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const judge = (lines: readonly string[], options: Parameters<typeof verifyLog>[1] = {}): Promise<LogReport> => verifyLog([lines.map((line) => Buffer.from(line))], options);
const textOf = (record: unknown): string => JSON.stringify(record);
const open = (path: string, extra: object = {}) => openDecisionSink(decisionLogConfig.parse({ to: 'file', path, ...extra }), { waitMs: 40_000 });

/** An outlet in memory that takes as much as it is told to. */
const memory = (take: (bytes: Buffer) => number | Promise<number> = (bytes) => bytes.length): Outlet & { text(): string } => {
  let text = '';
  const write = (bytes: Buffer, size: number): number => {
    text += bytes.toString('utf8', 0, size);
    return size;
  };
  return { write: async (bytes) => write(bytes, await take(bytes)), writeNow: (bytes) => write(bytes, bytes.length), sync: async () => undefined, text: () => text };
};
/** A chain whose first segment stands in the outlet, as `openDecisionSink` leaves it. */
const begun = (outlet: Outlet) => {
  const chain = createDecisionChain();
  const line = Buffer.from(`${chain.segment(256)}\n`);
  outlet.writeNow(line);
  chain.took(line);
  return chain;
};
const linesIn = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** Two processes that write by turns, in rounds that each leave a sealed part. */
const written = async (): Promise<readonly string[]> => {
  const path = join(folder, 'two.jsonl');
  const [one, two] = [open(path, { pressure: 'block' }), open(path, { pressure: 'block' })];
  for (let round = 0; round < 3; round += 1) {
    for (const [name, sink] of [['a', one], ['b', two]] as const) {
      // Half of what is reserved: the next segment follows.
      for (let index = 0; index < 150; index += 1) {
        await sink.place();
        sink.write(sampleRecord(`${name}${round}-${index}`, { secret: 'é' }));
      }
      await sink.flush();
    }
  }
  one.notEmitted('a2-1');
  await Promise.all([one.close(5_000), two.close(5_000)]);
  return linesIn(readFileSync(path, 'utf8'));
};

describe('G3: the chain of the decision log', () => {
  let lines: readonly string[];
  const isSegment = (line: string): boolean => line.startsWith('{"version":1,"segment"');
  beforeAll(async () => { lines = await written(); });

  test('holds as it was written, by several processes into one file', async () => {
    expect(lines.filter(isSegment).length).toBeGreaterThan(6);
    expect(await judge(lines)).toMatchObject({ decisions: 900, chains: 2, dropped: 0, open: [], unsealed: 0, unlinked: 0 });
    expect((await judge(lines)).fault).toBeUndefined();
  });
  test('demand(24): a line edited, left out, repeated, moved, or put in by hand is found, wherever it stands', async () => {
    const first = lines.findIndex((line) => !isSegment(line));
    await fc.assert(fc.asyncProperty(fc.integer({ min: first, max: lines.length - 1 }), fc.constantFrom('edit', 'cut', 'repeat', 'swap', 'insert', 'replay'), async (at, what) => {
      const line = lines[at] as string;
      const next = lines.findIndex((other, index) => index > at && other.split('"link":"')[1]?.slice(0, 16) === line.split('"link":"')[1]?.slice(0, 16));
      // The very last line of a chain is its end: without it, it looks like one that was killed; see below.
      fc.pre(next !== -1);
      const changed = [...lines];
      if (what === 'edit') changed[at] = line.replace(/"latest":1001|"through":/, (found) => (found === '"through":' ? '"through": ' : '"latest":1002')).replace('"not_emitted":{"decision":"a', '"not_emitted":{"decision":"b');
      if (what === 'cut') changed.splice(at, 1);
      if (what === 'repeat') changed.splice(at + 1, 0, line);
      if (what === 'swap') [changed[at], changed[next]] = [changed[next] as string, line];
      if (what === 'insert') changed.splice(at, 0, line.replace('"allow":true', '"allow":false').replace('"version":1', '"version": 1'));
      if (what === 'replay') changed.push(line);
      const { fault } = await judge(changed);
      expect(fault, `${what} ${at}`).toBeDefined();
      // Lines that account for no decision are found by the segment that seals them.
      if (what === 'repeat' && line.startsWith('{"version":1,"id"')) expect(fault?.line).toBe(at + 2);
      // A segment that is gone is noticed at the next one, which does not seal what is left.
      if (what === 'cut' && !isSegment(line) && !line.includes('not_emitted')) expect(fault?.what).toMatch(/missing/);
    }), { numRuns: 300 });
  });
  test('what a file begins with can not be cut off, unless one says that it may', async () => {
    const later = lines.slice(200);
    expect((await judge(later)).fault?.what).toMatch(/missing/);
    expect((await judge(later, { partial: true })).fault).toBeUndefined();
  });
  test('a tail that is cut off leaves a chain open, which says how much may be missing, and what is known of it elsewhere finds it out', async () => {
    const cut = lines.slice(0, -400);
    const report = await judge(cut);
    expect(report.fault).toBeUndefined();
    expect(report.open).toHaveLength(2);
    for (const { missingMax } of report.open) expect(missingMax).toBeGreaterThan(0);
    const last = JSON.parse(lines.findLast(isSegment) as string) as { segment: { chain: string; through: number; previous: string } };
    expect((await judge(lines, { heads: [last.segment] })).heads).toBe(1);
    expect((await judge(cut, { heads: [last.segment] })).fault?.what).toMatch(/cut off/);
  });
  test('a chain that is replayed, as it is or under the name of another node, is found', async () => {
    const chainOf = (line: string): string => /"link":"(\w{16}):/.exec(line)?.[1] ?? '';
    const [one, two] = [...new Set(lines.map(chainOf))] as [string, string];
    const own = lines.filter((line) => chainOf(line) === one);
    expect((await judge(own)).fault).toBeUndefined();
    expect((await judge([...lines, ...own])).fault).toBeDefined();
    for (const name of ['00112233445566cc', two]) {
      const renamed = own.map((line) => line.replaceAll(one, name));
      expect((await judge(renamed)).fault, name).toBeDefined();
      expect((await judge([...lines, ...renamed])).fault, name).toBeDefined();
    }
  });
  test('a whole chain written anew holds by itself, and not beside what is known of it elsewhere', async () => {
    const forged = createDecisionChain('00112233445566aa');
    const outlet = memory();
    const sink = createLineSink({ outlet, textOf, bufferedRecordsMax: 100, writeBytesMax: 1e6, chain: forged, reserved: 0 });
    void sink.place();
    sink.write(sampleRecord('forged'));
    await sink.close(5_000);
    const text = linesIn(outlet.text());
    expect((await judge(text)).fault).toBeUndefined();
    expect((await judge(text, { heads: [{ chain: '00112233445566aa', through: 1, previous: 'f'.repeat(64) }] })).fault).toBeDefined();
    expect((await judge(text, { heads: [{ chain: '00112233445566bb', through: 1, previous: 'f'.repeat(64) }] })).fault?.what).toMatch(/is missing/);
  });
});

describe('I11: pressure', () => {
  test.each([['drop-counted', undefined], ['block', 256]] as const)('%s: what a killed process held is bounded only where decisions waited for their numbers', async (pressure, bound) => {
    const path = join(folder, `killed-${pressure}.jsonl`);
    const sink = open(path, { pressure });
    let answered = 0;
    // All in one turn: nothing is reserved meanwhile.
    while (answered < 1_000 && sink.place() === undefined) {
      sink.write(sampleRecord(`r${answered}`));
      answered += 1;
    }
    // As a kill would leave it.
    const [{ missingMax, after } = { after: -1, missingMax: -1 }, ...others] = (await judge(linesIn(readFileSync(path, 'utf8')))).open;
    const [end] = await openEnds(path);
    expect(answered).toBe(bound ?? 1_000);
    expect({ after, missingMax, ahead: end?.ahead, others }).toEqual({ after: 0, missingMax: bound, ahead: bound === undefined, others: [] });
    await sink.close(20_000);
  });
  test('on a full disk a process that must not decide without its log does not begin; one that may counts what is missing', async () => {
    expect(() => open('/dev/full', { pressure: 'block' })).toThrow(/ENOSPC/);
    const sink = open('/dev/full', { bufferedRecordsMax: 100 });
    for (let index = 0; index < 150; index += 1) {
      expect(sink.place()).toBeUndefined();
      sink.write(sampleRecord(`r${index}`));
    }
    await until('failed writes', () => sink.stats().failures > 1);
    expect(sink.stats().dropped).toBeGreaterThan(0);
    await sink.close(10);
  });
  test('an outlet that takes parts of lines leaves torn lines and no lost or repeated one', async () => {
    let turn = 0;
    const outlet = memory((bytes) => ((turn += 1) % 3 === 0 ? bytes.length : Math.min(bytes.length, 1 + ((turn * 977) % 1_500))));
    const sink = createLineSink({ outlet, textOf, bufferedRecordsMax: 1_000, writeBytesMax: 4_096, chain: createDecisionChain(), reserved: 0 });
    for (let index = 0; index < 300; index += 1) {
      void sink.place();
      sink.write(sampleRecord(`r${index}`));
    }
    await sink.close(20_000);
    const report = await judge(linesIn(outlet.text()));
    expect(report.fault).toBeUndefined();
    expect(report).toMatchObject({ decisions: 300, unsealed: 0 });
    expect(report.unlinked).toBeGreaterThan(0);
  });
  test('a line of which only the newline was not taken does not come again', async () => {
    const outlet = memory((bytes) => Math.max(1, bytes.indexOf('\n', 1)));
    const sink = createLineSink({ outlet, textOf, bufferedRecordsMax: 100, writeBytesMax: 4_096, chain: createDecisionChain(), reserved: 0 });
    for (let index = 0; index < 20; index += 1) {
      void sink.place();
      sink.write(sampleRecord(`r${index}`));
    }
    await sink.close(20_000);
    expect(await judge(linesIn(outlet.text()))).toMatchObject({ decisions: 20, open: [], unlinked: 0 });
    expect((await judge(linesIn(outlet.text()))).fault).toBeUndefined();
  });
  test('block: while the outlet is stuck nobody gets a place beyond the bound, and with room everybody does, in turn', async () => {
    let free = (): void => undefined;
    const stuck = new Promise<void>((resolve) => { free = resolve; });
    const outlet = memory(async (bytes) => { await stuck; return bytes.length; });
    const sink = createLineSink({ outlet, textOf, bufferedRecordsMax: 100, writeBytesMax: 1e6, chain: begun(outlet), reserved: 256, blockMs: 40_000 });
    let placed = 0;
    for (let index = 0; index < 100; index += 1) {
      expect(sink.place()).toBeUndefined();
      sink.write(sampleRecord(`r${placed}`));
      placed += 1;
    }
    const order: number[] = [];
    const waiting = Array.from({ length: 50 }, async (_, index) => {
      expect(await sink.place()).toBe(true);
      order.push(index);
      sink.write(sampleRecord(`late${index}`));
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual([]);
    expect(sink.stats().buffered).toBeLessThanOrEqual(101);
    free();
    await Promise.all(waiting);
    expect(order).toEqual(Array.from({ length: 50 }, (_, index) => index));
    await sink.close(20_000);
    expect(await judge(linesIn(outlet.text()))).toMatchObject({ decisions: 150, dropped: 0, open: [], unsealed: 0 });
  });
  test('block: who waits too long gets no place; that denial is counted and declared, and no record is dropped', async () => {
    let free = (): void => undefined;
    const stuck = new Promise<void>((resolve) => { free = resolve; });
    const outlet = memory(async (bytes) => { await stuck; return bytes.length; });
    const sink = createLineSink({ outlet, textOf, bufferedRecordsMax: 100, writeBytesMax: 1e6, chain: begun(outlet), reserved: 256, blockMs: 1 });
    for (let index = 0; index < 100; index += 1) {
      void sink.place();
      sink.write(sampleRecord(`r${index}`));
    }
    expect(await sink.place()).toBe(false);
    sink.write({ ...sampleRecord('none'), result: { allow: false, reason: 'decision.unrecorded' } });
    free();
    await sink.close(20_000);
    expect(await judge(linesIn(outlet.text()))).toMatchObject({ decisions: 100, dropped: 1, open: [] });
  });
  test('block: a decision waits until its number is reserved and synced', async () => {
    let synced = (): void => undefined;
    const disk = new Promise<void>((resolve) => { synced = resolve; });
    const outlet: Outlet & { text(): string } = { ...memory(), sync: () => disk };
    const sink = createLineSink({ outlet, textOf, bufferedRecordsMax: 100, writeBytesMax: 1e6, chain: createDecisionChain(), reserved: 0, blockMs: 40_000 });
    const place = sink.place();
    expect(place).toBeInstanceOf(Promise);
    let got = false;
    void place?.then(() => { got = true; });
    await until('the segment', () => outlet.text().includes('"segment"'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(got).toBe(false);
    synced();
    expect(await place).toBe(true);
    sink.flushNow();
  });
});
