import { createPublicKey, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { expect, test } from 'vitest';
import { comparableUri } from '../../src/identity/dpop.ts';
import { START } from './at.ts';
import { complemented, hmacSigned, newKey, sha256, signed } from './forge.ts';
import type { TestKey } from './forge.ts';
import { NOW_S, ask, authenticatorWith, identityOf, reasonOf, spiffeIssuer, svid } from './spiffe-fixture.ts';

const authenticator = authenticatorWith([spiffeIssuer()]);
const client = newKey('ES256', 'client');
const jkt = await calculateJwkThumbprint(client.jwk, 'sha256');
const bound = svid({ cnf: { jkt } });
const METHOD = 'GET';
const URL_ASKED = 'https://shop.local/orders/1?page=2';

const publicJwk = ({ privateKey }: TestKey) => createPublicKey(privateKey).export({ format: 'jwk' });
const proofClaims = (changes: Record<string, unknown> = {}, token = bound) =>
  ({ jti: randomUUID(), htm: METHOD, htu: 'https://shop.local/orders/1', iat: NOW_S, ath: sha256(token, 'base64url'), ...changes });
const proof = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}, by = client, token = bound) =>
  signed({ typ: 'dpop+jwt', alg: by.alg, jwk: publicJwk(by), ...header }, proofClaims(claims, token), by);

const reason = async (proofs: string[], token = bound, now: number = START, url = URL_ASKED) =>
  reasonOf(await ask(authenticator, token, now, { dpop: { proofs, method: METHOD, url } }));

test('demand(37), demand(69): a token bound to a key is accepted with a proof of that key, which is to be seen once', async () => {
  const [a, b] = [proof({ jti: 'p1' }), proof({ jti: 'p1', iat: NOW_S - 1 })];
  const identity = identityOf(await ask(authenticator, bound, START, { dpop: { proofs: [a], method: METHOD, url: URL_ASKED } }));
  expect(identity.confirmed).toEqual({ jkt });
  expect(identity.proofOnce).toEqual({ id: expect.stringMatching(/^[0-9a-f]{64}$/), until: START + 65_000 });
  const again = identityOf(await ask(authenticator, bound, START, { dpop: { proofs: [b], method: METHOD, url: URL_ASKED } }));
  expect(again.proofOnce?.id).toBe(identity.proofOnce?.id);
  const other = identityOf(await ask(authenticator, bound, START, { dpop: { proofs: [proof({ jti: 'p2' })], method: METHOD, url: URL_ASKED } }));
  expect(other.proofOnce?.id).not.toBe(identity.proofOnce?.id);
});

test('A6: a proof with its signature complemented is the same proof', async () => {
  const one = proof({ jti: 'p3' });
  const ids = await Promise.all([one, complemented(one)].map(async (raw) =>
    identityOf(await ask(authenticator, bound, START, { dpop: { proofs: [raw], method: METHOD, url: URL_ASKED } })).proofOnce?.id));
  expect(ids[0]).toBe(ids[1]);
});

test('demand(69) demand(56): a bound token without its proof is refused', async () => {
  expect(reasonOf(await ask(authenticator, bound))).toBe('credential.proof');
  expect(reasonOf(await ask(authenticator, bound, START, {}))).toBe('credential.proof');
  expect(reasonOf(await ask(authenticator, bound, START, { x5t: jkt }))).toBe('credential.proof');
  expect(await reason([])).toBe('credential.proof');
});

const thief = newKey('ES256', 'thief');
const privateJwk = client.privateKey.export({ format: 'jwk' });

