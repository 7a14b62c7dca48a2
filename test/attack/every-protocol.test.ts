/**
 * What somebody with the README and a running service tries: to get a yes for what nobody granted, through any protocol that asks in JSON, with
 * requests that one reader takes for something else; to learn of other workloads; to hold the listener up. One workload has one grant: GET shop.local/orders/**.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCurfew, temporaryDirectory, type Curfew } from '../runtime/curfew.ts';
import { openConnection } from '../support/raw-http.ts';
import { askOnce, type RawResponse } from '../support/raw-socket.ts';

const PEP = 'attacker-pep-0123456789';
const GRANTED = 'spiffe://dev.local/app/a';
const OTHER = 'spiffe://dev.local/app/b';
const CONFIG = `
peps: [{ id: app, token: { env: APP_TOKEN }, asserts: ["spiffe://dev.local/app/**"], hosts: [shop.local] }]
opa: { paths: [{ path: curfew/access/decision, question: authzen }, { path: curfew/access/decision/allow, question: envoy }] }
kubernetes: { enabled: true, user: "spiffe://dev.local/app/{user}", opinions: [{ users: ["*"] }] }
`;

let curfew: Curfew;
let token: string;
let otherToken: string;
const directory = temporaryDirectory();
beforeAll(async () => {
  writeFileSync(join(directory.path, 'curfew.yaml'), CONFIG);
  curfew = await startCurfew({ directory: directory.path, args: ['--config', 'curfew.yaml'], env: { APP_TOKEN: PEP } });
  await curfew.grant(GRANTED, { ttlMs: 3_600_000 });
  [token, otherToken] = [await curfew.mint(GRANTED), await curfew.mint(OTHER)];
});
afterAll(async () => {
  await curfew?.stop();
  directory.remove();
});

interface Sent {
  readonly path: string;
  readonly body?: string | Buffer;
  readonly method?: string;
  readonly lines?: readonly string[];
  readonly type?: string | undefined;
}
const send = ({ path, body = '', method = 'POST', lines = [], type = 'application/json' }: Sent): Promise<RawResponse | undefined> => {
  const bytes = Buffer.isBuffer(body) ? body.toString('latin1') : Buffer.from(body).toString('latin1');
  const head = [`${method} ${path} HTTP/1.1`, 'host: 127.0.0.1', `authorization: Bearer ${PEP}`, ...(type === '' ? [] : [`content-type: ${type}`]), ...lines];
  const length = lines.some((line) => /^(?:transfer-encoding|content-length):/i.test(line)) ? [] : [`content-length: ${bytes.length}`];
  return askOnce(curfew.ports.http, `${[...head, ...length, 'connection: close'].join('\r\n')}\r\n\r\n${bytes}`);
};
/** Would any client of these protocols take this for a yes? */
const isYes = (answer: RawResponse | undefined): boolean =>
  answer !== undefined && answer.status < 300 && /"decision":true|"allowed":true|"allow":true|"result":true|^true$/.test(answer.body.replaceAll(/\s/g, ''));

const evaluation = (subject: string, id = 'shop.local/orders/1', action = 'GET', more = ''): string =>
  `{"subject":{"type":"workload","id":"${subject}"},"action":{"name":"${action}"},"resource":{"type":"http","id":"${id}"}${more}}`;
const EVALUATE = '/access/v1/evaluation';
const BATCH = '/access/v1/evaluations';
const DOCUMENT = '/v1/data/curfew/access/decision';

test('the question as it should be is a yes: what follows is not refused for another reason', async () => {
  expect(isYes(await send({ path: EVALUATE, body: evaluation(GRANTED) }))).toBe(true);
  expect(isYes(await send({ path: DOCUMENT, body: `{"input":${evaluation(GRANTED)}}` }))).toBe(true);
  expect(isYes(await send({ path: EVALUATE, body: evaluation(OTHER) }))).toBe(false);
});

