/** I11 under SIGKILL: every decision that was answered is in the decision log, or lies in a gap that the log declares, with its size. */
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { byteLines } from '../../src/audit/byte-lines.ts';
import { openEnds } from '../../src/audit/open-ends.ts';
import { verifyLog, type LogReport } from '../../src/audit/verify-log.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

/** `npm run test:kill-log` plays more. */
const ROUNDS = Number(process.env['CURFEW_KILL_ROUNDS'] ?? 1);
const directory = temporaryDirectory();
const path = join(directory.path, '.curfew/decisions.jsonl');
const running: Curfew[] = [];
afterAll(async () => {
  for (const curfew of running) await curfew.stop();
  directory.remove();
});

const start = async (): Promise<Curfew> => {
  const curfew = await startCurfew({ directory: directory.path, workers: 2, args: ['--set', 'decisionLog.pressure=block', '--set', 'decisionLog.bufferedRecordsMax=500'] });
  running.push(curfew);
  return curfew;
};
const verify = (): Promise<LogReport> => verifyLog(byteLines(createReadStream(path) as AsyncIterable<Buffer>, 1e7));

/** Asks without a pause, until stopped; notes the id of every answer that arrived. */
const load = (port: number, ids: Set<string>): { stop(): Promise<void> } => {
  let stopped = false;
  const ask = (): Promise<void> => new Promise((resolve) => {
    const headers = { 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': '/x' };
    const asked = request({ host: '127.0.0.1', port, path: '/forward-auth', agent: false, headers }, (answer) => {
      const id = answer.headers['x-curfew-decision-id'];
      if (typeof id === 'string') ids.add(id);
      answer.resume().once('close', resolve);
    });
    asked.once('error', () => setTimeout(resolve, 20)).end();
  });
  const lines = Array.from({ length: 16 }, async () => { while (!stopped) await ask(); });
  return { stop: async () => { stopped = true; await Promise.all(lines); } };
};

test('demand(8) I11 G3: workers and whole nodes are killed under load, again and again; nothing answered is missing beyond the declared gaps, and the chain holds', async () => {
  const answered = new Set<string>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const curfew = await start();
    // Each of its workers has a chain before one is killed: a machine with much to do starts them one after the other.
    await until('both to have begun', () => {
      const workers = curfew.workers();
      const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
      return workers.length === 2 && workers.every((pid) => text.includes(`"pid":${pid}`));
    });
    const asking = load(curfew.ports.http, answered);
    for (let kill = 0; kill < 2; kill += 1) {
      const before = answered.size;
      await until('answers', () => answered.size > before + 100);
      const [victim] = curfew.workers();
      if (victim !== undefined && kill < 1) process.kill(victim, 'SIGKILL');
    }
    // The last time all of it, its supervisor first.
    const workers = curfew.workers();
    curfew.signal('SIGKILL');
    for (const worker of workers) {
      try {
        process.kill(worker, 'SIGKILL');
      } catch {
        // It ended with its supervisor.
      }
    }
    await curfew.exited;
    await asking.stop();
  }
  // The next start declares what the last one left.
  const last = await start();
  last.signal('SIGTERM');
  await last.exited;

  const report = await verify();
  expect(report.fault).toBeUndefined();
  const text = readFileSync(path, 'utf8');
  const missing = [...answered].filter((id) => !text.includes(id)).length;
  expect(report.open.filter(({ missingMax }) => missingMax === undefined)).toEqual([]);
  const declared = report.open.reduce((sum, { missingMax = 0 }) => sum + missingMax, 0);
  expect(report.open.length).toBeGreaterThanOrEqual(2 * ROUNDS);
  expect(missing).toBeLessThanOrEqual(declared);
  expect(report.decisions + declared).toBeGreaterThanOrEqual(answered.size);
  // Every open end was declared in words too, by who survived. A worker that was stopped while it started has made no decision.
  expect((await openEnds(path)).filter(({ after }) => after > 0)).toEqual([]);
  for (const { chain, missingMax } of report.open.filter(({ after }) => after > 0)) {
    expect(text.split('\n').some((line) => line.includes('"gap"') && line.includes(`"chain":"${chain}"`) && line.includes(`"droppedMax":${missingMax}`)), chain).toBe(true);
  }
  const said = await runCurfew(['audit', 'verify', '--decisions', path]);
  expect(said).toMatchObject({ code: 0 });
  expect(said.stdout).toMatch(/^The decision log holds: \d+ decisions/);
}, 120_000 + ROUNDS * 60_000);
