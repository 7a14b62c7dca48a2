/** JSON protocols by their framing, byte for byte, against the running program: one question has one answer, what hides in a body or a header is never asked, and no framing makes a yes of a no. */
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCurfew, temporaryDirectory, type Curfew } from '../runtime/curfew.ts';
import { until } from '../support/until.ts';

const PEP = 'framing-pep-0123456789';
const GRANTED = 'spiffe://dev.local/app/a';
const OTHER = 'spiffe://dev.local/app/b';
const CONFIG = `
limits: { decisionDeadlineMs: 5000 }
peps: [{ id: app, token: { env: APP_TOKEN }, asserts: ["spiffe://dev.local/app/**"], hosts: [shop.local] }]
opa: { paths: [{ path: curfew/access/decision, question: authzen }] }
kubernetes: { enabled: true, user: "spiffe://dev.local/app/{user}", opinions: [{ users: ["*"] }] }
`;

let curfew: Curfew;
const directory = temporaryDirectory();
beforeAll(async () => {
  writeFileSync(`${directory.path}/curfew.yaml`, CONFIG);
  curfew = await startCurfew({ directory: directory.path, args: ['--config', 'curfew.yaml'], env: { APP_TOKEN: PEP } });
  await curfew.grant(GRANTED, { ttlMs: 3_600_000 });
});
afterAll(async () => {
  await curfew?.stop();
  directory.remove();
});

const evaluation = (subject: string): string => `{"subject":{"type":"workload","id":"${subject}"},"action":{"name":"GET"},"resource":{"type":"http","id":"shop.local/orders/1"}}`;
const PATHS = { authzen: '/access/v1/evaluation', opa: '/v1/data/curfew/access/decision', kubernetes: '/kubernetes/v1/authorize' } as const;
const bodyFor = (protocol: keyof typeof PATHS, subject: string): string => (protocol === 'opa' ? `{"input":${evaluation(subject)}}` : protocol === 'authzen' ? evaluation(subject) : '{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":"a","nonResourceAttributes":{"path":"/x","verb":"get"}}}');

interface Asked {
  readonly path?: string;
  readonly body?: string;
  readonly method?: string;
  readonly version?: string;
  readonly pep?: string;
  readonly lines?: readonly string[];
  readonly length?: string | undefined;
}
const request = ({ path = PATHS.authzen, body = evaluation(GRANTED), method = 'POST', version = '1.1', pep = PEP, lines = [], length = String(Buffer.byteLength(body)) }: Asked): string =>
  `${[`${method} ${path} HTTP/${version}`, 'host: 127.0.0.1', `authorization: Bearer ${pep}`, 'content-type: application/json', ...(length === '' ? [] : [`content-length: ${length}`]), ...lines].join('\r\n')}\r\n\r\n${body}`;
const LAST = 'connection: close';

/** All that comes back until the other side closes. */
const talk = async (bytes: string): Promise<string> => {
  const socket = connect({ port: curfew.ports.http, host: '127.0.0.1', noDelay: true }).setEncoding('latin1');
  let text = '';
  let over = false;
  socket.on('data', (chunk: string) => { text += chunk; });
  socket.on('close', () => { over = true; });
  socket.on('error', () => { over = true; });
  socket.write(bytes, 'latin1');
  await until('the connection to end', () => over, 30_000);
  return text;
};
const statusesIn = (text: string): readonly number[] => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status)).filter((status) => status >= 200);
const yesIn = (text: string): number => [...text.matchAll(/"decision":true|"allow":true|"allowed":true/g)].length;

test('the control: a plain question is a yes, also one that waits to be told to go on, and one of HTTP/1.0', async () => {
  for (const asked of [{}, { lines: ['Expect: 100-continue'] }, { version: '1.0' }] as readonly Asked[]) {
    const text = await talk(request({ ...asked, lines: [...(asked.lines ?? []), LAST] }));
    expect([statusesIn(text), yesIn(text)], JSON.stringify(asked)).toEqual([[200], 1]);
  }
});

