/** I11 under SIGKILL with `pressure: spill`: nobody reads the log, all of the node is killed, and the next start hands on what is in the spill files. */
import { execFileSync } from 'node:child_process';
import { createReadStream, openSync, readdirSync } from 'node:fs';
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
  await until('a spill file', async () => {
    await Promise.all(Array.from({ length: 20 }, () => ask(first)));
    return spills().length === 1;
  }, 90_000);
  // What was answered before this is in the pipe or in the files once no record waits in memory.
  await until('nothing to wait in memory', async () => /^curfew_decision_log_buffered 0$/m.test(await first.metrics()));
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
