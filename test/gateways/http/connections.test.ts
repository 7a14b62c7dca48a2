/** Connections that are only held keep nobody out: not from decisions, and not from revoking (I12, I15, B8). */
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { listenAdmin } from '../../../src/admin/listen.ts';
import { startHttpServer, type HttpServer } from '../../../src/gateways/http/server.ts';
import { httpLimitsConfig } from '../../../src/gateways/http/config.ts';
import { openRaw } from '../../support/raw-socket.ts';
import { until } from '../../support/until.ts';

const MAX = 20;
const ASK = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUps.splice(0).toReversed()) await undo();
});

const start = async (idleGiveWay: boolean): Promise<HttpServer> => {
  const limits = { ...httpLimitsConfig.parse(undefined), connectionsMax: MAX, drainMs: 100, headersTimeoutMs: 60_000, requestTimeoutMs: 60_000 };
  const server = await startHttpServer({ listen: { host: '127.0.0.1', port: 0 }, limits, idleGiveWay, handle: (_incoming, response) => void response.end('ok') });
  cleanUps.push(() => server.close());
  return server;
};
/** Held open, with `bytes` sent; tells whether it is still open. */
const hold = async (port: number, bytes = ''): Promise<{ readonly isOpen: () => boolean; readonly socket: Socket }> => {
  const socket = connect(port, '127.0.0.1');
  let open = true;
  socket.on('error', () => undefined).once('close', () => { open = false; }).resume();
  cleanUps.push(() => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  if (bytes !== '') socket.write(bytes);
  return { isOpen: () => open, socket };
};
const asks = async (port: number): Promise<number | undefined> => {
  const connection = await openRaw(port);
  cleanUps.push(() => connection.close());
  return (await connection.ask(ASK))?.status;
};

test.each([['nothing sent', ''], ['half a request sent', 'GET / HTTP/1.1\r\nHost: x\r\n']])('held with %s: they make room for those that ask, the oldest first', async (_name, bytes) => {
  const { port } = await start(false);
  const held: Awaited<ReturnType<typeof hold>>[] = [];
  for (let count = 0; count < MAX + 5; count += 1) held.push(await hold(port, bytes));
  for (let count = 0; count < 5; count += 1) expect(await asks(port)).toBe(200);
  await until('the oldest are closed', () => held.slice(0, 5).every(({ isOpen }) => !isOpen()));
  expect(held.at(-1)?.isOpen()).toBe(true);
});

test('connections that asked stay; then a new one is closed, as the limit says', async () => {
  const { port } = await start(false);
  const asked = await Promise.all(Array.from({ length: MAX }, () => openRaw(port)));
  for (const connection of asked) {
    cleanUps.push(() => connection.close());
    expect((await connection.ask(ASK))?.status).toBe(200);
  }
  expect(await asks(port)).toBeUndefined();
  for (const connection of asked) expect((await connection.ask(ASK))?.status).toBe(200);
});

test('administration: idle ones make room too, and one whose request is under way does not', async () => {
  let finish: () => void = () => undefined;
  const slow = new Promise<void>((resolve) => { finish = resolve; });
  const server = await listenAdmin({
    host: '127.0.0.1', port: 0, drainMs: 100,
    fetch: async (request) => {
      if (new URL(request.url).pathname === '/slow') await slow;
      return new Response('ok');
    },
  });
  cleanUps.push(() => server.close());
  const working = await openRaw(server.port);
  cleanUps.push(() => working.close());
  const answer = working.ask('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n');
  // More than its limit, each having asked once, so that none was ever silent.
  for (let count = 0; count < 300; count += 1) {
    const connection = await openRaw(server.port);
    cleanUps.push(() => connection.close());
    expect((await connection.ask(ASK))?.status).toBe(200);
  }
  for (let count = 0; count < 300; count += 1) await hold(server.port);
  expect(await asks(server.port)).toBe(200);
  finish();
  expect((await answer)?.status).toBe(200);
});
