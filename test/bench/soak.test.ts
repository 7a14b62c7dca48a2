/** The soak bench's checker finds an allow that should not be; its slopes find what grows, and nothing else. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startChecker } from '../../bench/soak/checker.ts';
import { slopeOf, soakGoals, type Sample } from '../../bench/soak/slopes.ts';
import { filledStore } from '../../bench/support/filled-store.ts';
import { createBenchIssuer } from '../../bench/support/workload-tokens.ts';
import { until } from '../support/until.ts';

let server: Server | undefined;
let folder: string | undefined;
afterEach(() => {
  server?.close();
  server?.closeAllConnections();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

test('planted: a server that allows everything is found, after a revocation and after an end', { timeout: 120_000 }, async () => {
  let asked = 0;
  server = createServer((_request, response) => {
    asked += 1;
    response.end();
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  folder = mkdtempSync(join(tmpdir(), 'curfew-checker-'));
  const filled = await filledStore({ grants: 60, revocations: 60 });
  const path = join(folder, 'store');
  cpSync(filled.path, path, { recursive: true });
  const checker = await startChecker({ ...filled, path }, (server.address() as AddressInfo).port, createBenchIssuer());
  const running = checker.run();
  // One of each kind: six questions for each of the two.
  await until('both kinds were asked about', () => asked >= 12);
  const { violations, revoked, expired } = await checker.stop();
  await running;
  expect([revoked, expired].every((count) => count > 0)).toBe(true);
  expect(violations.some((text) => text.endsWith('after its revocation had returned'))).toBe(true);
  expect(violations.some((text) => text.endsWith('after its end'))).toBe(true);
});

test('a slope is per hour, and that of no time is none', () => {
  const exact = slopeOf([[0, 10], [30, 11], [60, 12]]);
  expect([exact.slope, exact.error]).toEqual([expect.closeTo(2), expect.closeTo(0)]);
  expect(slopeOf([[5, 10]])).toEqual({ slope: 0, error: Number.POSITIVE_INFINITY });
});

/** An hour in windows of half a minute: memory that fills in the first third, and noise that is always the same. */
const hour = (leak: { readonly megabytes?: number; readonly files?: number; readonly p99?: number } = {}): readonly Sample[] =>
  Array.from({ length: 120 }, (_, index) => {
    const minute = index / 2;
    const noise = ((index * 7) % 13) - 6;
    const leaking = ((leak.megabytes ?? 0) * minute) / 60;
    return {
      minute, answered: 1_000, unavailable: 0, p99: 8 + noise / 4 + ((leak.p99 ?? 0) * minute) / 60,
      processes: [
        { name: 'the supervisor', megabytes: 70 + noise / 2, files: 40 },
        { name: 'worker 1', megabytes: 80 + 40 * Math.min(1, minute / 20) + noise + leaking, files: 60 + (noise > 4 ? 1 : 0) + Math.floor(((leak.files ?? 0) * minute) / 60) },
      ],
    };
  });

test('planted: a leak of memory, of files, an answer that slows down is each found within the hour; filling and noise are none', () => {
  const met = (samples: readonly Sample[]): readonly boolean[] => soakGoals(samples, 60).map((goal) => goal.met);
  expect(met(hour())).toEqual([true, true, true, true]);
  expect(met(hour({ megabytes: 10 }))).toEqual([true, false, true, true]);
  expect(met(hour({ files: 4 }))).toEqual([true, true, false, true]);
  expect(met(hour({ p99: 3 }))).toEqual([true, true, true, false]);
  // Of three minutes nobody can say it.
  expect(soakGoals(hour().slice(0, 6), 3).map((goal) => goal.met)).toEqual([false, false, false, false]);
});

test('planted: noise that comes and goes slowly is not taken for none: the slope may lie anywhere within it, and the goal is not met', () => {
  const slow = hour().map((sample) => ({ ...sample, processes: sample.processes.map((used) => ({ ...used, megabytes: 80 + 15 * Math.cos((sample.minute * Math.PI) / 10) })) }));
  const points = (samples: readonly Sample[]): readonly (readonly [number, number])[] => samples.map(({ minute, processes }) => [minute, processes[1]?.megabytes ?? Number.NaN]);
  expect(slopeOf(points(slow)).error).toBeGreaterThan(5);
  const [, worker] = soakGoals(slow, 60);
  expect([worker?.met, worker?.limit]).toEqual([false, 'the noise of the run leaves it open']);
});