test.each<[string, () => string[]]>([
  ['two proofs', () => [proof(), proof()]],
  ['the same proof twice', () => { const one = proof(); return [one, one]; }],
  ['two proofs in one header', () => [`${proof()}, ${proof()}`]],
  ["another key's proof", () => [proof({}, {}, thief)]],
  ["another key's signature", () => [proof({}, { jwk: publicJwk(client) }, thief)]],
  ['no typ', () => [proof({}, { typ: undefined })]],
  ['typ JWT', () => [proof({}, { typ: 'JWT' })]],
  ['typ in upper case', () => [proof({}, { typ: 'DPOP+JWT' })]],
  ['alg none', () => [proof({}, { alg: 'none' })]],
  ['an HMAC', () => [hmacSigned({ typ: 'dpop+jwt', alg: 'HS256', jwk: publicJwk(client) }, proofClaims(), JSON.stringify(publicJwk(client)))]],
  ['a symmetric key', () => [hmacSigned({ typ: 'dpop+jwt', alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } }, proofClaims(), Buffer.from('AAAA', 'base64'))]],
  ['the alg of another curve', () => [proof({}, { alg: 'ES384' })]],
  ['no jwk', () => [proof({}, { jwk: undefined })]],
  ['a private jwk', () => [proof({}, { jwk: privateJwk })]],
  ['a jwk with d null', () => [proof({}, { jwk: { ...publicJwk(client), d: null } })]],
  ['a jwk that is text', () => [proof({}, { jwk: JSON.stringify(publicJwk(client)) })]],
  ['a point off its curve', () => [proof({}, { jwk: { ...publicJwk(client), y: publicJwk(client).x } })]],
  ['crit', () => [proof({}, { crit: ['exp'] })]],
  ['no jti', () => [proof({ jti: undefined })]],
  ['an empty jti', () => [proof({ jti: '' })]],
  ['a jti that is a number', () => [proof({ jti: 1 })]],
  ['a long jti', () => [proof({ jti: 'x'.repeat(257) })]],
  ['another method', () => [proof({ htm: 'POST' })]],
  ['the method in lower case', () => [proof({ htm: 'get' })]],
  ['no method', () => [proof({ htm: undefined })]],
  ['no htu', () => [proof({ htu: undefined })]],
  ['another path', () => [proof({ htu: 'https://shop.local/orders/2' })]],
  ['another host', () => [proof({ htu: 'https://shop.local.evil/orders/1' })]],
  ['another scheme', () => [proof({ htu: 'http://shop.local/orders/1' })]],
  ['another port', () => [proof({ htu: 'https://shop.local:8443/orders/1' })]],
  ['a path in other case', () => [proof({ htu: 'https://shop.local/Orders/1' })]],
  ['a trailing slash', () => [proof({ htu: 'https://shop.local/orders/1/' })]],
  ['userinfo', () => [proof({ htu: 'https://user@shop.local/orders/1' })]],
  ['a relative htu', () => [proof({ htu: '/orders/1' })]],
  ['a backslash', () => [proof({ htu: 'https://shop.local\\orders\\1' })]],
  ['no iat', () => [proof({ iat: undefined })]],
  ['iat as text', () => [proof({ iat: String(NOW_S) })]],
  ['iat 1e400', () => [signed({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwk(client) }, JSON.stringify(proofClaims()).replace(`"iat":${NOW_S}`, '"iat":1e400'), client)]],
  ['iat with a fraction', () => [proof({ iat: NOW_S + 0.5 })]],
  ['a minute old', () => [proof({ iat: NOW_S - 60 })]],
  ['six seconds ahead', () => [proof({ iat: NOW_S + 6 })]],
  ['an end that is over', () => [proof({ exp: NOW_S })]],
  ['an end that is no number', () => [proof({ exp: 'soon' })]],
  ['no ath', () => [proof({ ath: undefined })]],
  ["another token's ath", () => [proof({ ath: sha256('x', 'base64url') })]],
  ['ath in hex', () => [proof({ ath: sha256(bound) })]],
  ['no JWT', () => ['x']],
  ['nothing', () => ['']],
  ['spaces around', () => [` ${proof()} `]],
  ['B7: htm twice', () => [signed({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwk(client) }, JSON.stringify(proofClaims()).replace('{', '{"htm":"POST",'), client)]],
])('DPoP: %s is refused', async (_, proofs) => {
  expect(await reason(proofs())).toBe('credential.proof');
});

test.each<[string, () => string]>([
  ['made 59 s ago', () => proof({ iat: NOW_S - 59 })],
  ['from a clock 5 s ahead', () => proof({ iat: NOW_S + 5 })],
  ['htu with another query', () => proof({ htu: 'https://shop.local/orders/1?page=9' })],
  ['htu with a fragment', () => proof({ htu: 'https://shop.local/orders/1#top' })],
  ['htu with the default port', () => proof({ htu: 'https://shop.local:443/orders/1' })],
  ['htu with the host in upper case', () => proof({ htu: 'HTTPS://SHOP.local/orders/1' })],
  ['htu with a needlessly encoded letter', () => proof({ htu: 'https://shop.local/%6frders/1' })],
  ['htu with dot segments', () => proof({ htu: 'https://shop.local/x/../orders/1' })],
  ['a nonce nobody asked for', () => proof({ nonce: 'n' })],
  ['an end to come', () => proof({ exp: NOW_S + 1 })],
])('DPoP: %s is accepted', async (_, one) => {
  expect(await reason([one()])).toBe('allowed');
});

