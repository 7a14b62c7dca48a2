/** Alerts of the real program: a revocation is heard of within a second of its commit, also after a restart in between; the channels can be tried. */
import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const SECRET = 'a secret of the receiver, long enough';
const directory = temporaryDirectory();
let server: Server;
let curfew: Curfew;
let up = true;
const got: { id: string; body: { type: string; timestamp: string; data: { value?: string } }; at: number }[] = [];
let forged = 0;

const start = () => startCurfew({ directory: directory.path, env: { HOOK: SECRET, CURFEW_ALERTS_CHANNELS: JSON.stringify([
  { kind: 'webhook', id: 'hook', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, insecureLoopback: true, secret: { env: 'HOOK' }, atLeast: 'info' },
  { kind: 'log', id: 'log' },
]), CURFEW_ALERTS_RETRY_MAX_MS: '1000', CURFEW_LOG_LEVEL: 'info' } });

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => { body += String(chunk); });
    request.on('end', () => {
      const id = String(request.headers['webhook-id']);
      const expected = createHmac('sha256', SECRET).update(`${id}.${String(request.headers['webhook-timestamp'])}.${body}`).digest('base64');
      if (request.headers['webhook-signature'] !== `v1,${expected}`) forged += 1;
      if (up) got.push({ id, body: JSON.parse(body), at: Date.now() });
      response.writeHead(up ? 204 : 503).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  curfew = await start();
}, 60_000);
afterAll(async () => {
  await curfew.stop();
  server.closeAllConnections();
  server.close();
  directory.remove();
});

const revoke = (name: string) => curfew.admin('POST', '/v1/revocations', { selector: { kind: 'workload', value: `spiffe://dev.local/${name}` }, reason: 'test' });

test('the alert is there within a second of the commit', { timeout: 120_000 }, async () => {
  const late: number[] = [];
  // Other tests may run; one quiet round shows it.
  for (let round = 0; round < 5; round += 1) {
    const before = got.length;
    for (let count = 0; count < 20; count += 1) await revoke(`r${round}-${count}`);
    await until('twenty alerts', () => got.length === before + 20, 20_000);
    late.push(Math.max(...got.slice(before).map(({ at, body }) => at - Date.parse(body.timestamp))));
    if ((late.at(-1) ?? Infinity) <= 1_000) break;
  }
  expect(Math.min(...late)).toBeLessThanOrEqual(1_000);
  expect(new Set(got.map(({ id }) => id)).size).toBe(got.length);
  expect(forged).toBe(0);
  await until('one in the log', () => curfew.stderr().includes('"type":"access.revoked"'));
  expect(curfew.stderr()).not.toContain(SECRET);
});

test('what was not delivered when the process ended is delivered by the next one, once', { timeout: 90_000 }, async () => {
  up = false;
  const before = got.length;
  await revoke('while-down');
  await until('it waits', async () => (await curfew.admin('GET', '/v1/alerts?state=pending')).body.items.length === 1);
  await until('it was tried', async () => /curfew_alert_tries_total\{channel="hook",outcome="failed"\} [1-9]/.test(await curfew.metrics()));
  expect(await curfew.metrics()).toMatch(/^curfew_alerts_pending 1$/m);
  await curfew.stop();
  up = true;
  curfew = await start();
  await until('it is over', async () => (await curfew.admin('GET', '/v1/alerts?state=pending')).body.items.length === 0);
  expect(got.slice(before).map(({ body }) => body.data.value)).toEqual(['spiffe://dev.local/while-down']);
  const { body } = await curfew.admin('GET', '/v1/alerts?limit=1');
  expect(body.items[0]).toMatchObject({ type: 'access.revoked', state: 'done', deliveries: { hook: { state: 'delivered' }, log: { state: 'delivered' } } });
});

test('the command line tries the channels, lists, shows and redelivers', { timeout: 120_000 }, async () => {
  const cli = (...args: string[]) => runCurfew([...args, '--server', `http://127.0.0.1:${curfew.ports.admin}`], { directory: directory.path });
  const before = got.length;
  const { stdout, code } = await cli('alert', 'test', '--json');
  expect(code).toBe(0);
  const { id } = JSON.parse(stdout);
  const done = () => until('it is done', async () => (await curfew.admin('GET', `/v1/alerts/${encodeURIComponent(id)}`)).body.state === 'done');
  await done();
  expect((await cli('alert', 'redeliver', id)).code).toBe(0);
  await done();
  expect(got.slice(before).map((one) => one.id)).toEqual([`default/${id}`, `default/${id}`]);
  expect((await cli('alert', 'list', '--limit', '1')).stdout).toMatch(/info\s+done\s+hook delivered, log delivered\s+alert\.test:/);
  expect((await cli('alert', 'show', id)).stdout).toContain('text: an operator tries whether alerts arrive');
  expect((await cli('alert', 'show', 'nothing')).code).toBe(1);
});
