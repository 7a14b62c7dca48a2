import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { createFrameReader, frameMessage } from '../../src/grpc/frame.ts';
import type { UnaryMethod } from '../../src/grpc/method.ts';
import { GRPC_STATUS, GrpcFault, grpcMessage } from '../../src/grpc/status.ts';
import { grpcTimeoutMs } from '../../src/grpc/timeout.ts';
import { startGrpcServer } from '../../src/grpc/server.ts';
import { grpcLimitsConfig } from '../../src/grpc/config.ts';
import { until } from '../support/until.ts';
import { ECHO, frame, openSession, rawCall, startEcho, statusOf, type Echo } from './serve.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

const start = async (...args: Parameters<typeof startEcho>): Promise<{ echo: Echo; session: ClientHttp2Session }> => {
  const echo = await startEcho(...args);
  const session = openSession(echo.server);
  open.push({ close: () => session.destroy() }, echo.server);
  return { echo, session };
};

test('a call is answered with headers, one message and trailers', async () => {
  const { echo, session } = await start();
  const call = await rawCall(session, [frame('hello')], { 'grpc-timeout': '60000m', 'x-meta': 'yes' });
  expect(call.headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc' });
  expect(call.data).toEqual(frame('hello'));
  expect(call.trailers).toEqual(expect.objectContaining({ 'grpc-status': '0' }));
  expect(echo.calls[0]).toMatchObject({ path: ECHO, timeoutMs: 60_000, peer: { transport: 'plain', address: '127.0.0.1', certificate: undefined } });
  expect(echo.calls[0]?.metadata['x-meta']).toBe('yes');
});

test('messages are put together however they are cut, and never read beyond the limit (property)', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), fc.array(fc.nat(30), { maxLength: 40 }), (messages, cuts) => {
      const bytes = Buffer.concat(messages.map(frameMessage));
      const reader = createFrameReader(60);
      const read: Buffer[] = [];
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        if (at < bytes.length && cut > 0) read.push(...reader.push(bytes.subarray(at, at + cut)));
        at = Math.min(bytes.length, at + cut);
      }
      reader.end();
      expect(read.map((message) => [...message])).toEqual(messages.map((message) => [...message]));
    }),
  );
  expect(() => createFrameReader(60).push(frame('', 0, 61))).toThrow(GrpcFault);
});

test.each([
  ['another path', [frame('x')], { ':path': '/test.Echo/Other' }, '12'],
  ['a compressed message', [frame('x', 1)], {}, '12'],
  ['no message', [], {}, '3'],
  ['two messages', [frame('a'), frame('b')], {}, '3'],
  ['a message cut short', [frame('hello').subarray(0, 7)], {}, '3'],
  ['a prefix cut short', [Buffer.from([0, 0])], {}, '3'],
  ['a message longer than allowed', [frame('x'.repeat(2_000))], {}, '8'],
  ['a length beyond all sense', [frame('', 0, 0xffff_ffff)], {}, '8'],
  ['a timeout that is none', [frame('x')], { 'grpc-timeout': '10' }, '3'],
  ['a negative timeout', [frame('x')], { 'grpc-timeout': '-1m' }, '3'],
])('%s is refused with a status', async (_name, body, headers, status) => {
  const { echo, session } = await start({ maxMessageBytes: 1_024 });
  const call = await rawCall(session, body, headers);
  expect(statusOf(call)).toBe(status);
  expect(call.headers[':status']).toBe(200);
  expect(echo.calls).toEqual([]);
  // The connection is none the worse for it.
  expect(statusOf(await rawCall(session, [frame('y')]))).toBe('0');
});

test('what is not gRPC is refused in HTTP', async () => {
  const { session } = await start();
  expect((await rawCall(session, [frame('x')], { 'content-type': 'application/json' })).headers[':status']).toBe(415);
  expect((await rawCall(session, [frame('x')], { 'content-type': 'application/grpcx' })).headers[':status']).toBe(415);
  expect((await rawCall(session, [frame('x')], { 'content-type': 'application/grpc+proto' })).headers[':status']).toBe(200);
  const get = session.request({ ':method': 'GET', ':path': ECHO });
  const status = await new Promise((resolve) => get.once('response', (headers) => resolve(headers[':status'])));
  expect(status).toBe(405);
});

test('a message that is announced too long is refused before it is sent', async () => {
  const { session } = await start({ maxMessageBytes: 1_024 });
  const stream = session.request({ ':method': 'POST', ':path': ECHO, 'content-type': 'application/grpc' });
  stream.on('error', () => undefined);
  const answered = new Promise((resolve) => stream.once('response', (headers) => resolve(headers['grpc-status'])));
  stream.write(frame('', 0, 100_000_000));
  expect(await answered).toBe('8');
});

