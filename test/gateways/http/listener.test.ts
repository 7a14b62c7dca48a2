/** The listener: framing that could be read in two ways ends the connection, and everything a caller can take has a limit (THREATS B3, B4, B8). */
import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allowing, forwarded, startGateway, temporaryPath, type TestGateway } from '../../support/http-gateway.ts';
import { askOnce, openRaw, requestText } from '../../support/raw-socket.ts';
import { until } from '../../support/until.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ listener: { limits: { bodyBytesMax: 1_000, connectionsMax: 50 } } });
});
afterAll(() => gateway.close());

const question = forwarded('/a').join('\r\n');
const SMUGGLED = 'GET /forward-auth HTTP/1.1\r\nHost: x\r\n\r\n';

describe('framing', () => {
  test.each([
    ['Content-Length and Transfer-Encoding', `POST /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['Transfer-Encoding and Content-Length', `POST /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['two Content-Lengths', `POST /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello${SMUGGLED}`],
    ['two equal Content-Lengths', `POST /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello${SMUGGLED}`],
    ['a signed Content-Length', `POST /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nContent-Length: +5\r\n\r\nhello${SMUGGLED}`],
    ['a hexadecimal Content-Length', `POST /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nContent-Length: 0x5\r\n\r\nhello${SMUGGLED}`],
    ['another transfer coding', `POST /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ['a blank before the colon', `GET /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nTransfer-Encoding : chunked\r\n\r\n${SMUGGLED}`],
    ['a folded header', `GET /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nX-A: b\r\n c\r\n\r\n${SMUGGLED}`],
    ['a bare carriage return', `GET /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nX-A: b\rX-B: c\r\n\r\n${SMUGGLED}`],
    ['a NUL in a value', `GET /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nX-A: b\0c\r\n\r\n${SMUGGLED}`],
    ['no Host', `GET /forward-auth HTTP/1.1\r\n${question}\r\n\r\n`],
    ['another version', `GET /forward-auth HTTP/3.0\r\nHost: x\r\n${question}\r\n\r\n`],
    ['an unknown method', `EVIL /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\n\r\n`],
    ['a space in the target', `GET /forward-auth x HTTP/1.1\r\nHost: x\r\n${question}\r\n\r\n`],
    ['HTTP/2 without agreement', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ])('B3: %s: refused, the connection closed, nothing behind it read', async (_name, bytes) => {
    const seen = gateway.evaluations.length;
    const connection = await openRaw(gateway.port);
    const response = await connection.ask(bytes);
    expect(response?.status ?? 400).toBeGreaterThanOrEqual(400);
    await connection.closed;
    // What came before the fault may have been decided; what was smuggled behind it never is.
    expect(gateway.evaluations.slice(seen).filter(({ question: asked }) => asked === undefined)).toEqual([]);
  });

  test('B3: positive control: the same question, well framed, is answered, and so is the one behind it', async () => {
    const seen = gateway.evaluations.length;
    const connection = await openRaw(gateway.port);
    const response = await connection.ask(`POST /forward-auth HTTP/1.1\r\nHost: x\r\n${question}\r\nContent-Length: 5\r\n\r\nhello${SMUGGLED}`);
    expect(response?.status).toBe(200);
    await until('the second answer', () => gateway.evaluations.length === seen + 2);
    connection.close();
  });
});

describe('limits', () => {
  test('B8: headers beyond the limit are answered 431, a body beyond it is denied while it arrives and ends the connection', async () => {
    const large = await askOnce(gateway.port, requestText('/forward-auth', [...forwarded('/a'), `X-Large: ${'a'.repeat(20_000)}`]));
    expect(large?.status).toBe(431);
    const seen = gateway.evaluations.length;
    for (const framing of ['Transfer-Encoding: chunked', 'Content-Length: 100000000']) {
      const connection = await openRaw(gateway.port);
      const piece = framing.startsWith('T') ? `1f4\r\n${'b'.repeat(500)}\r\n` : 'b'.repeat(500);
      const response = await connection.ask(requestText('/forward-auth', [...forwarded('/a'), framing], 'POST') + piece.repeat(3));
      expect(response?.status).toBe(403);
      expect(response?.headers.get('x-curfew-reason')).toEqual(['request.too_large']);
      await connection.closed;
    }
    expect(gateway.evaluations.slice(seen)).toHaveLength(2);
  });

  test('B8: a body within the limit is ignored, and the connection goes on', async () => {
    const connection = await openRaw(gateway.port);
    for (let round = 0; round < 3; round += 1) {
      const response = await connection.ask(`${requestText('/forward-auth', [...forwarded('/a'), 'Content-Length: 900'], 'POST')}${'b'.repeat(900)}`);
      expect(response?.status).toBe(200);
    }
    connection.close();
  });

  test('B8: headers that never end, and bodies that never come, end the connection', async () => {
    const strict = await startGateway({ listener: { limits: { headersTimeoutMs: 300, requestTimeoutMs: 600 } } });
    const slow = await openRaw(strict.port);
    expect((await slow.ask('GET /forward-auth HTTP/1.1\r\nHost: x\r\nX-Slow: '))?.status).toBe(408);
    await slow.closed;
    const stuck = await openRaw(strict.port);
    stuck.socket.write(requestText('/forward-auth', [...forwarded('/a'), 'Content-Length: 5'], 'POST'));
    await stuck.closed;
    await strict.close();
  });

  test('B8: connections beyond the limit are closed, those within it live on', async () => {
    const first = await openRaw(gateway.port);
    expect((await first.ask(requestText('/forward-auth', forwarded('/a'))))?.status).toBe(200);
    const more = await Promise.all(Array.from({ length: 60 }, () => openRaw(gateway.port)));
    await until('the surplus is closed', () => more.filter(({ socket }) => socket.destroyed).length >= 11);
    expect((await first.ask(requestText('/forward-auth', forwarded('/a'))))?.status).toBe(200);
    for (const connection of [first, ...more]) connection.close();
    await until('a new one is served again', async () => (await askOnce(gateway.port, requestText('/forward-auth', forwarded('/a'))).catch(() => undefined))?.status === 200);
  });
});

describe('everything else', () => {
  test('health is served, and says no while decisions are not', async () => {
    let ready = true;
    const own = await startGateway({ ready: () => (ready ? { ready } : { ready, detail: 'no bundle' }) });
    expect((await askOnce(own.port, requestText('/health/live')))?.status).toBe(200);
    expect((await askOnce(own.port, requestText('/health/ready')))?.status).toBe(200);
    ready = false;
    const no = await askOnce(own.port, requestText('/health/ready'));
    expect([no?.status, no?.body]).toEqual([503, '{"status":"not ready","detail":"no bundle"}']);
    await own.close();
  });

  test('B5: what is not exactly a decision endpoint is 404 and no decision, however it is written', async () => {
    const seen = gateway.evaluations.length;
    for (const target of [
      '/', '/forward-auth/', '/forward-auth/x', '//forward-auth', '/Forward-Auth', '/forward%2dauth', '/%66orward-auth', '/forward-auth%2f', '/./forward-auth', '/x/../forward-auth',
      '/forward-auth;x', '/forward-auth#x', '/ext-authz', '/ext-authz?x', '/ext%2dauthz/a', '//ext-authz/a', 'http://pdp.local/forward-auth', '*', '/health', '/health/ready/', '/health//ready',
      '/self/v1/grants', '/favicon.ico',
    ]) {
      const response = await askOnce(gateway.port, requestText(target, forwarded('/a')));
      expect(response?.status, target).toBe(404);
      expect(response?.headers.get('x-curfew-decision-id'), target).toBeUndefined();
    }
    expect(gateway.evaluations).toHaveLength(seen);
    expect((await askOnce(gateway.port, requestText('/forward-auth?rd=x', forwarded('/a'))))?.status).toBe(200);
  });
});

test('at shutdown what is under way is answered, then the listener is gone', async () => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const own = await startGateway({
    decide: async (given) => {
      await held;
      return allowing(given);
    },
  });
  const idle = await openRaw(own.port);
  const busy = await openRaw(own.port);
  const answer = busy.ask(requestText('/forward-auth', forwarded('/a')));
  await until('the question is there', () => own.evaluations.length === 1);
  const closed = own.close();
  await idle.closed;
  release();
  expect((await answer)?.status).toBe(200);
  await closed;
  await expect(openRaw(own.port)).rejects.toThrow();
});

test('a Unix socket that a dead process has left is taken over', async () => {
  const path = temporaryPath('stale.sock');
  const child = spawn(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  expect(existsSync(path)).toBe(true);
  const own = await startGateway({ listener: { port: false, unix: { path } } });
  expect((await askOnce({ path }, requestText('/forward-auth', forwarded('/a'))))?.status).toBe(200);
  await own.close();
  rmSync(path, { force: true });
});