test.each(['RS256', 'PS256', 'ES384', 'ES512', 'EdDSA'])('DPoP: keys of %s prove themselves too', async (alg) => {
  const by = newKey(alg, 'c');
  const thumbprint = await calculateJwkThumbprint(by.jwk, 'sha256');
  const token = svid({ cnf: { jkt: thumbprint } });
  expect(await reason([proof({}, {}, by, token)], token)).toBe('allowed');
});

test('DPoP proofs are judged anew each time: one that was accepted is refused when it is old', async () => {
  const one = proof();
  expect(await reason([one])).toBe('allowed');
  expect(await reason([one], bound, START + 59_999)).toBe('allowed');
  expect(await reason([one], bound, START + 60_000)).toBe('credential.proof');
});

test('a proof that comes with a token that asks for none must hold all the same, and confirms its key', async () => {
  const free = svid();
  expect(await reason([proof()], free)).toBe('credential.proof');
  const answer = await ask(authenticator, free, START, { dpop: { proofs: [proof({}, {}, client, free)], method: METHOD, url: URL_ASKED } });
  expect(identityOf(answer).confirmed).toEqual({ jkt });
});

const x5t = sha256('certificate', 'base64url');

test('A6 demand(56): a token bound to a certificate is refused with another one, or with none', async () => {
  const token = svid({ cnf: { 'x5t#S256': x5t } });
  expect(reasonOf(await ask(authenticator, token))).toBe('credential.proof');
  expect(reasonOf(await ask(authenticator, token, START, {}))).toBe('credential.proof');
  expect(reasonOf(await ask(authenticator, token, START, { x5t: sha256('other', 'base64url') }))).toBe('credential.proof');
  expect(identityOf(await ask(authenticator, token, START, { x5t })).confirmed).toEqual({ x5t });
  expect(reasonOf(await ask(authenticator, token)), 'remembered').toBe('credential.proof');
});

test('a token bound to both needs both', async () => {
  const token = svid({ cnf: { jkt, 'x5t#S256': x5t } });
  const dpop = { proofs: [proof({}, {}, client, token)], method: METHOD, url: URL_ASKED };
  expect(reasonOf(await ask(authenticator, token, START, { dpop }))).toBe('credential.proof');
  expect(reasonOf(await ask(authenticator, token, START, { x5t }))).toBe('credential.proof');
  expect(identityOf(await ask(authenticator, token, START, { dpop, x5t })).confirmed).toEqual({ jkt, x5t });
});

test.each([
  ['empty', {}], ['null', null], ['text', 'x'], ['a list', []], ['unknown member', { kid: 'x' }], ['an unknown member beside one that holds', { 'x5t#S256': x5t, jwk: {} }],
  ['a short thumbprint', { jkt: 'abc' }], ['a thumbprint in hex', { 'x5t#S256': sha256('x') }], ['a number', { jkt: 1 }], ['null jkt', { jkt: null, 'x5t#S256': x5t }],
])('a cnf that is not understood is not waived: %s', async (_, cnf) => {
  expect(reasonOf(await ask(authenticator, svid({ cnf }), START, { x5t }))).toBe('credential.proof');
});

test('without a cnf the thumbprint that the gateway verified is confirmed, for grants that are bound to it', async () => {
  expect(identityOf(await ask(authenticator, svid(), START, { x5t })).confirmed).toEqual({ x5t });
  expect(identityOf(await ask(authenticator, svid())).confirmed).toEqual({});
});

test.each([
  ['https://a.b/c%2fd', 'https://a.b/c%2Fd'], ['https://a.b', 'https://a.b/'], ['http://a.b:80/x', 'http://a.b/x'], ['https://a.b/%7Ex', 'https://a.b/~x'],
  ['ftp://a.b/', undefined], ['https://a b/', undefined], ['', undefined], ['https://a.b/\u00e9', undefined],
])('RFC 3986 section 6.2: %s is compared as %s', (text, expected) => expect(comparableUri(text)).toBe(expected));
