/** Each bench runs, with tiny numbers, and fails on a wrong answer. What it measures here means nothing. */
import { execFileSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Decision } from '../../src/decision/evaluation.ts';
import { startGenerator, type Generator } from '../../bench/http/generator.ts';
import { httpDefaults, runHttp } from '../../bench/http/run.ts';
import { inProcessDefaults, runInProcess } from '../../bench/in-process/run.ts';
import { checkAllow } from '../../bench/in-process/measure.ts';
import { lifecycleDefaults, runLifecycle } from '../../bench/lifecycle/run.ts';
import { alertsDefaults, runAlerts } from '../../bench/alerts/run.ts';
import { memoryDefaults, runMemory } from '../../bench/memory/run.ts';
import { recordDefaults, runRecord } from '../../bench/record/run.ts';
import { redisDefaults, runRedis } from '../../bench/redis/run.ts';
import { reloadDefaults, runReload } from '../../bench/reload/run.ts';
import { filledStore } from '../../bench/support/filled-store.ts';
import { grantOf } from '../../bench/support/fill-store.ts';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { describeWith, repositoryRoot } from '../parts.ts';
import { until } from '../support/until.ts';

const quiet = (): void => undefined;
const TINY = { grants: 60, revocations: 60 };

let compiled: string;
let generatorModule: string;
beforeAll(() => {
  // The load generator is a process of its own, so it must be JavaScript; tsc reports what others broke by its exit code, and emits all the same. Inside the repository: servers load packages.
  mkdirSync(join(repositoryRoot, '.cache'), { recursive: true });
  compiled = mkdtempSync(join(repositoryRoot, '.cache/bench-build-'));
  try {
    execFileSync(join(repositoryRoot, 'node_modules/.bin/tsc'), ['-p', join(repositoryRoot, 'tsconfig.bench.json'), '--outDir', compiled], { stdio: 'ignore' });
  } catch {
    // `npm test` checks types in a step of its own.
  }
  generatorModule = join(compiled, 'bench/http/load-generator.js');
});
afterAll(() => rmSync(compiled, { recursive: true, force: true }));

describe('in process', () => {
  test('gives tables and goals', async () => {
    const { tables, goals } = await runInProcess({ ...inProcessDefaults, small: 60, large: 90, rounds: 1, decisions: 20 }, quiet);
    expect(tables.map(({ rows }) => rows.length)).toEqual([6, 4]);
    expect(goals.length).toBe(3);
  }, 300_000);

  test('a wrong answer fails it', async () => {
    const store = await filledStore(TINY);
    const allow = (over: object): Decision =>
      ({ allow: true, grant: grantOf({ ...store, realm: 'default' }, '', 3).id, validUntil: store.expiresAt, ...over }) as unknown as Decision;
    expect(() => checkAllow(allow({}), store, 3)).not.toThrow();
    expect(() => checkAllow(allow({}), store, 4)).toThrow('wrong answer');
    expect(() => checkAllow(allow({ validUntil: store.expiresAt + 1 }), store, 3)).toThrow('wrong answer');
    expect(() => checkAllow({ allow: false, reason: 'grant.none' } as unknown as Decision, store, 3)).toThrow('wrong answer');
  });
});

