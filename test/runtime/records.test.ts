/** I11: every decision has exactly one record, whatever was asked and however badly; what is no decision has none. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type ClientHttp2Session } from 'node:http2';
import { messageType } from '../../src/grpc/proto/schema.ts';
import { frame, rawCall, type RawCall } from '../grpc/serve.ts';
import { rawGet, rawRequest } from '../support/raw-http.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/ci/recorded';
const CHECK = '/envoy.service.auth.v3.Authorization/Check';
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const directory = temporaryDirectory();
let curfew: Curfew;
let session: ClientHttp2Session;
let bearer: string;
let grant: string;
beforeAll(async () => {
  curfew = await startCurfew({ workers: 2, directory: directory.path, args: ['--set', 'limits.decisionDeadlineMs=10000'] });
  session = connect(`http://127.0.0.1:${curfew.ports.grpc}`);
  session.on('error', () => undefined);
  bearer = `authorization: Bearer ${await curfew.mint(WORKLOAD)}`;
  grant = (await curfew.grant(WORKLOAD)).id;
});
afterAll(async () => {
  session?.destroy();
  await curfew?.stop();
  directory.remove();
});

type Line = Readonly<Record<string, any>>;
const records = (): readonly Line[] =>
  readFileSync(join(curfew.directory, '.curfew/decisions.jsonl'), 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Line).filter((line) => !('segment' in line || 'not_emitted' in line));
/** Every decision that an answer told of. */
const answered = new Set<string>();
/** The records of these decisions, once they are all there. */
const recordsOf = async (ids: ReadonlyMap<string, unknown>): Promise<readonly Line[]> => {
  for (const id of ids.keys()) answered.add(id);
  return until(`${ids.size} records`, () => {
    const found = records().filter(({ id }) => ids.has(id as string));
    return found.length >= ids.size && found;
  });
};

const FORWARDED = ['x-forwarded-method: GET', 'x-forwarded-proto: http', 'x-forwarded-host: shop.local', 'x-forwarded-uri: /orders/1'];
const without = (name: string): readonly string[] => FORWARDED.filter((line) => !line.startsWith(name));
const uri = (target: string): readonly string[] => [...without('x-forwarded-uri'), `x-forwarded-uri: ${target}`];

test('over HTTP: one record a question, of every kind', async () => {
  const forwardAuth = (lines: readonly string[]): string => rawGet('/forward-auth', lines);
  const questions: readonly (readonly [request: string, status: number, reason: string | undefined])[] = [
    [forwardAuth([...FORWARDED, bearer]), 200, undefined],
    [forwardAuth([...FORWARDED, bearer, `traceparent: ${TRACE}`]), 200, undefined],
    [forwardAuth(FORWARDED), 401, 'credential.missing'],
    [forwardAuth([...FORWARDED, 'authorization: Basic eDp5']), 401, 'credential.malformed'],
    [forwardAuth([...FORWARDED, bearer, bearer]), 401, 'credential.malformed'],
    [forwardAuth([...FORWARDED, `${bearer}x`]), 401, 'credential.malformed'],
    [forwardAuth([...FORWARDED, bearer, 'x-curfew-pep-token: a-token-of-nobody-here']), 401, 'pep.unauthenticated'],
    [forwardAuth([...uri('/elsewhere'), bearer]), 403, 'grant.none'],
    [forwardAuth([...uri('/orders/../admin'), bearer]), 403, 'request.ambiguous'],
    [forwardAuth([...uri('/orders/%00'), bearer]), 403, 'request.ambiguous'],
    [forwardAuth([...uri(`/${'a'.repeat(9_000)}`), bearer]), 403, 'request.too_large'],
    [forwardAuth([...without('x-forwarded-host'), bearer]), 403, 'request.malformed'],
    [forwardAuth([bearer]), 403, 'request.malformed'],
    [forwardAuth([...FORWARDED, 'x-original-uri: /orders/1', bearer]), 403, 'request.ambiguous'],
    [forwardAuth([...FORWARDED, 'upgrade: websocket', bearer]), 403, 'request.stream'],
    [forwardAuth([...FORWARDED, ...Array.from({ length: 200 }, (_, index) => `x-${index}: y`)]), 403, 'request.too_large'],
    [`POST /forward-auth HTTP/1.1\r\nhost: x\r\n${[...FORWARDED, bearer].join('\r\n')}\r\ncontent-length: 9999999\r\n\r\n`, 403, 'request.too_large'],
    [rawGet('/ext-authz/orders/1', [bearer]), 200, undefined],
    [rawGet('/ext-authz//orders/1', [bearer]), 403, 'request.ambiguous'],
    [rawGet('/ext-authz/orders/1', [bearer, 'x-forwarded-uri: /orders/1']), 403, 'request.ambiguous'],
  ];
  // No decision requests, so no decisions: the protocol's own answers.
  const others: readonly (readonly [request: string, status: number])[] = [
    [rawGet('/forward-auth/x', FORWARDED), 404],
    [rawGet('/nothing', [bearer]), 404],
    [rawGet('/health/live'), 200],
    [rawGet('/self/v1/grants', [bearer]), 200],
    ['GET /forward-auth HTTP/1.1\r\n\r\n', 400],
    ['GARBAGE\r\n\r\n', 400],
    [rawGet('/forward-auth', [`x-long: ${'x'.repeat(20_000)}`]), 431],
  ];
  const ids = new Map<string, string | undefined>();
  for (const [request, status, reason] of questions) {
    const answer = await rawRequest(curfew.ports.http, request);
    expect([answer.status, answer.headers.get('x-curfew-reason')], request.slice(0, 200)).toEqual([status, reason]);
    ids.set(answer.headers.get('x-curfew-decision-id') ?? '', reason);
  }
  for (const [request, status] of others) {
    const answer = await rawRequest(curfew.ports.http, request);
    expect([answer.status, answer.headers.get('x-curfew-decision-id')], request.slice(0, 200)).toEqual([status, undefined]);
  }
  expect(ids.size).toBe(questions.length);
  const written = await recordsOf(ids);
  expect(written.map(({ id }) => id as string).toSorted()).toEqual([...ids.keys()].toSorted());
  for (const { id, result } of written) expect(result.reason, id).toBe(ids.get(id as string));
  expect(written.filter(({ traceparent }) => traceparent === TRACE)).toHaveLength(1);
});