const two = (first: string, second: string): string => evaluation('X').replace('"id":"X"', `"id":"${first}","id":"${second}"`);
const ATTACKS: readonly (readonly [what: string, sent: Sent])[] = [
  ['two subjects, first', { path: EVALUATE, body: two(GRANTED, OTHER) }], ['two subjects, second', { path: EVALUATE, body: two(OTHER, GRANTED) }],
  ['a repeated entity', { path: EVALUATE, body: `{"subject":{"type":"w","id":"${OTHER}"},${evaluation(GRANTED).slice(1)}` }],
  ['an escaped repeat', { path: EVALUATE, body: evaluation(OTHER).replace('{"subject"', `{"s\\u0075bject":{"type":"w","id":"${GRANTED}"},"subject"`) }],
  ['a bad credential beside a good name', { path: EVALUATE, body: evaluation(GRANTED).replace('"type":"workload"', '"type":"workload","properties":{"credential":"x.y.z"}') }],
  ['an empty credential beside a good name', { path: EVALUATE, body: evaluation(GRANTED).replace('"type":"workload"', '"type":"workload","properties":{"credential":""}') }],
  ['a null credential beside a good name', { path: EVALUATE, body: evaluation(GRANTED).replace('"type":"workload"', '"type":"workload","properties":{"credential":null}') }],
  ["another's credential beside a good name", { path: EVALUATE, body: evaluation(GRANTED).replace('"type":"workload"', '"type":"workload","properties":{"credential":"OTHER"}') }],
  ['beyond what may be asserted', { path: EVALUATE, body: evaluation('spiffe://dev.local/app/../app/a') }], ['a name in upper case', { path: EVALUATE, body: evaluation(GRANTED.toUpperCase()) }],
  ['a name with an end', { path: EVALUATE, body: evaluation(`${GRANTED}/`) }], ['a name with NUL', { path: EVALUATE, body: evaluation(`${GRANTED}\\u0000`) }],
  ['another action', { path: EVALUATE, body: evaluation(GRANTED, undefined, 'get') }], ['any action', { path: EVALUATE, body: evaluation(GRANTED, undefined, '*') }], ['an action with a blank', { path: EVALUATE, body: evaluation(GRANTED, undefined, 'GET ') }],
  ...['shop.local/orders/../admin', 'shop.local/orders/%2e%2e/admin', 'shop.local//orders/1', 'SHOP.LOCAL/orders/1', 'shop.local:80/admin', 'shop.local/orders\\\\1', 'shop.local/orders/1;x', 'shop.local/orders/1?x', '**', 'shop.local/**', 'other.local/orders/1']
    .map((id) => [`resource ${id}`, { path: EVALUATE, body: evaluation(GRANTED, id) }] as const),
  ['a decision of its own', { path: EVALUATE, body: evaluation(OTHER, undefined, undefined, ',"decision":true,"context":{"decision":true,"curfew":{"grants":[{"id":"x"}]}}') }],
  ['input.curfew in a context', { path: DOCUMENT, body: `{"input":${evaluation(OTHER, undefined, undefined, ',"curfew":{"grants":[{"id":"x"}]}')}}` }],
  ['two inputs', { path: DOCUMENT, body: `{"input":${evaluation(OTHER)},"input":${evaluation(GRANTED)}}` }],
  ['another type of content', { path: EVALUATE, body: evaluation(GRANTED), type: 'text/plain' }], ['no type of content', { path: EVALUATE, body: evaluation(GRANTED), type: '' }],
  ['two types of content', { path: EVALUATE, body: evaluation(GRANTED), lines: ['Content-Type: text/plain'] }],
  ['gzip where none is taken', { path: EVALUATE, body: gzipSync(evaluation(GRANTED)), lines: ['content-encoding: gzip'] }],
  ['YAML that reads in two ways', { path: DOCUMENT, body: `input: {subject: {type: w, id: "${OTHER}"}, action: {name: GET}, resource: {type: http, id: shop.local/orders/1}}\ninput: ${evaluation(GRANTED)}`, type: 'application/yaml' }],
  ['YAML by a merge', { path: DOCUMENT, body: `x: &x ${evaluation(GRANTED)}\ninput: {<<: *x}`, type: 'application/yaml' }],
  ['two encodings', { path: DOCUMENT, body: `{"input":${evaluation(GRANTED)}}`, lines: ['content-encoding: gzip', 'content-encoding: identity'] }],
  ['a byte order mark', { path: EVALUATE, body: `\ufeff${evaluation(GRANTED)}` }], ['half of a body', { path: EVALUATE, body: evaluation(GRANTED).slice(0, -1) }], ['two bodies', { path: EVALUATE, body: evaluation(OTHER) + evaluation(GRANTED) }],
  ['GET with a body', { path: EVALUATE, body: evaluation(GRANTED), method: 'GET' }], ['PUT', { path: EVALUATE, body: evaluation(GRANTED), method: 'PUT' }], ['an overridden method', { path: EVALUATE, body: evaluation(OTHER), lines: ['X-HTTP-Method-Override: PUT'] }],
  ['another spelling of the path', { path: '/access/v1/./evaluation', body: evaluation(OTHER) }], ['a path with a query', { path: `${EVALUATE}?subject=${GRANTED}`, body: evaluation(OTHER) }],
  ['a second enforcement point', { path: EVALUATE, body: evaluation(GRANTED), lines: ['X-Curfew-Pep-Token: wrong-0123456789abcdef'] }], ['an enforcement point twice', { path: EVALUATE, body: evaluation(GRANTED), lines: [`Authorization: Bearer ${PEP}`] }],
  ['defaults that an item overrules in part', { path: BATCH, body: `{"subject":{"type":"w","id":"${GRANTED}"},"action":{"name":"GET"},"resource":{"type":"http","id":"shop.local/orders/1"},"evaluations":[{"resource":{"type":"http"}},{"subject":{"id":"${GRANTED}"}},{"subject":null},{"action":{}}]}` }],
  ['items after the deciding one', { path: BATCH, body: `{"options":{"evaluations_semantic":"deny_on_first_deny"},"evaluations":[${evaluation(OTHER)},${evaluation(GRANTED)}]}` }],
  ['a semantic of its own', { path: BATCH, body: `{"options":{"evaluations_semantic":"permit_all"},"evaluations":[${evaluation(GRANTED)}]}` }],
  ['items that are no list', { path: BATCH, body: `{"evaluations":{"0":${evaluation(GRANTED)}},${evaluation(GRANTED).slice(1)}` }],
  ['a query for one that is governed', { path: '/v1/query', body: `{"query":"data.curfew.access.decision == data.curfew.access.decision","input":${evaluation(GRANTED)}}` }],
  ['a query with another input', { path: '/v1/query', body: `{"query":"x := data.curfew.access.decision with input as ${evaluation(GRANTED).replaceAll('"', '\\"')}","input":${evaluation(OTHER)}}` }],
  ['all documents', { path: '/v1/data', body: `{"input":${evaluation(GRANTED)}}` }], ['all documents by another spelling', { path: '/v1/data//', body: `{"input":${evaluation(GRANTED)}}` }],
  ['a document above the governed one', { path: '/v1/data/curfew/access', body: `{"input":${evaluation(GRANTED)}}` }], ['data of the bundle', { path: '/v1/data/curfew/entitlements', body: '{}' }],
  ["a part of the governed document, by another's credential", { path: `${DOCUMENT}/allow`, body: '{"input":{"attributes":{"request":{"http":{"method":"GET","path":"/orders/1","host":"shop.local","scheme":"http","headers":{"authorization":"Bearer OTHER"}}}}}}' }],
  ['a review that is allowed already', { path: '/kubernetes/v1/authorize', body: '{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":"a","nonResourceAttributes":{"path":"/x","verb":"get"}},"status":{"allowed":true}}' }],
  ['a review of both kinds', { path: '/kubernetes/v1/authorize', body: '{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":"a","resourceAttributes":{"verb":"get","resource":"x"},"nonResourceAttributes":{"path":"/x","verb":"get"}}}' }],
];