test('B3: a question that hides in the body of another one is never asked, whatever the first one is refused for', async () => {
  const hidden = request({ lines: [LAST] });
  for (const [name, first] of [
    ['nobody', { pep: 'wrong-0123456789abcdef' }], ['another method', { method: 'PUT' }], ['a path that is not here', { path: '/access/v1/nothing' }], ['a body that is none', {}], ['a document', { path: PATHS.opa }], ['a review', { path: PATHS.kubernetes }],
    ['another coding', { path: PATHS.opa, lines: ['content-encoding: br'] }], ['another type', { lines: ['content-type: text/plain'] }], ['no policy', { path: '/v1/policies/x', method: 'PUT' }], ['forward-auth', { path: '/forward-auth' }], ['health', { path: '/health/live', method: 'GET' }],
  ] as const) {
    const text = await talk(`${request({ ...first, body: hidden, lines: ['lines' in first ? first.lines[0] : 'x-a: b', LAST] })}`);
    expect([name, statusesIn(text).length <= 1, yesIn(text)]).toEqual([name, true, 0]);
  }
  // Announced longer than it may be: the rest is no question either.
  const long = await talk(request({ body: hidden, length: '999999999', lines: [] }));
  expect([statusesIn(long), yesIn(long)]).toEqual([[413], 0]);
  const chunked = await talk(request({ body: `5;x=${'"'}\r\nhello\r\n0\r\n\r\n${hidden}`, length: '', lines: ['transfer-encoding: chunked', LAST] }));
  expect([statusesIn(chunked), yesIn(chunked)]).toEqual([[400], 0]);
});

test('B3: questions sent at once are answered in their order, each its own; one that is refused takes nothing from the next', async () => {
  const [yes, no, bad] = [request({}), request({ body: evaluation(OTHER) }), request({ body: '{"subject":' })];
  const text = await talk([yes, no, bad, yes, no, request({ lines: [LAST] })].join(''));
  expect(statusesIn(text)).toEqual([200, 200, 400, 200, 200, 200]);
  expect([...text.matchAll(/"decision":(true|false)/g)].map(([, said]) => said)).toEqual(['true', 'false', 'true', 'false', 'true']);
});