test('handlers fail as a status: their own, or INTERNAL without detail', async () => {
  for (const [error, status, message] of [
    [new GrpcFault(GRPC_STATUS.NOT_FOUND, 'not here: 100% ü'), '5', 'not here: 100%25 %C3%BC'],
    [new Error('secret'), '13', 'the call failed'],
  ] as const) {
    for (const handle of [() => { throw error; }, () => Promise.reject(error)]) {
      const { session } = await start({}, { method: { kind: 'unary', handle } });
      const call = await rawCall(session, [frame('x')]);
      expect([statusOf(call), call.headers['grpc-message']]).toEqual([status, message]);
    }
  }
  expect(grpcMessage('a\r\nb')).toBe('a%0D%0Ab');
});

test('a deadline that passes ends the call, and a late answer is not sent', async () => {
  let finish: (bytes: Uint8Array) => void = () => undefined;
  const { session } = await start({}, { method: { kind: 'unary', handle: () => new Promise((resolve) => (finish = resolve)) } });
  const call = await rawCall(session, [frame('x')], { 'grpc-timeout': '20m' });
  expect(statusOf(call)).toBe('4');
  finish(Buffer.from('late'));
  expect(call.data.length).toBe(0);
  expect([grpcTimeoutMs('1H'), grpcTimeoutMs('99999999H'), grpcTimeoutMs('3S'), grpcTimeoutMs('1n'), grpcTimeoutMs('1500u'), grpcTimeoutMs(undefined)]).toEqual([3_600_000, 3_600_000, 3_000, 1, 2, undefined]);
});

test('a request that does not arrive whole in time is refused', async () => {
  const { session } = await start({ receiveTimeoutMs: 100 });
  const stream = session.request({ ':method': 'POST', ':path': ECHO, 'content-type': 'application/grpc' });
  stream.on('error', () => undefined);
  stream.write(Buffer.from([0]));
  expect(await new Promise((resolve) => stream.once('response', (headers) => resolve(headers['grpc-status'])))).toBe('3');
});

test('refusals of a method take the place of a status', async () => {
  const { session } = await start({ maxMessageBytes: 1_024 }, {
    method: { kind: 'unary', handle: (message) => message, refuse: (fault) => Buffer.from(`refused ${fault.status}`) },
  });
  for (const [body, answer] of [[[frame('x', 1)], 'refused 12'], [[frame('x'.repeat(2_000))], 'refused 8'], [[], 'refused 3']] as const) {
    const call = await rawCall(session, body);
    expect([statusOf(call), call.data.subarray(5).toString()]).toEqual(['0', answer]);
  }
});

test('who goes on sending after the answer is told to stop, and gets the answer whole', async () => {
  const methods: readonly UnaryMethod[] = [
    { kind: 'unary', handle: (message) => message },
    { kind: 'unary', handle: (message) => message, refuse: () => Buffer.from('refused') },
  ];
  for (const method of methods) {
    const { session } = await start({ maxMessageBytes: 1_024 }, { method });
    const stream = session.request({ ':method': 'POST', ':path': ECHO, 'content-type': 'application/grpc' });
    stream.on('error', () => undefined);
    let [answered, status] = ['', ''];
    stream.on('data', (chunk: Buffer) => (answered += chunk.subarray(5).toString()));
    stream.on('response', (headers) => (status = (headers['grpc-status'] ?? '').toString()));
    stream.on('trailers', (headers) => (status = (headers['grpc-status'] ?? '').toString()));
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.write(frame('', 0, 100_000_000));
    const more = setInterval(() => stream.writable && stream.write(Buffer.alloc(1_000)), 1);
    await closed;
    clearInterval(more);
    expect([answered, status]).toEqual(method.refuse === undefined ? ['', '8'] : ['refused', '0']);
    expect(stream.rstCode).toBe(0);
  }
});

