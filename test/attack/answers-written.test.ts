/**
 * I2: what `revoke` waits for in each worker. Once `whenWritten` has called back, every answer that was written before is out of the process: the
 * loop is held up right there, and a client in a thread of its own has them all nevertheless.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { httpLimitsConfig } from '../../src/gateways/http/config.ts';
import { startHttpServer } from '../../src/gateways/http/server.ts';
import { grpcLimitsConfig } from '../../src/grpc/config.ts';
import { startGrpcServer } from '../../src/grpc/server.ts';
import { whenWritten } from '../../src/supervisor/answers-left.ts';
import { certificate } from '../identity/x509.ts';

const COUNT = 60;
const PATH = '/test.Service/Ask';
const { pem, keyPem } = certificate({ notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000, subject: [{ CN: 'curfew' }], dns: ['curfew.local'] });

/** Asks all at once, and counts whole answers where the other thread sees it without any turn of its loop. */
const CLIENT = `
const { workerData: { kind, port, tls, count, path, counter } } = require('node:worker_threads');
const received = new Int32Array(counter);
const seen = () => { Atomics.add(received, 0, 1); Atomics.notify(received, 0); };
if (kind === 'grpc') {
  const session = require('node:http2').connect((tls ? 'https' : 'http') + '://127.0.0.1:' + port, { rejectUnauthorized: false });
  session.on('error', () => {});
  session.once('remoteSettings', () => {
    for (let index = 0; index < count; index += 1) {
      const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
      stream.on('error', () => {}).on('data', () => {}).once('trailers', seen);
      stream.end(Buffer.from([0, 0, 0, 0, 0]));
    }
  });
} else {
  const { request, Agent } = require(tls ? 'node:https' : 'node:http');
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  for (let index = 0; index < count; index += 1) {
    request({ host: '127.0.0.1', port, path: '/', agent, rejectUnauthorized: false }, (response) => response.on('data', () => {}).once('end', seen)).on('error', () => {}).end();
  }
}
`;

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

interface Held {
  /** Answers written, and those of them that the client had when the loop had stood for so long. */
  readonly written: number;
  readonly received: number;
}

/** Holds the loop up after every tenth answer, `patienceMs` at most, with or without having waited as a worker does. */
const hold = async (kind: 'http' | 'grpc', tls: boolean, turns: number | undefined, patienceMs: number): Promise<readonly Held[]> => {
  const counter = new SharedArrayBuffer(4);
  const received = new Int32Array(counter);
  const held: Held[] = [];
  let written = 0;
  let begun = 0;
  const stand = (): void => {
    const until = performance.now() + patienceMs;
    for (let have = Atomics.load(received, 0); have < written && performance.now() < until; have = Atomics.load(received, 0)) Atomics.wait(received, 0, have, until - performance.now());
    held.push({ written, received: Atomics.load(received, 0) });
  };
  let over: () => void;
  const done = new Promise<void>((resolve) => { over = resolve; });
  const wrote = (): void => {
    written += 1;
    if (written % 10 !== 0) return;
    begun += 1;
    const last = (): void => {
      stand();
      if (held.length === COUNT / 10) over();
    };
    if (turns === undefined) whenWritten(last);
    else whenWritten(last, turns);
  };
  const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
  const certified = tls ? { tls: { cert: pem, key: keyPem } } : {};
  let port: number;
  if (kind === 'grpc') {
    const server = await startGrpcServer({
      listen: { host: '127.0.0.1', port: 0 }, limits: grpcLimitsConfig.parse({}), ...certified,
      methods: new Map([[PATH, {
        kind: 'unary',
        handle: async (_message, _call, send) => {
          await turn();
          const answer = Buffer.alloc(200);
          send(answer);
          wrote();
          return answer;
        },
      }]]),
    });
    open.push(server.close);
    ({ port } = server);
  } else {
    const server = await startHttpServer({
      listen: { host: '127.0.0.1', port: 0 }, limits: httpLimitsConfig.parse({}), readsBody: () => false,
      ...(tls ? { tls: { cert: pem, key: keyPem, clientCertificate: 'optional' as const } } : {}),
      handle: (_incoming, response) => {
        void turn().then(() => {
          response.writeHead(200, { 'content-length': '3' });
          response.end('yes');
          wrote();
        });
      },
    });
    open.push(server.close);
    ({ port } = server);
  }
  const client = new Worker(CLIENT, { eval: true, execArgv: [], workerData: { kind, port, tls, count: COUNT, path: PATH, counter } });
  open.push(() => client.terminate());
  await once(client, 'online');
  await done;
  expect(begun).toBe(COUNT / 10);
  return held;
};

test.each([['http', false], ['http', true], ['grpc', false], ['grpc', true]] as const)('%s, over TLS: %s: all of them', { timeout: 120_000 }, async (kind, tls) => {
  const held = await hold(kind, tls, undefined, 15_000);
  for (const { written, received } of held) expect(received).toBe(written);
});

test('control: without any wait what was written over HTTP/2 is still here', { timeout: 120_000 }, async () => {
  const held = await hold('grpc', true, 0, 200);
  expect(held.some(({ written, received }) => received < written)).toBe(true);
});
