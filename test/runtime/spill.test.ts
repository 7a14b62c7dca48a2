/** I11 under SIGKILL with `pressure: spill`: nobody reads the log, all of the node is killed, and the next start hands on what is in the spill files. */
import { execFileSync } from 'node:child_process';
import { createReadStream, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { verifyLog } from '../../src/audit/verify-log.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const directory = temporaryDirectory();
const pipe = join(directory.path, 'log');
const folder = join(directory.path, 'spill');
const running: Curfew[] = [];
afterAll(async () => {
  for (const curfew of running) await curfew.stop();
  directory.remove();
});
const start = async (): Promise<Curfew> => {
  const curfew = await startCurfew({ directory: directory.path, workers: 1, args: ['decisionLog.to=file', `decisionLog.path=${pipe}`, 'decisionLog.pressure=spill', `decisionLog.spill.path=${folder}`].flatMap((setting) => ['--set', setting]) });
  running.push(curfew);
  return curfew;
};
const spills = (): readonly string[] => readdirSync(folder).filter((name) => name.endsWith('.spill'));

/** `size`: of all the files together. */
const untilRests = async (size: () => number): Promise<void> => {
  let before = -1;
  await until('the files to rest', async () => {
    const now = size();
    const rests = now === before;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return rests;
  });
};

test('demand(8) I11: a reader of the log that hangs, then SIGKILL of all, then a restart: nothing that was in the files is lost, and the chain holds', async () => {
  execFileSync('mkfifo', [pipe]);
  // Both ends are held here: what the pipe has taken outlives the node.
  const reader = openSync(pipe, 'r+');
  const first = await start();
  const answered: string[] = [];
  const ask = async (curfew: Curfew): Promise<void> => {
    const id = (await curfew.ask(undefined)).headers.get('x-curfew-decision-id');
    if (id !== null) answered.push(id);
  };
  const size = (): number => spills().reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  await until('a spill file', async () => {
    await Promise.all(Array.from({ length: 20 }, () => ask(first)));
    return spills().length === 1;
  }, 90_000);
  // What is answered before this is in the pipe or in the files once they rest.
  await untilRests(size);
  const workers = first.workers();
  first.signal('SIGKILL');
  for (const worker of workers) {
    try {
      process.kill(worker, 'SIGKILL');
    } catch {
      // It ended with its supervisor.
    }
  }
  await first.exited;
  expect(spills()).toHaveLength(1);

  let text = '';
  createReadStream('', { fd: reader, encoding: 'utf8' }).on('data', (chunk) => { text += String(chunk); });
  const second = await start();
  await until('the files to be handed on', () => spills().length === 0);
  await ask(second);
  second.signal('SIGTERM');
  await second.exited;
  await until('the last of it', () => text.includes(answered.at(-1) as string));
  execFileSync('sh', ['-c', `echo > ${pipe}`]);
  expect(answered.filter((id) => !text.includes(id))).toEqual([]);
  const report = await verifyLog([text.split('\n').map((line) => Buffer.from(line))]);
  expect(report.fault).toBeUndefined();
  expect(report.decisions).toBeGreaterThanOrEqual(answered.length);
}, 240_000);

test('I11: one of two workers is killed while it spills: what its file holds is handed on while the node goes on, and nothing is there twice', async () => {
  const other = temporaryDirectory();
  const [log, files] = [join(other.path, 'log'), join(other.path, 'spill')];
  execFileSync('mkfifo', [log]);
  const reader = openSync(log, 'r+');
  const curfew = await startCurfew({ directory: other.path, workers: 2, args: ['decisionLog.to=file', `decisionLog.path=${log}`, 'decisionLog.pressure=spill', `decisionLog.spill.path=${files}`].flatMap((setting) => ['--set', setting]) });
  try {
    const left = (): readonly string[] => readdirSync(files).filter((name) => name.endsWith('.spill'));
    /** A file with more in it than a pipe holds: it stays while nobody reads. */
    const spilling = (): string | undefined => left().find((name) => (statSync(join(files, name), { throwIfNoEntry: false })?.size ?? 0) > 100_000);
    const answered: string[] = [];
    const ask = async (): Promise<void> => {
      const id = await curfew.ask(undefined).then(({ headers }) => headers.get('x-curfew-decision-id'), () => null);
      if (id !== null) answered.push(id);
    };
    await until('one to spill', async () => {
      await Promise.all(Array.from({ length: 20 }, ask));
      return spilling() !== undefined;
    }, 90_000);
    const size = (): number => left().reduce((sum, name) => sum + (statSync(join(files, name), { throwIfNoEntry: false })?.size ?? 0), 0);
    await untilRests(size);
    // Its name begins with who has it.
    const victim = Number.parseInt(spilling() ?? '', 10);
    expect(curfew.workers()).toContain(victim);
    process.kill(victim, 'SIGKILL');
    await until('another in its place', () => curfew.workers().length === 2 && !curfew.workers().includes(victim));
    expect(left().some((name) => name.startsWith(`${victim}.`))).toBe(true);
    let text = '';
    createReadStream('', { fd: reader, encoding: 'utf8' }).on('data', (chunk) => { text += String(chunk); });
    await until('the files to be handed on', () => left().length === 0, 60_000);
    await ask();
    curfew.signal('SIGTERM');
    await curfew.exited;
    await until('the last of it', () => text.includes(answered.at(-1) as string));
    execFileSync('sh', ['-c', `echo > ${log}`]);
    const times = new Map<string, number>();
    for (const [, id = ''] of text.matchAll(/"id":"([0-9a-f-]{36})","realm"/g)) times.set(id, (times.get(id) ?? 0) + 1);
    expect(answered.filter((id) => times.get(id) !== 1)).toEqual([]);
    const report = await verifyLog([text.split('\n').map((line) => Buffer.from(line))]);
    expect(report.fault).toBeUndefined();
  } finally {
    await curfew.stop();
    other.remove();
  }
}, 240_000);