describe('the load generator', () => {
  let server: Server;
  let generator: Generator;
  let status = 200;
  beforeAll(async () => {
    server = createServer((_request, response) => response.writeHead(status, { 'content-length': 0, ...(status === 503 ? {} : { 'x-curfew-reason': 'denied' }) }).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    generator = startGenerator(generatorModule);
  });
  afterAll(async () => {
    await generator.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const job = async (allow: boolean): Promise<number> =>
    generator.addJob({ kind: 'curfew', port: (server.address() as AddressInfo).port, requests: ['GET / HTTP/1.1\r\nhost: a\r\n\r\n'], allow: [allow] });

  test('counts right answers in a closed and in an open loop', async () => {
    const right = await job(true);
    const closed = await generator.run({ job: right, connections: 2, durationMs: 100, atLeast: 1, from: 0 });
    expect(closed.answered).toBeGreaterThan(0);
    const open = await generator.run({ job: right, connections: 2, durationMs: 2_000, rate: 100, from: 0 });
    // What was due in the last turn of its loop, which a busy machine may make long, is not asked.
    expect(open.latencies.length).toBeGreaterThanOrEqual(150);
    expect(open.latencies.length).toBeLessThanOrEqual(200);
  });

  test.each([[200, false], [403, true], [500, true], [500, false]])('status %i where allow = %s is right fails the run', async (given, allow) => {
    status = given;
    const wrong = await job(allow);
    await expect(generator.run({ job: wrong, connections: 1, durationMs: 50, from: 0 })).rejects.toThrow('wrong answers');
    status = 200;
  });

  describe('as a gateway does', () => {
    /** `answer` tells what becomes of a request, from 1 on. */
    const pool = async (answer: (request: number) => 'kept' | 'close' | 'destroyed') => {
      const seen = { requests: 0, sockets: [] as Socket[] };
      const closing = createServer((_request, response) => {
        seen.requests += 1;
        const what = answer(seen.requests);
        if (what === 'destroyed') response.destroy();
        else response.writeHead(200, { 'content-length': 0, ...(what === 'close' ? { connection: 'close' } : {}) }).end();
      });
      closing.keepAliveTimeout = 600_000;
      closing.on('connection', (socket) => seen.sockets.push(socket));
      await new Promise<void>((resolve) => closing.listen(0, '127.0.0.1', resolve));
      const number = await generator.addJob({ kind: 'curfew', port: (closing.address() as AddressInfo).port, requests: ['GET / HTTP/1.1\r\nhost: a\r\n\r\n'], allow: [true] });
      const stop = (): void => {
        closing.closeAllConnections();
        closing.close();
      };
      return { seen, stop, drop: () => generator.dropJob(number), run: () => generator.run({ job: number, connections: 2, durationMs: 0, atLeast: 50, from: 0 }) };
    };

    test('it asks what comes next over another connection where an answer says so, and loses nothing', async () => {
      const { seen, stop, run } = await pool((request) => (request % 5 === 0 ? 'close' : 'kept'));
      const { latencies } = await run();
      expect(seen.requests).toBe(latencies.length);
      expect(seen.sockets.length).toBeGreaterThanOrEqual(10);
      stop();
    });

    test('it keeps its connections from run to run, and opens those anew that were closed meanwhile', async () => {
      const { seen, stop, run } = await pool(() => 'kept');
      await run();
      await run();
      expect(seen.sockets.length).toBe(2);
      await Promise.all(seen.sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve).end())));
      const before = seen.requests;
      const { latencies } = await run();
      expect([seen.requests - before, seen.sockets.length]).toEqual([latencies.length, 4]);
      stop();
    });

    test('a job that is dropped has no connection left, and runs no more', async () => {
      const { seen, stop, drop, run } = await pool(() => 'kept');
      await run();
      await drop();
      await until('its connections are closed', () => seen.sockets.every(({ destroyed }) => destroyed));
      await expect(run()).rejects.toThrow('no such job');
      stop();
    });

    test('a connection that is closed with a question on it fails the run, and no other', async () => {
      let fatal = 7;
      const { stop, run } = await pool((request) => (request === fatal ? 'destroyed' : 'kept'));
      await expect(run()).rejects.toThrow(/closed a connection|ECONNRESET/);
      fatal = 0;
      expect((await run()).latencies.length).toBeGreaterThanOrEqual(50);
      stop();
    });
  });

  test('an open loop charges a server for the requests that it kept waiting', async () => {
    const slow = createServer((_request, response) => setTimeout(() => response.writeHead(200, { 'content-length': 0 }).end(), 20));
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    try {
      const number = await generator.addJob({ kind: 'curfew', port: (slow.address() as AddressInfo).port, requests: ['GET / HTTP/1.1\r\nhost: a\r\n\r\n'], allow: [true] });
      const { latencies } = await generator.run({ job: number, connections: 1, durationMs: 400, rate: 100, from: 0 });
      // Twice what one connection can carry: the last requests waited for about half of the run.
      expect(Math.max(...latencies) / 1_000).toBeGreaterThan(150);
    } finally {
      slow.closeAllConnections();
      slow.close();
    }
  });
});