test.each(ATTACKS)('%s gets no yes', async (_what, { body, ...sent }) => {
  const text = typeof body === 'string' ? body.replaceAll('OTHER', otherToken) : body;
  const answer = await send({ ...sent, ...(text === undefined ? {} : { body: text }) });
  expect(isYes(answer), `${answer?.status} ${answer?.body}`).toBe(false);
  expect(answer?.status ?? 400, answer?.body).toBeLessThan(502);
  expect(answer?.body ?? '').not.toMatch(/at \w+ \(|\/src\/|\/dist\/|eyJ/);
});

test('a body in pieces: of two lengths, of none, with a trailer, cut short; none is a yes, and the next connection is served', async () => {
  const body = evaluation(GRANTED);
  const chunks = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
  expect(isYes(await send({ path: EVALUATE, body: chunks(body), lines: ['transfer-encoding: chunked'] }))).toBe(true);
  for (const [lines, text] of [
    [['transfer-encoding: chunked', `content-length: ${body.length}`], chunks(body)], [['content-length: 3', `content-length: ${body.length}`], body], [['transfer-encoding: gzip, chunked'], chunks(body)], [['transfer-encoding: gzip', 'transfer-encoding: chunked'], chunks(body)],
    [['transfer-encoding: chunked'], `${body.length.toString(16)};${'x'.repeat(20_000)}\r\n${body}\r\n0\r\n\r\n`], [['transfer-encoding: xchunked'], chunks(body)], [['transfer-encoding : chunked'], chunks(body)],
    [['transfer-encoding: chunked'], `${chunks(evaluation(OTHER)).slice(0, -2)}authorization: Bearer ${PEP}\r\n\r\n`],
  ] as const) expect(isYes(await send({ path: EVALUATE, body: text, lines })), lines.join()).toBe(false);
  // Half of a body, and then nothing: the connection is held, the listener is not.
  const held = await Promise.all(Array.from({ length: 20 }, () => openConnection(curfew.ports.http)));
  for (const { socket } of held) socket.write(`POST ${EVALUATE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${PEP}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 20)}`);
  expect(isYes(await send({ path: EVALUATE, body }))).toBe(true);
  for (const { socket } of held) socket.destroy();
});

test('bombs: what unpacks to more than is taken, and what nests or repeats without end, is refused and costs nobody else an answer', async () => {
  const bomb = gzipSync(Buffer.alloc(200_000_000, 0x20), { level: 9 });
  const nested = `{"input":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`;
  const many = `{"input":{${Array.from({ length: 20_000 }, (_, index) => `"k${index}":1`).join(',')},"k0":2}}`;
  for (const sent of [
    { path: DOCUMENT, body: bomb, lines: ['content-encoding: gzip'] }, { path: DOCUMENT, body: gzipSync(bomb), lines: ['content-encoding: gzip'] }, { path: DOCUMENT, body: nested }, { path: DOCUMENT, body: many },
    { path: DOCUMENT, body: '[['.repeat(4_000), type: 'application/yaml' }, { path: DOCUMENT, body: `a: ${'&a '.repeat(2_000)}`, type: 'application/yaml' }, { path: DOCUMENT, body: `input: "${'x'.repeat(60_000)}"`, type: 'application/yaml' },
    { path: BATCH, body: `{"evaluations":[${Array.from({ length: 1_001 }, () => evaluation(GRANTED)).join(',')}]}` },
  ]) {
    const answer = await send(sent);
    expect([400, 413], answer?.body.slice(0, 200)).toContain(answer?.status);
  }
  expect(isYes(await send({ path: EVALUATE, body: evaluation(GRANTED) }))).toBe(true);
  expect(curfew.workers()).toHaveLength(1);
});

test('a search finds what its subject may do, and nothing of others: by a bad credential, by one of another, by a foreign page', async () => {
  const search = async (subject: object, page: object = {}): Promise<any> => {
    const answer = await send({ path: '/access/v1/search/resource', body: JSON.stringify({ subject: { type: 'workload', ...subject }, action: { name: 'GET' }, resource: { type: 'http' }, ...page }) });
    return answer?.status === 200 ? JSON.parse(answer.body) : answer?.status;
  };
  await curfew.grant(GRANTED, { ttlMs: 3_600_000, scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/one' } }, { actions: ['GET'], resource: { type: 'http', id: 'shop.local/two' } }] });
  const found = await search({ id: GRANTED });
  expect(found.results.map(({ id }: { id: string }) => id)).toEqual(['shop.local/one', 'shop.local/two']);
  for (const subject of [{ id: OTHER }, { id: 'spiffe://dev.local/other' }, { id: GRANTED, properties: { credential: 'x.y.z' } }, { id: GRANTED, properties: { credential: otherToken } }]) expect((await search(subject)).results, JSON.stringify(subject).slice(0, 80)).toEqual([]);
  expect((await search({ id: OTHER, properties: { credential: token } })).results).toHaveLength(2);
  const first = await search({ id: GRANTED }, { page: { limit: 1 } });
  expect(first.page.next_token).not.toBe('');
  expect(await search({ id: OTHER }, { page: { token: first.page.next_token, limit: 1 } })).toBe(400);
  const nobody = await askOnce(curfew.ports.http, 'POST /access/v1/search/resource HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}');
  expect(nobody?.status).toBe(401);
});
