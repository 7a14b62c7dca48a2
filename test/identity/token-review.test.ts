/** Tokens of a Kubernetes cluster are asked about there: a deleted pod's counts no more, and without an answer in time nothing does. A real HTTPS server. */
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { IdentityAuthenticator } from '../../src/identity/authenticator.ts';
import { identityConfig } from '../../src/identity/config.ts';
import type { IdentityEvent } from '../../src/identity/events.ts';
import { until } from '../support/until.ts';
import { handClock } from './at.ts';
import { jwksOf, newKey, signed } from './forge.ts';
import { startKeyServer, type KeyServer } from './key-server.ts';
import { ask as askWith, authenticatorWith, NOW_S, reasonOf } from './spiffe-fixture.ts';

const rsa = newKey('RS256', 'r1');
const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const SUB = 'system:serviceaccount:shop:deployer';
const KEEP = 10_000;
const token = (pod: string, over: object = {}, by = rsa) => signed({ alg: 'RS256', kid: 'r1', typ: 'JWT' }, {
  iss: ISSUER, sub: SUB, aud: ['curfew'], iat: NOW_S, nbf: NOW_S, exp: NOW_S + 3_600,
  'kubernetes.io': { namespace: 'shop', pod: { name: pod, uid: `uid-${pod}` }, serviceaccount: { name: 'deployer', uid: 'u' } }, ...over,
}, by);

let server: KeyServer;
let clock: ReturnType<typeof handClock>;
let authenticator: IdentityAuthenticator;
let events: IdentityEvent[];
let bodies: { readonly spec: { readonly token: string; readonly audiences: readonly string[] } }[];
const deleted = new Set<string>();

const LIVE = { authenticated: true, user: { username: SUB, uid: 'u', groups: ['system:serviceaccounts'] }, audiences: ['curfew'] };
const review = (status: object) => ({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', metadata: {}, spec: {}, status });
/** As the API server does: 201, and of a deleted pod's token `authenticated: false` with an error. */
const cluster = (request: IncomingMessage, response: ServerResponse): void => {
  let text = '';
  request.on('data', (chunk: Buffer) => { text += chunk.toString(); });
  request.on('end', () => {
    const body = JSON.parse(text) as (typeof bodies)[number];
    bodies.push(body);
    const claims = JSON.parse(Buffer.from(body.spec.token.split('.')[1] ?? '', 'base64url').toString()) as { 'kubernetes.io': { pod: { name: string } } };
    const gone = deleted.has(claims['kubernetes.io'].pod.name);
    response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify(review(gone ? { authenticated: false, user: {}, error: '[invalid bearer token, pod was deleted]' } : LIVE)));
  });
};

const start = (over: object = {}): IdentityAuthenticator => {
  authenticator = authenticatorWith([{
    kind: 'oidc', preset: 'kubernetes', issuer: ISSUER, audiences: ['curfew'], keys: { jwks: jwksOf(rsa) },
    tokenReview: { url: server.origin, ca: server.caFile, bearerTokenFile: join(dirname(server.caFile), 'token'), keepMs: KEEP, timeoutMs: 10_000, ...over },
  }], {}, { clock, onEvent: (event) => events.push(event) });
  return authenticator;
};
const ask = async (raw: string): Promise<string> => reasonOf(await askWith(authenticator, raw, clock.at()));

beforeEach(async () => {
  server = await startKeyServer();
  writeFileSync(join(dirname(server.caFile), 'token'), 'reviewer-token\n');
  server.answer(cluster);
  clock = handClock();
  events = [];
  bodies = [];
  deleted.clear();
});
afterEach(async () => {
  authenticator.close();
  await server.close();
});

test('demand(39): a token of a pod that is deleted is refused once what was known of it is too old, and others count on', async () => {
  start();
  for (let count = 0; count < 20; count += 1) expect(await ask(token('p'))).toBe('allowed');
  expect(await ask(token('q'))).toBe('allowed');
  expect(server.asked).toEqual(Array(2).fill('/apis/authentication.k8s.io/v1/tokenreviews'));
  expect(server.headers[0]).toMatchObject({ authorization: 'Bearer reviewer-token', 'content-type': 'application/json' });
  expect(bodies[0]).toMatchObject({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: token('p'), audiences: ['curfew'] } });
  deleted.add('p');
  clock.advance(KEEP);
  expect([await ask(token('p')), await ask(token('q'))]).toEqual(['credential.gone', 'allowed']);
  // That is remembered too.
  const before = server.asked.length;
  expect(await ask(token('p'))).toBe('credential.gone');
  expect(server.asked).toHaveLength(before);
});

test('half-way it is asked again beside the decisions, so that nobody waits and a deletion is seen sooner', async () => {
  start();
  expect(await ask(token('p'))).toBe('allowed');
  deleted.add('p');
  clock.advance(KEEP / 2);
  expect(await ask(token('p')), 'known for half the time').toBe('allowed');
  await until('asked again', async () => (await ask(token('p'))) === 'credential.gone');
  expect(server.asked).toHaveLength(2);
});