describe('over HTTP', () => {
  const tiny = { ...httpDefaults, small: 60, large: 90, workers: 2, rounds: 1, seconds: 0.2, openRounds: 1, openSeconds: 0.3, connections: 4, requests: 100 };

  test('asks a real curfew', async () => {
    const { goals } = await runHttp({ ...tiny, workers: 1, opa: false }, quiet, generatorModule);
    expect(goals.length).toBe(1);
  });

  describeWith(['go'], 'beside OPA', () => {
    test('OPA gives the same answers', async () => {
      const { tables, goals } = await runHttp(tiny, quiet, generatorModule);
      expect(tables.length).toBe(2);
      // One worker, and two.
      expect(goals.length).toBe(10);
      // Go builds OPA the first time.
    }, 600_000);
  });
});

test.skipIf(process.platform !== 'linux')('memory', async () => {
  const { goals } = await runMemory({ ...memoryDefaults, grants: 60, starts: 1, rounds: 1, seconds: 0.2, connections: 4, requests: 100 }, quiet, generatorModule);
  expect(goals.length).toBe(3);
});

test('issuing and ending beside decisions', async () => {
  const { tables, goals } = await runLifecycle({ ...lifecycleDefaults, grants: 60, members: 20, memberRounds: 1, rounds: 1, seconds: 0.5, closedSeconds: 0.2, connections: 4, requests: 100, loadShare: 10 }, quiet, generatorModule);
  expect(tables.map(({ rows }) => Number(rows[0]?.[0])).every((rate) => rate > 0)).toBe(true);
  expect(Number(tables[0]?.rows[0]?.[1])).toBeGreaterThan(0);
  expect([tables.length, goals.length]).toEqual([2, 3]);
}, 60_000);

test('the record: three tables and three goals; over HTTP, one lane writes no log and two do', async () => {
  const { tables, goals } = await runRecord(
    { ...recordDefaults, records: 2_000, grants: 60, rounds: 1, decisions: 50, httpRounds: 1, seconds: 0.2, connections: 4, requests: 100 },
    { generator: generatorModule, server: join(compiled, 'bench/record/server.js') },
  );
  expect([tables.map(({ rows }) => rows.length), goals.length]).toEqual([[3, 3, 1], 3]);
  expect(tables[1]?.rows.map((row) => Number(row[6]?.replace(',', '')) > 0)).toEqual([false, true, true]);
}, 120_000);

test('alerts: every one arrives, and once', async () => {
  const { tables, goals } = await runAlerts({ ...alertsDefaults, ends: 5, perSecond: 50 });
  expect(tables[0]?.rows.map((row) => [Number(row[1]), Number(row[2]) >= 0])).toEqual([[5, true], [5, true]]);
  expect([goals.length, tables[0]?.note]).toEqual([1, expect.stringContaining(' 0 alerts twice')]);
}, 120_000);

describeWith(['go'], 'reloads', () => {
  test('under load, of a file and of a folder, each one active', async () => {
    buildToolchain();
    const { tables, goals } = await runReload({ ...reloadDefaults, grants: 60, saves: 1, rounds: 1, seconds: 0.5, closedSeconds: 0.2, connections: 4, requests: 100, loadShare: 10 }, quiet, generatorModule);
    expect(tables[0]?.rows.map((row) => Number(row[4])).every((reloads) => reloads > 0)).toBe(true);
    expect(goals.length).toBe(4);
  }, 600_000);
});

describeWith(['redis'], 'Redis', () => {
  const tiny = { ...redisDefaults, small: 60, large: 90, rounds: 1, seconds: 0.2, requests: 100, revocations: 2 };
  test('gives tables and goals; growth does by itself, on a store that was loaded', async () => {
    const { tables, goals } = await runRedis({ ...tiny, revoke: false }, quiet, generatorModule);
    expect([tables.map(({ rows }) => rows.length), goals.length]).toEqual([[3, 6], 5]);
    const grown = await runRedis({ ...tiny, growth: true }, quiet, generatorModule);
    expect([grown.tables.map(({ rows }) => rows.length), grown.goals.length]).toEqual([[4], 2]);
  }, 120_000);
});
