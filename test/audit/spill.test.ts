/** I11: `pressure: spill`: what the log can't take goes to a bounded file and from there on, in order, once each; what is beyond is counted. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decisionLogConfig } from '../../src/audit/config.ts';
import { createDecisionChain, type DecisionChain } from '../../src/audit/decision-chain.ts';
import { drainLeft, leftSpills, spillPath } from '../../src/audit/left-spills.ts';
import { createLineSink, type LineSink } from '../../src/audit/line-sink.ts';
import type { Outlet } from '../../src/audit/outlet.ts';
import { createSpillOutlet } from '../../src/audit/spill-outlet.ts';
import { verifyLog, type LogReport } from '../../src/audit/verify-log.ts';
import { until } from '../support/until.ts';
import { sampleRecord } from './sample-record.ts';

let folder: string;
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'curfew-spill-')); });
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const judge = (text: string): Promise<LogReport> => verifyLog([text.split('\n').map((line) => Buffer.from(line))]);
const idsIn = (text: string): readonly string[] => [...text.matchAll(/^\{"version":1,"id":"(\w+)".*"link":"\w+:\d+"\}$/gm)].map(([, id]) => id as string);
const ids = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `r${index}`);
const files = (): readonly string[] => readdirSync(folder).filter((name) => name.endsWith('.spill'));
/** No process has it: beyond what Linux gives. */
const NOBODY = 4_194_305;

interface Behind extends Outlet {
  text(): string;
}
/** Takes what it is told to. */
const behind = (take: (bytes: Buffer) => Promise<number> | number): Behind => {
  let text = '';
  return {
    write: async (bytes) => {
      const size = await take(bytes);
      text += bytes.toString('latin1', 0, size);
      return size;
    },
    writeNow: () => { throw new Error('would hang'); },
    sync: async () => undefined,
    text: () => text,
  };
};
const gate = (): { readonly opened: Promise<void>; open(): void } => {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => { open = resolve; });
  return { opened, open: () => open() };
};
const failures: unknown[] = [];
const sinkOver = (outlet: Outlet, { bytesMax = 1e9, bufferedRecordsMax = 100, writeBytesMax = 4_096 } = {}): { sink: LineSink; chain: DecisionChain; path: string } => {
  failures.length = 0;
  const chain = createDecisionChain(undefined, true);
  const path = spillPath(folder, NOBODY, chain.id);
  const spill = createSpillOutlet({ outlet, path, bytesMax, writeBytesMax, slowMs: 20, onFailure: (error) => failures.push(error) });
  return { sink: createLineSink({ outlet: spill, textOf: (record) => JSON.stringify(record), bufferedRecordsMax, writeBytesMax, chain, reserved: 0, onFailure: (error) => failures.push(error) }), chain, path };
};
/** As decisions come: a few at a time. */
const writeAll = async (sink: LineSink, names: readonly string[]): Promise<void> => {
  for (const [index, name] of names.entries()) {
    expect(sink.place()).toBeUndefined();
    sink.write(sampleRecord(name));
    if (index % 20 === 19) await sink.flush();
  }
};

