/** Reload and shutdown under load, over connections that stay open, as gateways keep them: nothing is dropped, no answer is wrong. */
import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Client, ServiceError } from '@grpc/grpc-js';
import { openClient, unary } from '../grpc/grpc-js.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const [ALLOWED, OTHER] = ['spiffe://dev.local/ci/allowed', 'spiffe://dev.local/ci/other'];
const CHECK = ['/envoy.service.auth.v3.Authorization/Check', ['envoy.service.auth.v3.CheckRequest', 'envoy.service.auth.v3.CheckResponse']] as const;

interface Answer {
  readonly allowed: boolean;
  readonly why: unknown;
}
type Ask = (who: string) => Promise<Answer>;
/** Nobody listens any more: a new connection could not be had. */
class Gone extends Error {}

let curfew: Curfew;
let directory: ReturnType<typeof temporaryDirectory>;
let agent: Agent;
let clients: readonly Client[];
let overHttp: Ask;
let overGrpc: Ask;
/** Told to end for good: from then on the kernel resets a new connection that it had queued and nobody has accepted. */
let ending = false;
const isGone = ({ code }: NodeJS.ErrnoException, reused: boolean): boolean => code === 'ECONNREFUSED' || (ending && !reused && code === 'ECONNRESET');

beforeEach(async () => {
  ending = false;
  directory = temporaryDirectory();
  const file = join(directory.path, 'curfew.yaml');
  // The machine may be busy with other tests; what is asked here is whether anything is dropped.
  writeFileSync(file, 'limits: {decisionDeadlineMs: 10000}\n');
  curfew = await startCurfew({ directory: directory.path, workers: 2, args: ['--config', file] });
  await until('both workers', async () => (await curfew.metrics()).includes('curfew_workers_ready 2\n'));
  const tokens = new Map([[ALLOWED, await curfew.mint(ALLOWED)], [OTHER, await curfew.mint(OTHER)]]);
  await curfew.grant(ALLOWED);

  agent = new Agent({ keepAlive: true, maxSockets: 4 });
  overHttp = (who) => new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${tokens.get(who)}`, 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': '/orders/1' };
    const asked = request({ agent, port: curfew.ports.http, host: '127.0.0.1', path: '/forward-auth', headers }, (response) => {
      response.resume().once('end', () => resolve({ allowed: response.statusCode === 200, why: response.headers['x-curfew-reason'] }));
    });
    asked.once('error', (error: NodeJS.ErrnoException) => reject(isGone(error, asked.reusedSocket) ? new Gone() : error)).end();
  });
  clients = [0, 1].map(() => openClient(`127.0.0.1:${curfew.ports.grpc}`));
  let next = 0;
  overGrpc = async (who) => {
    next += 1;
    const http = { method: 'GET', path: '/orders/1', host: 'shop.local', scheme: 'http', protocol: 'HTTP/1.1', headers: { authorization: `Bearer ${tokens.get(who)}` } };
    try {
      const answer = await unary(clients[next % 2] as Client, CHECK[0], CHECK[1], { attributes: { request: { http } } });
      return { allowed: answer['okResponse'] !== undefined, why: answer['deniedResponse']?.body };
    } catch (error) {
      // grpc-js says one or the other when it found nobody to connect to.
      throw /ECONNREFUSED|No connection established/.test((error as ServiceError).details) ? new Gone() : error;
    }
  };
});
afterEach(async () => {
  for (const client of clients) client.close();
  agent.destroy();
  await curfew.stop();
  directory.remove();
});

/** Asks over a few lasting connections until it is told to stop, or until nobody listens. */
const askEndlessly = (ask: Ask, connections: number) => {
  const seen = { right: 0, wrong: [] as unknown[], failed: [] as unknown[] };
  let stopped = false;
  const loops = Promise.all(Array.from({ length: connections }, async () => {
    for (let turn = 0; !stopped; turn += 1) {
      const who = turn % 2 === 0 ? ALLOWED : OTHER;
      try {
        const { allowed, why } = await ask(who);
        if (allowed === (who === ALLOWED)) seen.right += 1;
        else seen.wrong.push([who, why]);
      } catch (error) {
        if (error instanceof Gone) return;
        seen.failed.push(error);
      }
    }
  }));
  const stop = async (): Promise<unknown> => {
    stopped = true;
    await loops;
    return { wrong: seen.wrong, failed: seen.failed };
  };
  return { seen, loops, stop };
};
const NOTHING = { wrong: [], failed: [] };

test('SIGHUP: workers are replaced, and no question over HTTP or gRPC is dropped', { timeout: 120_000 }, async () => {
  const [http, grpc] = [askEndlessly(overHttp, 4), askEndlessly(overGrpc, 4)];
  await until('answers', () => http.seen.right > 100 && grpc.seen.right > 100, 30_000);
  const before = curfew.workers();
  curfew.signal('SIGHUP');
  await until('the reload', async () => (await curfew.metrics()).includes('curfew_reloads_total{what="configuration",result="done"} 1'), 60_000);
  expect(curfew.workers().filter((pid) => before.includes(pid))).toEqual([]);
  const count = [http.seen.right, grpc.seen.right] as const;
  await until('answers of the new ones', () => http.seen.right > count[0] + 50 && grpc.seen.right > count[1] + 50, 30_000);
  expect([await http.stop(), await grpc.stop()]).toEqual([NOTHING, NOTHING]);
});

test('SIGTERM: whatever was asked is answered; then nobody listens', { timeout: 120_000 }, async () => {
  const [http, grpc] = [askEndlessly(overHttp, 4), askEndlessly(overGrpc, 4)];
  await until('answers', () => http.seen.right > 100 && grpc.seen.right > 100, 30_000);
  ending = true;
  curfew.signal('SIGTERM');
  expect(await curfew.exited).toEqual({ code: 0, signal: null });
  await Promise.all([http.loops, grpc.loops]);
  expect([await http.stop(), await grpc.stop()]).toEqual([NOTHING, NOTHING]);
});