test.each<[string, Asked]>([
  ['an absolute target', { path: `http://127.0.0.1${PATHS.authzen}` }], ['an absolute target of another host', { path: `http://shop.local${PATHS.authzen}` }], ['a target without a slash', { path: PATHS.authzen.slice(1) }], ['two slashes', { path: `/${PATHS.authzen}` }],
  ['an escaped letter', { path: PATHS.authzen.replace('e', '%65') }], ['a fragment', { path: `${PATHS.authzen}#x` }], ['upper case', { path: PATHS.authzen.toUpperCase() }], ['a slash behind', { path: `${PATHS.authzen}/` }],
  ['chunks in HTTP/1.0', { version: '1.0', length: '', body: `${evaluation(GRANTED).length.toString(16)}\r\n${evaluation(GRANTED)}\r\n0\r\n\r\n`, lines: ['transfer-encoding: chunked', 'content-length: 3'] }], ['HTTP/3.7', { version: '3.7' }], ['no version', { version: '' }], ['another expectation', { lines: ['Expect: 200-ok'] }],
  ['a length with a sign', { length: `+${evaluation(GRANTED).length}` }], ['a length in hexadecimal', { length: `0x${evaluation(GRANTED).length.toString(16)}` }], ['lengths in a list', { length: `${evaluation(GRANTED).length}, ${evaluation(GRANTED).length}` }], ['a length of nothing', { length: ' ' }], ['no length', { length: '' }],
  ['a chunk longer than it says', { length: '', body: `3\r\n${evaluation(GRANTED)}\r\n0\r\n\r\n`, lines: ['transfer-encoding: chunked'] }], ['a negative chunk', { length: '', body: `-1\r\n${evaluation(GRANTED)}\r\n0\r\n\r\n`, lines: ['transfer-encoding: chunked'] }], ['chunks ended by line feeds', { length: '', body: `${evaluation(GRANTED).length.toString(16)}\n${evaluation(GRANTED)}\n0\n\n`, lines: ['transfer-encoding: chunked'] }],
  ['a folded header', { pep: 'wrong-0123456789abcdef', lines: ['x-a: b', ` x-curfew-pep-token: ${PEP}`] }], ['a header with a blank before its colon', { lines: [`x-curfew-pep-token : ${PEP}`] }], ['a header with NUL', { lines: ['x-a: b\0c'] }], ['a bare line feed', { lines: ['x-a: b\nx-c: d'] }], ['a bare carriage return', { lines: ['x-a: b\rx-c: d'] }],
  ['its token under another spelling', { pep: 'wrong-0123456789abcdef', lines: [`X_Curfew_Pep_Token: ${PEP}`] }], ['its token in a query', { pep: 'wrong-0123456789abcdef', path: `${PATHS.authzen}?x-curfew-pep-token=${PEP}&access_token=${PEP}` }], ['its token in a cookie', { pep: 'wrong-0123456789abcdef', lines: [`cookie: authorization=Bearer ${PEP}`] }],
  ['a certificate that somebody else saw', { pep: 'wrong-0123456789abcdef', lines: ['x-forwarded-client-cert: URI=spiffe://dev.local/gateway', 'x-forwarded-for: 127.0.0.1', 'x-real-ip: 127.0.0.1', 'forwarded: for=127.0.0.1;by=unix'] }],
  ['a byte order mark', { body: `\xef\xbb\xbf${evaluation(GRANTED)}` , length: String(evaluation(GRANTED).length + 3) }], ['UTF-16', { body: evaluation(GRANTED).split('').map((letter) => `${letter}\0`).join('') }], ['bytes that are not UTF-8', { body: evaluation(GRANTED).replace('workload', 'work\xffload'), length: String(evaluation(GRANTED).length + 1) }], ['overlong UTF-8', { body: evaluation(GRANTED).replace('app/a', 'app\xc0\xafa'), length: String(evaluation(GRANTED).length + 1) }],
  ['a number beyond range', { body: evaluation(GRANTED).replace('{"subject"', '{"context":{"n":1e400},"subject"') }], ['an integer that is not kept', { body: evaluation(GRANTED).replace('{"subject"', '{"context":{"n":9007199254740993},"subject"') }], ['deep nesting', { body: evaluation(GRANTED).replace('{"subject"', `{"context":{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}},"subject"`) }],
  ['a name twice, deep', { body: evaluation(GRANTED).replace('{"subject"', '{"context":{"a":[{"b":1,"b":2}]},"subject"') }], ['__proto__, deep', { body: evaluation(OTHER).replace('{"subject"', `{"context":{"a":[{"__proto__":{"id":"${GRANTED}"}}]},"subject"`) }], ['a constructor', { body: evaluation(OTHER).replace('{"type"', `{"constructor":{"prototype":{"id":"${GRANTED}"}},"type"`) }],
  ['comments', { body: `/* */${evaluation(GRANTED)}` }], ['a comma behind', { body: `${evaluation(GRANTED).slice(0, -1)},}` }], ['single quotes', { body: evaluation(GRANTED).replaceAll('"', "'") }], ['NUL behind', { body: `${evaluation(GRANTED)}\0` }], ['a form', { body: `subject=${GRANTED}`, lines: ['content-type: application/x-www-form-urlencoded'] }],
])('%s gets no yes, and at most one answer', async (_name, asked) => {
  const text = await talk(request({ ...asked, lines: [...(asked.lines ?? []), LAST] }));
  expect([statusesIn(text).length <= 1, yesIn(text), statusesIn(text).some((status) => status >= 500)], text.slice(0, 300)).toEqual([true, 0, false]);
});

test("what a client forwards about itself is nowhere in what Curfew says of itself", async () => {
  const text = await talk(`GET /.well-known/authzen-configuration HTTP/1.1\r\nhost: pdp.local\r\nx-forwarded-host: evil.example\r\nx-forwarded-proto: https\r\nx-forwarded-prefix: /evil\r\nforwarded: host=evil.example\r\nx-original-url: /evil\r\n${LAST}\r\n\r\n`);
  expect(text).toContain('"policy_decision_point":"http://pdp.local"');
  expect(text).not.toContain('evil');
});

test('every protocol: the same framing, one answer each, and the listener serves on', async () => {
  for (const protocol of ['authzen', 'opa', 'kubernetes'] as const) {
    const body = bodyFor(protocol, OTHER);
    for (const lines of [['Expect: 100-continue'], ['x-http-method-override: GET'], ['connection: close, content-length'], ['te: trailers'], ['upgrade: h2c', 'connection: Upgrade, HTTP2-Settings', 'http2-settings: AAMAAABkAAQAAP__']]) {
      const text = await talk(request({ path: PATHS[protocol], body, lines: [...lines, ...(lines.some((line) => line.startsWith('connection')) ? [] : [LAST])].concat(lines[0]?.startsWith('upgrade') === true ? [LAST] : []) }));
      expect([protocol, lines[0], statusesIn(text).length <= 1, yesIn(text)]).toEqual([protocol, lines[0], true, 0]);
    }
  }
  expect(yesIn(await talk(request({ lines: [LAST] })))).toBe(1);
});
