/** I11: a server of decision logs that is slow, away, refuses, resets or finds things too large gets every event all the same, in order. */
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decisionLogConfig } from '../../src/audit/config.ts';
import { createRecordEncoder } from '../../src/audit/encode-record.ts';
import { openDecisionSink } from '../../src/audit/open-sink.ts';
import { createShipper, type Shipper } from '../../src/audit/ship.ts';
import { until } from '../support/until.ts';
import { sampleRecord } from './sample-record.ts';

type Event = Readonly<Record<string, any>>;
type Behave = (request: { readonly turn: number; readonly events: readonly Event[]; readonly size: number }, response: ServerResponse) => number | undefined;

let folder: string;
let path: string;
const open: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-ship-'));
  path = join(folder, 'decisions.jsonl');
});
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
  rmSync(folder, { recursive: true, force: true });
});

interface Receiver {
  readonly url: string;
  readonly accepted: Event[];
  readonly requests: { readonly headers: IncomingMessage['headers']; readonly count: number }[];
}
/** Keeps what it answers 2xx to. */
const receive = async (behave: Behave = () => 200): Promise<Receiver> => {
  const accepted: Event[] = [];
  const requests: Receiver['requests'] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const raw = Buffer.concat(chunks);
      const body = incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
      const events = JSON.parse(body.toString()) as Event[];
      requests.push({ headers: incoming.headers, count: events.length });
      const status = behave({ turn: requests.length, events, size: body.length }, response);
      if (status === undefined) return;
      if (status < 300) accepted.push(...events);
      response.writeHead(status).end();
    });
    incoming.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => { server.close(); server.closeAllConnections(); });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/logs`, accepted, requests };
};
const errors: string[] = [];
const shipper = (url: string, extra: object = {}, rotatedMs = 0): Shipper => {
  errors.length = 0;
  const { http } = decisionLogConfig.parse({ to: 'file', path, http: { url, insecureLoopback: true, everyMs: 10, retryMsMax: 100, timeoutMs: 20_000, labels: { region: 'eu' }, ...extra } });
  const made = createShipper({ path, config: http as NonNullable<typeof http>, monotonicMs: () => performance.now(), rotatedMs, onError: (error) => errors.push(String(error)) });
  open.push(made.stop);
  return made;
};
const encode = createRecordEncoder({ redactHeaders: [], recordBytesMax: 65_536 });
const write = (ids: readonly string[], input = {}): void => { for (const id of ids) appendFileSync(path, Buffer.concat([encode(sampleRecord(id, input)), Buffer.from('\n')])); };
const ids = (count: number, name = 'd'): string[] => Array.from({ length: count }, (_, index) => `${name}${index}`);
const idsOf = (events: readonly Event[]): readonly string[] => events.map((event) => event['decision_id'] as string);

test("events have OPA's format, compressed, with the token of the moment; and a link that shows what is missing", async () => {
  const sink = openDecisionSink(decisionLogConfig.parse({ to: 'file', path }));
  sink.write({ ...sampleRecord('one', { authorization: 'canary-77aa', attributes: { request: 1 } }), traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', policy: { revision: 'r7', digest: 'd', entrypoint: 'curfew/access/decision', result: { allow: true, note: 'x' } }, result: { allow: false, reason: 'grant.none' } });
  sink.write(sampleRecord('two'));
  await sink.close(5_000);
  writeFileSync(join(folder, 'token'), 'first-token\n');
  const receiver = await receive();
  const ship = shipper(receiver.url, { bearerToken: { file: join(folder, 'token') } });
  expect(await ship.ship()).toBe(2);
  const [{ headers } = { headers: {} }] = receiver.requests;
  expect(headers).toMatchObject({ 'content-type': 'application/json', 'content-encoding': 'gzip', authorization: 'Bearer first-token' });
  const [one] = receiver.accepted;
  expect(one).toMatchObject({
    labels: { region: 'eu' }, decision_id: 'one', trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331', bundles: { curfew: { revision: 'r7' } },
    path: 'curfew/access/decision', timestamp: '1970-01-01T00:00:01.001000000Z', masked: ['/input/authorization'], metrics: { timer_server_handler_ns: expect.any(Number) },
    // What was answered, not what the policy alone would have said.
    result: { allow: false, note: 'x' }, custom: { curfew: { result: { allow: false, reason: 'grant.none' }, workload: 'spiffe://dev.local/ci/deployer' } },
  });
  expect(receiver.accepted.map((event) => (event['custom'].curfew.link as string).split(':')[1])).toEqual(['1', '2']);
  expect(JSON.stringify(receiver.accepted)).not.toContain('canary-77aa');
  expect(await ship.ship()).toBe(0);
});
test('a server that refuses, is slow beyond the timeout, resets and answers nonsense gets everything once it behaves, in order, once each', async () => {
  const receiver = await receive(({ turn }, response) => {
    if (turn % 5 === 1) return 503;
    if (turn % 5 === 2) return void response.socket?.resetAndDestroy();
    if (turn % 5 === 3) return undefined;
    if (turn % 5 === 4) return 302;
    return 200;
  });
  const wanted = ids(40);
  write(wanted.slice(0, 20));
  const ship = shipper(receiver.url, { batchEventsMax: 10, timeoutMs: 1_000 });
  ship.start();
  write(wanted.slice(20));
  await until('all of them', () => receiver.accepted.length >= 40, 90_000);
  expect(idsOf(receiver.accepted)).toEqual(wanted);
  expect(errors.some((error) => error.includes('answered 503'))).toBe(true);
}, 120_000);
test('after a crash between batches the next process goes on where the last accepted batch ended', async () => {
  let down = false;
  const receiver = await receive(() => (down ? 503 : 200));
  write(ids(30));
  const first = shipper(receiver.url, { batchEventsMax: 10 });
  await first.ship();
  down = true;
  write(ids(5, 'later'));
  await expect(first.ship()).rejects.toThrow(/answered 503/);
  down = false;
  // Without a farewell.
  expect(await shipper(receiver.url).ship()).toBe(5);
  expect(idsOf(receiver.accepted)).toEqual([...ids(30), ...ids(5, 'later')]);
});
test('a file that was renamed is sent to its end, then the new one; half a line waits for its other half', async () => {
  const receiver = await receive();
  const ship = shipper(receiver.url);
  write(ids(3, 'old'));
  await ship.ship();
  renameSync(path, `${path}.1`);
  write(ids(2, 'new'));
  const line = encode(sampleRecord('last'));
  appendFileSync(`${path}.1`, Buffer.concat([line, Buffer.from('\n')]));
  await ship.ship();
  appendFileSync(path, encode(sampleRecord('half')).subarray(0, 40));
  await ship.ship();
  appendFileSync(path, Buffer.concat([encode(sampleRecord('half')).subarray(40), Buffer.from('\n')]));
  await ship.ship();
  expect(idsOf(receiver.accepted)).toEqual([...ids(3, 'old'), 'last', ...ids(2, 'new'), 'half']);
});
test('what a server finds too large goes in parts; one that is too large alone goes without its content, and says so', async () => {
  const receiver = await receive(({ size }) => (size > 3_000 ? 413 : 200));
  write(ids(10, 's'));
  write(['big'], { text: 'x'.repeat(20_000) });
  write(['after']);
  await shipper(receiver.url, { gzip: false }).ship();
  expect(idsOf(receiver.accepted)).toEqual([...ids(10, 's'), 'big', 'after']);
  expect(receiver.accepted[10]).toMatchObject({ erased: ['/input', '/result'] });
  expect(receiver.accepted[10]).not.toHaveProperty('input');
});
test('a server that lies about what it took is found out by the numbers of the events', async () => {
  const path2 = path;
  const sink = openDecisionSink(decisionLogConfig.parse({ to: 'file', path: path2 }));
  for (const id of ids(30)) sink.write(sampleRecord(id));
  await sink.close(5_000);
  const kept: Event[] = [];
  const receiver = await receive(({ turn, events }) => {
    if (turn !== 2) kept.push(...events);
    return 200;
  });
  await shipper(receiver.url, { batchEventsMax: 11 }).ship();
  const numbers = kept.map((event) => Number((event['custom'].curfew.link as string).split(':')[1]));
  const missing = ids(30).map((_, index) => index + 1).filter((number) => !numbers.includes(number));
  expect(missing.length).toBeGreaterThan(0);
  expect(kept.length + missing.length).toBe(30);
});