test('I4: without an answer nothing counts that is not known; what is known counts to its bound and no longer; then access is back', async () => {
  start();
  expect(await ask(token('p'))).toBe('allowed');
  await server.down();
  expect([await ask(token('p')), await ask(token('new'))]).toEqual(['allowed', 'credential.review_unavailable']);
  clock.advance(KEEP - 1);
  expect(await ask(token('p'))).toBe('allowed');
  clock.advance(1);
  expect(await ask(token('p'))).toBe('credential.review_unavailable');
  expect(events.filter(({ kind }) => kind === 'review.failed').map(({ detail }) => detail)).toEqual([expect.stringContaining('ECONNREFUSED')]);
  await server.up();
  expect(await ask(token('p'))).toBe('allowed');
});

test.each<[string, unknown, string]>([
  ['of another user', review({ ...LIVE, user: { username: 'system:serviceaccount:shop:other' } }), 'credential.gone'], ['of no user', review({ ...LIVE, user: undefined }), 'credential.gone'],
  ['for other audiences', review({ ...LIVE, audiences: ['https://kubernetes.default.svc'] }), 'credential.gone'], ['that says nothing of audiences', review({ ...LIVE, audiences: undefined }), 'credential.gone'],
  ['that is empty', review({}), 'credential.gone'], ['as a text', review({ ...LIVE, authenticated: 'true' }), 'credential.review_unavailable'], ['as a number', review({ ...LIVE, authenticated: 1 }), 'credential.review_unavailable'],
  ['of another kind', { ...review(LIVE), kind: 'Status' }, 'credential.review_unavailable'], ['that is a list', [review(LIVE)], 'credential.review_unavailable'], ['without a status', { kind: 'TokenReview' }, 'credential.review_unavailable'],
  ['too large', { ...review(LIVE), pad: 'x'.repeat(70_000) }, 'credential.review_unavailable'],
  ['403', (_: unknown, response: ServerResponse) => response.writeHead(403).end(JSON.stringify(review(LIVE))), 'credential.review_unavailable'],
  ['elsewhere', (_: unknown, response: ServerResponse) => response.writeHead(307, { location: '/elsewhere' }).end(), 'credential.review_unavailable'],
  ['twice said', (_: unknown, response: ServerResponse) => response.writeHead(201).end('{"kind":"TokenReview","status":{"authenticated":false},"status":{"authenticated":true}}'), 'credential.review_unavailable'],
  ['broken off', (_: unknown, response: ServerResponse) => { response.writeHead(201, { 'content-length': '500' }).write('{'); response.destroy(); }, 'credential.review_unavailable'],
])('an answer %s does not allow', async (_name, answer, reason) => {
  start();
  server.answer(answer);
  expect(await ask(token('p'))).toBe(reason);
  server.answer(cluster);
  clock.advance(KEEP);
  expect(await ask(token('p')), 'the control').toBe('allowed');
});

test('A4: what does not verify is never asked about, one token is asked about once at a time, and many wait or are refused', async () => {
  start();
  for (const raw of [token('p', {}, newKey('RS256', 'r1')), token('p', { aud: 'other' }), token('p', { exp: NOW_S - 1, iat: NOW_S - 60 }), 'x', `${token('p')}x`]) expect(await ask(raw)).not.toBe('allowed');
  expect(server.asked).toEqual([]);
  const waiting: (() => void)[] = [];
  server.answer((request: IncomingMessage, response: ServerResponse) => waiting.push(() => cluster(request, response)));
  const same = Promise.all(Array.from({ length: 50 }, () => ask(token('p'))));
  const settled: string[] = [];
  const many = Promise.all(Array.from({ length: 100 }, async (_, index) => {
    const answer = await ask(token(`pod-${index}`));
    settled.push(answer);
    return answer;
  }));
  await until('as many as may are under way, the rest refused', () => waiting.length === 64 && settled.length === 37);
  for (const go of waiting) go();
  expect(new Set(await same)).toEqual(new Set(['allowed']));
  const answers = await many;
  expect([answers.filter((answer) => answer === 'allowed').length, answers.filter((answer) => answer === 'credential.review_unavailable').length]).toEqual([63, 37]);
  expect(server.asked).toHaveLength(64);
});

test('A3: it is asked over https with the authority that is configured, and without a token of its own not at all', async () => {
  const other = await startKeyServer();
  start({ ca: other.caFile });
  await other.close();
  expect(await ask(token('p'))).toBe('credential.review_unavailable');
  authenticator.close();
  start({ bearerTokenFile: '/nowhere/token' });
  expect(await ask(token('p'))).toBe('credential.review_unavailable');
  expect(server.asked).toEqual([]);
  const issuer = { kind: 'oidc', issuer: ISSUER, audiences: ['curfew'], keys: { jwks: jwksOf(rsa) } };
  for (const url of ['http://kubernetes.default.svc', 'https://user:secret@kubernetes.default.svc', 'kubernetes']) {
    expect(identityConfig.safeParse({ issuers: [{ ...issuer, tokenReview: { url, bearerTokenFile: '/t' } }] }).success, url).toBe(false);
  }
});
