/** B3: what the listener reads by itself is what node's strict parser reads from the same bytes, and everything else is left to that parser. */
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mayBecomePlain, readPlainRequest } from '../../../src/gateways/http/plain-request.ts';
import { readHeaders } from '../../../src/gateways/http/request.ts';

type Read = { readonly method: string; readonly target: string; readonly headers: readonly (readonly [string, readonly string[]])[] } | 'refused' | 'not whole';

/** Node's parser, strict, on one piece of bytes. A body, or anything behind the head, counts as refused. */
const byNode = (bytes: Buffer): Promise<Read> =>
  new Promise((resolve) => {
    const server = createServer({ insecureHTTPParser: false, requireHostHeader: true, maxHeaderSize: 16_384 });
    server.maxHeadersCount = 0;
    const requests: IncomingMessage[] = [];
    server.on('request', (request) => void requests.push(request));
    let refused = false;
    server.on('clientError', () => { refused = true; });
    for (const event of ['upgrade', 'connect', 'checkContinue', 'checkExpectation']) server.on(event, () => { refused = true; });
    const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => { refused = true; done(); } });
    server.emit('connection', socket as unknown as Socket);
    socket.push(bytes);
    setImmediate(() => {
      const [request] = requests;
      if (request !== undefined && (request.headers['content-length'] ?? '0') !== '0') refused = true;
      if (refused || requests.length > 1) resolve('refused');
      else if (request === undefined) resolve('not whole');
      else resolve({ method: request.method ?? '', target: request.url ?? '', headers: [...readHeaders(request.rawHeaders)] });
      socket.destroy();
    });
  });

const plainly = (bytes: Buffer): Read => {
  const read = readPlainRequest(bytes.toString('latin1'), 128);
  return read === undefined ? 'refused' : { method: read.method, target: read.target, headers: [...read.headers] };
};

const some = <T>(...values: T[]) => fc.constantFrom(...values);
const piece = fc.oneof(
  { weight: 20, arbitrary: some('a', 'B', '9', '-', '_', '.', '/', '%2f', 'x=1', '&', '?', 'é', '\u00ff') },
  { weight: 1, arbitrary: some(' ', '\t', ':', ';', ',', '"', '\\', '\0', '\r', '\n', '\r\n', '\r\n ', '\u007f', '\u0080', '\u000b', '#', '<', '(', '{') },
);
const text = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''));
const value = fc.oneof({ weight: 4, arbitrary: text }, { weight: 1, arbitrary: some('0', '5', 'keep-alive', 'Keep-Alive', 'close', 'upgrade', 'chunked', 'websocket', '100-continue', '') });
const name = fc.oneof(
  { weight: 3, arbitrary: some('authorization', 'X-Forwarded-Uri', 'x-forwarded-host', 'Accept', 'X_Odd', 'cookie', 'a!#$%&\'*+-.^`|~') },
  { weight: 2, arbitrary: some('Content-Length', 'transfer-encoding', 'Connection', 'Upgrade', 'Expect', 'Host', 'TE', 'Trailer', 'Proxy-Connection', 'keep-alive', 'HTTP2-Settings') },
  { weight: 1, arbitrary: text },
);
const separator = fc.oneof({ weight: 12, arbitrary: some(': ') }, { weight: 1, arbitrary: some(':', ' : ', ':\t', ':  ', ' ', '') });
const end = fc.oneof({ weight: 15, arbitrary: some('\r\n') }, { weight: 1, arbitrary: some('\n', '\r', '\r\r\n', '\r\n\r\n', ' \r\n', '\t\r\n') });
const line = fc.tuple(name, separator, value, end).map((parts) => parts.join(''));
/** Mostly the first; sometimes any of the rest. */
const mostly = <T>(usual: fc.Arbitrary<T>, ...odd: T[]) => fc.oneof({ weight: 10, arbitrary: usual }, { weight: 1, arbitrary: some(...odd) });
const first = fc.tuple(
  mostly(some('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'), 'HEAD', 'CONNECT', 'get', 'EVIL', 'PRI'), mostly(some(' '), '  ', '\t'),
  fc.oneof({ weight: 3, arbitrary: some('/forward-auth', '/forward-auth?x=1', '/ext-authz/a%2Fb', '//') }, { weight: 1, arbitrary: some('*', 'http://a/b', '') }, { weight: 2, arbitrary: text.map((tail) => `/${tail}`) }),
  mostly(some(' '), '  '), mostly(some('HTTP/1.1'), 'HTTP/1.0', 'HTTP/2.0', 'http/1.1', 'HTTP/1.10'), end,
).map((parts) => parts.join(''));
const host = fc.oneof({ weight: 8, arbitrary: some('Host: x\r\n') }, { weight: 1, arbitrary: some('', 'Host:\r\n', 'host: a\r\nHOST: b\r\n') });
const tail = fc.oneof({ weight: 8, arbitrary: some('\r\n') }, { weight: 1, arbitrary: some('', '\r', '\n', '\r\n\r\n', '\r\nx', '\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n') });
const request = fc.tuple(first, host, fc.array(line, { maxLength: 4 }), tail).map(([start, named, lines, rest]) => Buffer.from(start + named + lines.join('') + rest, 'latin1'));

const compare = async (read: (bytes: Buffer) => Read, numRuns: number): Promise<number> => {
  let taken = 0;
  await fc.assert(fc.asyncProperty(request, async (bytes) => {
    const ours = read(bytes);
    if (ours === 'refused' || ours === 'not whole') return;
    taken += 1;
    expect(ours).toEqual(await byNode(bytes));
  }), { numRuns });
  return taken;
};

test('B3: whatever it takes, node reads in the same way; and it takes enough to have been compared', async () => {
  expect(await compare(plainly, 20_000)).toBeGreaterThan(1_000);
});

test('the comparison notices a reader that takes too much', async () => {
  const careless = (bytes: Buffer): Read => {
    const [start = '', ...lines] = bytes.toString('latin1').split('\r\n\r\n', 1)[0]?.split('\r\n') ?? [];
    const [method = '', target = ''] = start.split(' ');
    return { method, target, headers: [...readHeaders(lines.flatMap((header) => [header.split(':')[0] ?? '', header.slice(header.indexOf(':') + 1).trim()]))] };
  };
  await expect(compare(careless, 2_000)).rejects.toThrow();
});

test('a head that arrives in two pieces is waited for, whatever the place of the cut; what can become nothing plain is not', () => {
  const whole = 'GET /forward-auth HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\n\r\n';
  for (let cut = 1; cut < whole.length; cut += 1) expect(mayBecomePlain(whole.slice(0, cut)), String(cut)).toBe(true);
  for (const other of ['\x16\x03\x01', 'GET / HTTP/1.1\n', 'a\rb', 'PRI * HTTP/2.0\r\n\r\nSM', `${whole}GET`]) expect(mayBecomePlain(other)).toBe(false);
});
