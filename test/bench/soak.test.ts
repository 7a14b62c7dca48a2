/** The soak bench's checker finds an allow that should not be; its slope is that of the line. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startChecker } from '../../bench/soak/checker.ts';
import { slopeOf } from '../../bench/soak/run.ts';
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

test('planted: a server that allows everything is found, after a revocation and after an end', { timeout: 60_000 }, async () => {
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
  expect(slopeOf([[0, 10], [30, 11], [60, 12]])).toBeCloseTo(2);
  expect(slopeOf([[5, 10]])).toBe(0);
});