test('streams opened and reset in rapid succession cost the caller its connection', async () => {
  let handled = 0;
  const { echo, session } = await start({}, {
    method: { kind: 'unary', handle: () => { handled += 1; return new Promise(() => undefined); } },
  });
  let opened = 0;
  const closed = new Promise<void>((resolve) => session.once('close', resolve));
  while (!session.destroyed && !session.closed && opened < 20_000) {
    const stream = session.request({ ':method': 'POST', ':path': ECHO, 'content-type': 'application/grpc' });
    stream.on('error', () => undefined);
    stream.end(frame('x'));
    stream.close(8);
    opened += 1;
    if (opened % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  expect(opened).toBeLessThan(20_000);
  expect(handled).toBeLessThanOrEqual(opened);
  // Others are served as before.
  const other = openSession(echo.server);
  open.push({ close: () => other.destroy() });
  expect((await rawCall(other, [frame('x')], { ':path': '/none' })).headers['grpc-status']).toBe('12');
});

test('calls at once on one connection, connections and metadata are bounded', async () => {
  const { echo, session } = await start({ maxConcurrentStreams: 3, maxConnections: 2, maxHeaderListBytes: 2_048 }, { method: { kind: 'unary', handle: () => new Promise(() => undefined) } });
  await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
  expect(session.remoteSettings.maxConcurrentStreams).toBe(3);
  const second = openSession(echo.server);
  open.push({ close: () => second.destroy() });
  await new Promise<void>((resolve) => second.once('remoteSettings', () => resolve()));
  // Both ask, so neither gives way.
  for (const one of [session, second]) expect((await rawCall(one, [frame('x')], { ':path': '/none' })).headers['grpc-status']).toBe('12');
  const third = openSession(echo.server);
  const outcome = await new Promise((resolve) => {
    third.once('remoteSettings', () => resolve('served'));
    third.once('close', () => resolve('closed'));
  });
  expect(outcome).toBe('closed');
  const call = await rawCall(second, [frame('x')], { ':path': '/none', 'x-big': 'x'.repeat(8_000) });
  expect(call.headers['grpc-status']).toBeUndefined();
});

test('I12: connections that are only held, silent or with a session that never asks, keep nobody out', async () => {
  const { echo, session } = await start({ maxConnections: 5 });
  expect((await rawCall(session, [frame('x')], { ':path': '/none' })).headers['grpc-status']).toBe('12');
  const silent = Array.from({ length: 10 }, () => connectTo(echo.server.port, '127.0.0.1').on('error', () => undefined).resume());
  const idle = Array.from({ length: 10 }, () => openSession(echo.server));
  open.push({ close: () => [...silent, ...idle].forEach((one) => one.destroy()) });
  await until('most are closed', () => silent.every((socket) => socket.destroyed) && idle.filter((one) => one.destroyed).length >= 5);
  const late = openSession(echo.server);
  open.push({ close: () => late.destroy() });
  for (const one of [late, session]) expect((await rawCall(one, [frame('x')], { ':path': '/none' })).headers['grpc-status']).toBe('12');
});

test('an idle connection is closed', async () => {
  const { session } = await start({ idleTimeoutMs: 1_000 });
  await rawCall(session, [frame('x')]);
  await until('the server closes it', () => session.closed || session.destroyed);
});

test('closing lets open calls end, takes no new ones, and cuts what lasts too long', async () => {
  let finish: (bytes: Uint8Array) => void = () => undefined;
  const { echo, session } = await start({ drainMs: 5_000 }, { method: { kind: 'unary', handle: () => new Promise((resolve) => (finish = resolve)) } });
  const call = rawCall(session, [frame('x')]);
  await until('the call is under way', () => finish.length === 1);
  const goaway = new Promise<void>((resolve) => session.once('goaway', () => resolve()));
  const closing = echo.server.close();
  await goaway;
  finish(Buffer.from('done'));
  expect(statusOf(await call)).toBe('0');
  await closing;
  await expect(new Promise((resolve, reject) => connectHttp2(`http://127.0.0.1:${echo.server.port}`).once('connect', resolve).once('error', reject))).rejects.toThrow();

  let underWay = false;
  const stuck = await start({ drainMs: 100 }, { method: { kind: 'unary', handle: () => new Promise(() => (underWay = true)) } });
  const never = rawCall(stuck.session, [frame('x')]);
  await until('the call is under way', () => underWay);
  await stuck.echo.server.close();
  expect(statusOf(await never)).toBeUndefined();
});

test('a Unix socket: made with its mode, stale ones replaced, live ones and other files refused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-grpc-'));
  open.push({ close: () => rmSync(folder, { recursive: true, force: true }) });
  const path = join(folder, 'curfew.sock');
  const echo = await startEcho({}, { listen: { path, mode: 0o600 } });
  open.unshift(echo.server);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const session = connectHttp2('http://localhost', { createConnection: () => connectTo(path) });
  session.on('error', () => undefined);
  expect(statusOf(await rawCall(session, [frame('x')]))).toBe('0');
  expect(echo.calls[0]?.peer).toEqual({ transport: 'unix', address: undefined, certificate: undefined });
  session.destroy();
  const limits = grpcLimitsConfig.parse({});
  await expect(startGrpcServer({ listen: { path }, limits, methods: new Map() })).rejects.toThrow('in use');
  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  await expect(startGrpcServer({ listen: { path: file }, limits, methods: new Map() })).rejects.toThrow('not a socket');

  // A process that died leaves its socket behind.
  const stale = join(folder, 'stale.sock');
  const dead = createServer().listen(stale);
  await until('it listens', () => dead.listening);
  renameSync(stale, `${stale}.kept`);
  await new Promise((resolve) => dead.close(resolve));
  renameSync(`${stale}.kept`, stale);
  const again = await startGrpcServer({ listen: { path: stale }, limits, methods: new Map() });
  await again.close();
});