test.each(['hangs', 'refuses', 'takes parts'] as const)('a log that %s: all is taken at once, into a file only its owner can read, and comes in order once it can', async (how) => {
  const way = gate();
  let free = false;
  let turn = 0;
  const outlet = behind(async (bytes) => {
    if (how === 'hangs') await way.opened;
    if (how === 'refuses' && !free) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    if (how === 'takes parts' && !free) throw new Error('not now');
    return how === 'takes parts' && (turn += 1) % 3 !== 0 ? Math.min(bytes.length, 1 + ((turn * 977) % 1_500)) : bytes.length;
  });
  const { sink, path } = sinkOver(outlet);
  await writeAll(sink, ids(1_000));
  await sink.flush();
  expect(sink.stats()).toMatchObject({ dropped: 0, buffered: 0, spilledBytes: statSync(path).size - 16 });
  expect(outlet.text()).toBe('');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(failures).not.toEqual([]);
  free = true;
  way.open();
  await until('all handed on', () => files().length === 0);
  // From here on without the file.
  await writeAll(sink, ['last']);
  await sink.close(20_000);
  await until('the end', () => outlet.text().includes('"closed"'));
  const report = await judge(outlet.text());
  expect(report.fault).toBeUndefined();
  expect(report).toMatchObject({ decisions: 1_001, dropped: 0, open: [], unsealed: 0 });
  expect(idsIn(outlet.text())).toEqual([...ids(1_000), 'last']);
});
test('a log that comes and goes while records come: none is lost, repeated or out of turn', async () => {
  let turn = 0;
  const outlet = behind(async (bytes) => {
    turn += 1;
    if (turn % 7 === 3) throw new Error('away');
    if (turn % 11 === 5) await new Promise((resolve) => setTimeout(resolve, 40));
    return turn % 5 === 0 ? Math.ceil(bytes.length / 2) : bytes.length;
  });
  const { sink } = sinkOver(outlet);
  await writeAll(sink, ids(2_000));
  await sink.close(20_000);
  await until('all handed on', () => files().length === 0 && outlet.text().includes('"closed"'));
  expect(idsIn(outlet.text())).toEqual(ids(2_000));
  expect(await judge(outlet.text())).toMatchObject({ decisions: 2_000, dropped: 0, open: [] });
});
/** Of 3,000 records all are handed on once the way is open, and the gap that is declared is that of those that were dropped. */
const expectExactGap = async (way: ReturnType<typeof gate>, outlet: ReturnType<typeof behind>, sink: LineSink, dropped: number): Promise<void> => {
  way.open();
  await until('all handed on', () => files().length === 0 && sink.stats().buffered === 0);
  await sink.close(20_000);
  await until('the end', () => outlet.text().includes('"closed"'));
  const report = await judge(outlet.text());
  expect(report.fault).toBeUndefined();
  expect(report).toMatchObject({ decisions: 3_000 - dropped, dropped, open: [] });
};
test('beyond its bound the file does not grow, and the gap that is declared has the exact size', async () => {
  const way = gate();
  const outlet = behind(async (bytes) => { await way.opened; return bytes.length; });
  const { sink, path } = sinkOver(outlet, { bytesMax: 60_000 });
  for (const name of ids(3_000)) {
    expect(sink.place()).toBeUndefined();
    sink.write(sampleRecord(name));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until('a full file', () => failures.some((error) => String(error).includes('full')));
  expect(statSync(path).size).toBeLessThanOrEqual(60_016);
  const { dropped } = sink.stats();
  expect(dropped).toBeGreaterThan(1_000);
  await expectExactGap(way, outlet, sink, dropped);
});
test('a disk that is full in the middle of a write to the file: parts of lines are taken back, and the gap that is declared has the exact size', async () => {
  const way = gate();
  const outlet = behind(async (bytes) => { await way.opened; return bytes.length; });
  const { sink, path } = sinkOver(outlet);
  // The kernel takes a part of the write that crosses this, and refuses the next one.
  const limit = (bytes: string): void => void execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]);
  const before = execFileSync('prlimit', ['--pid', String(process.pid), '--fsize', '--noheadings', '--output', 'SOFT'], { encoding: 'utf8' }).trim();
  limit('50001');
  try {
    for (const name of ids(3_000)) {
      expect(sink.place()).toBeUndefined();
      sink.write(sampleRecord(name));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('a write that was taken in part', () => failures.some((error) => String(error).includes('the disk of the spill file is full')));
  } finally {
    limit(before);
  }
  const { dropped } = sink.stats();
  expect(dropped).toBeGreaterThan(1_000);
  expect(readFileSync(path, 'latin1').slice(16)).toMatch(/^(?:\{[^\n]*"link":"\w+:\d+"\}\n)+$/);
  await expectExactGap(way, outlet, sink, dropped);
});
test('without a place for its file it is as without one: nothing that fits memory is lost', async () => {
  let free = false;
  const outlet = behind((bytes) => { if (!free) throw new Error('not now'); return bytes.length; });
  const { sink } = sinkOver(outlet);
  rmSync(folder, { recursive: true });
  for (const name of ids(50)) sink.write(sampleRecord(name));
  await until('failures', () => failures.length > 3);
  free = true;
  await sink.close(20_000);
  expect(idsIn(outlet.text())).toEqual(ids(50));
  mkdirSync(folder);
});

/** A process that was killed with a spill file: a stuck log has a part of what it was given first. */
const killed = async (taken: (spilled: Buffer) => number): Promise<{ readonly log: string; readonly config: ReturnType<typeof decisionLogConfig.parse> }> => {
  const { sink, path } = sinkOver(behind(() => new Promise<number>(() => undefined)));
  await writeAll(sink, ids(300));
  await sink.flush();
  const spilled = readFileSync(path).subarray(16);
  const log = join(folder, 'decisions.jsonl');
  writeFileSync(log, spilled.subarray(0, taken(spilled)));
  const left = join(folder, 'left');
  mkdirSync(left);
  const copy = join(left, path.slice(folder.length + 1));
  copyFileSync(path, copy);
  appendFileSync(copy, '{"version":1,"id":"torn');
  return { log, config: decisionLogConfig.parse({ to: 'file', path: log, pressure: 'spill', spill: { path: left } }) };
};
const lineEnd = (bytes: Buffer, lines: number): number => {
  let at = 0;
  for (let line = 0; line < lines; line += 1) at = bytes.indexOf(0x0a, at) + 1;
  return at;
};
test.each([
  ['nothing', () => 0],
  ['a part of a line', () => 40],
  ['some lines', (bytes: Buffer) => lineEnd(bytes, 5)],
  ['a line without its newline', (bytes: Buffer) => lineEnd(bytes, 5) - 1],
  ['some lines and nearly all of one', (bytes: Buffer) => lineEnd(bytes, 5) - 3],
  ['some lines and a part of one', (bytes: Buffer) => lineEnd(bytes, 5) + 30],
] as const)('after a kill the next start hands on what is left; the log had taken %s of it', async (_, taken) => {
  const { log, config } = await killed(taken);
  await drainLeft(config, leftSpills(config.spill?.path), (error) => { throw error as Error; });
  const text = readFileSync(log, 'utf8');
  const report = await judge(text);
  expect(report.fault).toBeUndefined();
  expect(idsIn(text)).toEqual(ids(300));
  expect(report).toMatchObject({ decisions: 300, open: [{ after: 300 }] });
  expect(text).not.toContain('"torn');
  expect(leftSpills(config.spill?.path)).toEqual([]);
});
test('a spill file whose head was never written has nothing; other files of the folder are left alone', async () => {
  const { config } = await killed(() => 0);
  const left = config.spill?.path as string;
  for (const { path } of leftSpills(left)) writeFileSync(path, '0000');
  writeFileSync(join(left, 'notes.txt'), 'mine');
  await drainLeft(config, leftSpills(left), (error) => { throw error as Error; });
  expect(readdirSync(left)).toEqual(['notes.txt']);
});