test('over gRPC: one record a call, of every kind', async () => {
  const encode = (message: object): Buffer => Buffer.from(messageType('envoy.service.auth.v3.CheckRequest').encode(message).finish());
  const http = (more: object = {}, headers: object = {}): Buffer => encode({
    attributes: { request: { http: { method: 'GET', path: '/orders/1', host: 'shop.local', scheme: 'http', protocol: 'HTTP/1.1', headers: { authorization: bearer.slice('authorization: '.length), ...headers }, ...more } } },
  });
  const call = (body: readonly Buffer[], headers: object = {}): Promise<RawCall> => rawCall(session, body, { ':path': CHECK, ...headers });
  const decisions: readonly (readonly [what: string, body: readonly Buffer[], reason: string | undefined, headers?: object])[] = [
    ['an allow', [frame(http())], undefined],
    ['an allow that is traced', [frame(http({}, { traceparent: TRACE }))], undefined],
    ['a trace that is none', [frame(http({}, { traceparent: TRACE.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)) }))], undefined],
    ['no credential', [frame(http({ headers: {} }))], 'credential.missing'],
    ['no grant', [frame(http({ path: '/elsewhere' }))], 'grant.none'],
    ['a path with two readings', [frame(http({ path: '/a//b' }))], 'request.ambiguous'],
    ['a request without a request', [frame(encode({}))], 'request.malformed'],
    ['an empty message', [frame('')], 'request.malformed'],
    ['bytes that are no CheckRequest', [frame(Buffer.from([0xff, 0xff, 0xff]))], 'request.malformed'],
    ['a message cut short', [frame(http()).subarray(0, 20)], 'request.malformed'],
    ['two messages', [frame(http()), frame(http())], 'request.malformed'],
    ['a compressed message', [frame(http(), 1)], 'request.malformed'],
    ['a message too long', [frame('', 0, 100_000_000)], 'request.too_large'],
    ['an enforcement point that is none', [frame(http())], 'pep.unauthenticated', { 'x-curfew-pep-token': 'a-token-of-nobody-here' }],
  ];
  const ids = new Map<string, string | undefined>();
  for (const [what, body, reason, headers] of decisions) {
    const { data, trailers } = await call(body, headers);
    expect(trailers['grpc-status'], what).toBe('0');
    const type = messageType('envoy.service.auth.v3.CheckResponse');
    const answer = type.toObject(type.decode(data.subarray(5))) as any;
    const header = (name: string): string | undefined => (answer.deniedResponse ?? answer.okResponse).headers.find(({ header: { key } }: any) => key === name)?.header.value;
    expect(header('x-curfew-reason'), what).toBe(reason);
    ids.set(header('x-curfew-decision-id') ?? '', reason);
  }
  // No such method, no gRPC at all, the health service: no decisions.
  expect((await call([frame('x')], { ':path': '/envoy.service.auth.v3.Authorization/Other' })).headers['grpc-status']).toBe('12');
  expect((await call([frame('x')], { 'content-type': 'text/plain' })).headers[':status']).toBe(415);
  expect((await call([frame('')], { ':path': '/grpc.health.v1.Health/Check' })).trailers['grpc-status']).toBe('0');
  expect(ids.size).toBe(decisions.length);
  const written = await recordsOf(ids);
  expect(written.map(({ id }) => id as string).toSorted()).toEqual([...ids.keys()].toSorted());
  for (const { id, result, protocol } of written) expect([protocol, result.reason], id).toEqual(['ext-authz-grpc', ids.get(id as string)]);
  expect(written.filter(({ traceparent }) => traceparent !== undefined).map(({ traceparent }) => traceparent as string)).toEqual([TRACE]);
});

test('explain and the admin API leave none; all in all there are as many records as decisions, and the metrics count them', async () => {
  await curfew.admin('POST', '/v1/explain', { workload: WORKLOAD, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' } });
  await curfew.admin('GET', `/v1/grants/${grant}`);
  const { headers } = await curfew.ask(undefined);
  await recordsOf(new Map([[headers.get('x-curfew-decision-id') ?? '', undefined]]));
  const counted = [...(await curfew.metrics()).matchAll(/^curfew_decisions_total\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
  expect(counted).toBe(answered.size);
  // After its end nothing more can come.
  await curfew.stop();
  expect(records().map(({ id }) => id as string).toSorted()).toEqual([...answered].toSorted());
});
