/** One connection, whatever its pieces and order: each question is answered once, in order, and nobody holds a connection for nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allowing, forwarded, startGateway, type TestGateway } from '../../support/http-gateway.ts';
import { openRaw, requestText, type RawConnection } from '../../support/raw-socket.ts';
import { until } from '../../support/until.ts';

/** So that those who hold a connection for nothing are ended soon, and who has asked well after them; the other tests are given the default. */
const LIMITS = { headersTimeoutMs: 400, requestTimeoutMs: 400, keepAliveTimeoutMs: 5_000 };
let release: (() => void) | undefined;
const decide = async (evaluation: Parameters<typeof allowing>[0]) => {
  if (evaluation.question?.resource.id === 'shop.local/slow') await new Promise<void>((resolve) => { release = resolve; });
  return allowing(evaluation);
};
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ decide });
});
afterAll(() => gateway.close());

const ask = (uri: string, more: readonly string[] = []): string => requestText('/forward-auth', [...forwarded(uri), ...more]);
const withBody = (uri: string): string => `${requestText('/forward-auth', [...forwarded(uri), 'Content-Length: 5'], 'POST')}hello`;
const asked = (): readonly (string | undefined)[] => gateway.evaluations.map(({ question }) => question?.resource.id);
const status = async (connection: RawConnection, bytes: string): Promise<number | undefined> => (await connection.ask(bytes))?.status;

/** Collects what comes, unread by `ask`. */
const collect = (connection: RawConnection): (() => string) => {
  let text = '';
  connection.socket.on('data', (chunk: Buffer) => { text += chunk.toString('latin1'); });
  return () => text;
};

test('B3: plain questions, one with a body, health, and plain ones again, on one connection: each is answered once, in order', async () => {
  const connection = await openRaw(gateway.port);
  const from = gateway.evaluations.length;
  expect(await status(connection, ask('/1'))).toBe(200);
  expect(await status(connection, ask('/2'))).toBe(200);
  expect(await status(connection, withBody('/3'))).toBe(200);
  expect(await status(connection, requestText('/health/live'))).toBe(200);
  expect(await status(connection, ask('/4'))).toBe(200);
  expect(await status(connection, requestText('/elsewhere'))).toBe(404);
  expect(asked().slice(from)).toEqual(['shop.local/1', 'shop.local/2', 'shop.local/3', 'shop.local/4']);
  connection.close();
});

test('a question in two pieces, cut anywhere, and in single bytes, is one question', async () => {
  const bytes = ask('/pieces');
  const connection = await openRaw(gateway.port);
  for (const cut of [1, 10, 30, bytes.length - 3, bytes.length - 1]) {
    const from = gateway.evaluations.length;
    connection.socket.write(bytes.slice(0, cut));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(gateway.evaluations).toHaveLength(from);
    expect(await status(connection, bytes.slice(cut))).toBe(200);
    expect(gateway.evaluations).toHaveLength(from + 1);
  }
  connection.close();
  const slow = await openRaw(gateway.port);
  for (const byte of bytes.slice(0, -1)) {
    slow.socket.write(byte, 'latin1');
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await status(slow, bytes.slice(-1))).toBe(200);
  slow.close();
});

test('I2: what comes while a question is decided is not read before its answer has left, and is then answered in order', async () => {
  const connection = await openRaw(gateway.port);
  const text = collect(connection);
  const from = gateway.evaluations.length;
  connection.socket.write(ask('/slow'));
  await until('it is asked', () => release !== undefined);
  connection.socket.write(ask('/behind-1'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  connection.socket.write(ask('/behind-2') + withBody('/behind-3'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(asked().slice(from)).toEqual(['shop.local/slow']);
  release?.();
  release = undefined;
  await until('all answers', () => text().match(/HTTP\/1\.1 200/g)?.length === 4);
  expect(asked().slice(from)).toEqual(['slow', 'behind-1', 'behind-2', 'behind-3'].map((name) => `shop.local/${name}`));
  connection.close();
});

test('B3: a question that asks for the end of its connection gets it, however it asks', async () => {
  for (const line of ['Connection: close', 'connection: keep-alive, close']) {
    const connection = await openRaw(gateway.port);
    const answer = await connection.ask(ask('/last', [line]));
    expect([answer?.status, answer?.headers.get('connection')]).toEqual([200, ['close']]);
    await connection.closed;
  }
  const half = await openRaw(gateway.port);
  const text = collect(half);
  half.socket.end(ask('/half'));
  await half.closed;
  expect(text()).toMatch(/^HTTP\/1\.1 200 /);
});

describe('B8', () => {
  test('connections that ask nothing, or only half, are ended in time; one that has asked is kept longer, and not for ever', async () => {
    const strict = await startGateway({ decide, listener: { limits: LIMITS } });
    const silent = await openRaw(strict.port);
    const half = await openRaw(strict.port);
    const good = await openRaw(strict.port);
    expect(await status(good, ask('/good'))).toBe(200);
    expect((await half.ask('GET /forward-auth HTTP/1.1\r\nHost: x\r\n'))?.status).toBe(408);
    await Promise.all([silent.closed, half.closed]);
    expect(good.socket.destroyed).toBe(false);
    const drips = await openRaw(strict.port);
    expect(await status(drips, ask('/good'))).toBe(200);
    const drip = setInterval(() => drips.socket.write('G'), 50);
    await drips.closed;
    clearInterval(drip);
    await good.closed;
    await strict.close();
  });

  test('whoever reads no answers is not read any more', async () => {
    const deaf = await openRaw(gateway.port);
    deaf.socket.pause();
    const from = gateway.evaluations.length;
    let stuck = 0;
    let before = -1;
    for (let round = 0; round < 4_000 && stuck < 20; round += 1) {
      if (deaf.socket.writableLength < 1e6) for (let index = 0; index < 50; index += 1) deaf.socket.write(ask('/deaf'));
      await new Promise((resolve) => setTimeout(resolve, 5));
      stuck = gateway.evaluations.length === before ? stuck + 1 : 0;
      before = gateway.evaluations.length;
    }
    expect(stuck).toBe(20);
    expect(before).toBeGreaterThan(from);
    deaf.close();
  });
});

test('at shutdown a connection that waits is ended, one that asks is answered and then ended', async () => {
  const own = await startGateway({ listener: { limits: { keepAliveTimeoutMs: 75_000, drainMs: 20_000 } } });
  const [waits, asks] = [await openRaw(own.port), await openRaw(own.port)];
  for (const connection of [waits, asks]) expect(await status(connection, ask('/a'))).toBe(200);
  const closed = own.close();
  const last = await asks.ask(ask('/b'));
  expect([last?.status, last?.headers.get('connection')]).toEqual([200, ['close']]);
  await Promise.all([waits.closed, asks.closed, closed]);
});
