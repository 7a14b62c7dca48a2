import { createHmac, createPublicKey } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { START } from './at.ts';
import { b64, bundleOf, hmacSigned, jwksOf, newKey, signed } from './forge.ts';
import { NOW_S, ask, authenticatorWith, reasonOf, spiffeIssuer, svidClaims } from './spiffe-fixture.ts';

const rsa = newKey('RS256', 'rsa');
const ec = newKey('ES256', 'ec');
const authenticator = authenticatorWith([
  spiffeIssuer({ bundle: { jwks: bundleOf(rsa, ec) } }),
  { kind: 'oidc', issuer: 'https://idp.example', audiences: ['curfew'], keys: { jwks: jwksOf(rsa, ec) } },
]);
const claims = svidClaims();
const oidcClaims = { iss: 'https://idp.example', sub: 'job', aud: 'curfew', exp: NOW_S + 300 };
const attacker = newKey('ES256', 'ec');

/** The bytes of the public key that confused verifiers took for an HMAC secret. */
const rsaPem = createPublicKey(rsa.privateKey).export({ type: 'spki', format: 'pem' });

const unsigned = (header: unknown, payload: unknown = claims): string => `${b64(JSON.stringify(header))}.${b64(JSON.stringify(payload))}.`;
const algs = [
  'none', 'None', 'NONE', 'nOnE', '', ' ES256', 'ES256 ', 'es256', 'Es256', 'ES256K', 'ES-256', 'rs256', 'HS256', 'HS384', 'HS512', 'hs256',
  'EdDSA', 'Ed25519', 'RSA-OAEP', 'dir', 'A256GCM', 'RS1', 'ES256\u0000', '__proto__', 'constructor', 'toString',
];

const forged: [string, string][] = [
  ...algs.map((alg): [string, string] => [`alg ${JSON.stringify(alg)}, signed with ES256`, signed({ alg, kid: 'ec' }, claims, ec)]),
  ...['none', 'None', 'NONE'].map((alg): [string, string] => [`alg ${alg}, no signature`, unsigned({ alg, kid: 'ec' })]),
  ...['none', 'None'].map((alg): [string, string] => [`alg ${alg}, a signature of one byte`, `${unsigned({ alg, kid: 'ec' })}AA`]),
  ['no alg', signed({ kid: 'ec' }, claims, ec)],
  ['alg null', signed({ alg: null, kid: 'ec' }, claims, ec)],
  ['alg a list', signed({ alg: ['ES256'], kid: 'ec' }, claims, ec)],
  ['alg an object', signed({ alg: { toString: 'ES256' }, kid: 'ec' }, claims, ec)],
  ['alg a number', signed({ alg: 256, kid: 'ec' }, claims, ec)],
  ['HS256 with the public JWK as secret', hmacSigned({ alg: 'HS256', kid: 'rsa' }, claims, JSON.stringify(rsa.jwk))],
  ['HS256 with a PEM of the public key as secret', hmacSigned({ alg: 'HS256', kid: 'rsa' }, claims, rsaPem)],
  ['HS256 with the modulus as secret', hmacSigned({ alg: 'HS256', kid: 'rsa' }, claims, Buffer.from(rsa.jwk.n ?? '', 'base64url'))],
  ['HS256 with nothing as secret', hmacSigned({ alg: 'HS256', kid: 'rsa' }, claims, '')],
  ['an HMAC under alg RS256', hmacSigned({ alg: 'RS256', kid: 'rsa' }, claims, JSON.stringify(rsa.jwk))],
  ['an ES256 key under alg RS256', signed({ alg: 'RS256', kid: 'ec' }, claims, ec)],
  ['an RSA key under alg ES256', signed({ alg: 'ES256', kid: 'rsa' }, claims, rsa)],
  ['RS256 signed, PS256 said', signed({ alg: 'PS256', kid: 'rsa' }, claims, rsa)],
  ["the attacker's own key under a known kid", signed({ alg: 'ES256', kid: 'ec' }, claims, attacker)],
  ["the attacker's own key in jwk", signed({ alg: 'ES256', jwk: attacker.jwk }, claims, attacker)],
  ["the attacker's own key in jwk, known kid", signed({ alg: 'ES256', kid: 'ec', jwk: attacker.jwk }, claims, attacker)],
  ['an empty signature of r = s = 0', `${unsigned({ alg: 'ES256', kid: 'ec' })}${b64(new Uint8Array(64))}`],
  ['a DER signature', `${unsigned({ alg: 'ES256', kid: 'ec' })}${b64(createHmac('sha256', 'x').digest())}`],
];

test('A1: at least 40 forged headers', () => expect(forged.length).toBeGreaterThanOrEqual(40));

test.each(forged)('A1: %s is refused', async (_, token) => {
  expect(['credential.algorithm', 'credential.malformed', 'credential.signature', 'credential.key_unknown']).toContain(reasonOf(await ask(authenticator, token, START)));
});

test('A1: unaltered headers are accepted (the forgeries fail for their forgery)', async () => {
  expect(reasonOf(await ask(authenticator, signed({ alg: 'ES256', kid: 'ec' }, claims, ec)))).toBe('allowed');
  expect(reasonOf(await ask(authenticator, signed({ alg: 'PS256', kid: 'rsa' }, claims, { ...rsa, alg: 'PS256' })))).toBe('allowed');
  expect(reasonOf(await ask(authenticator, signed({ alg: 'RS256', kid: 'rsa' }, oidcClaims, rsa)))).toBe('allowed');
});

test("A1: an OIDC issuer accepts its own list of algorithms, not each that its key could do", async () => {
  expect(reasonOf(await ask(authenticator, signed({ alg: 'PS256', kid: 'rsa' }, oidcClaims, { ...rsa, alg: 'PS256' })))).toBe('credential.algorithm');
});

// Someone who listens: any request at all fails the test.
const asked: string[] = [];
const listener = createServer((request, response) => {
  asked.push(request.url ?? '');
  response.end(JSON.stringify(jwksOf(attacker)));
});
let home = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  home = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => listener.close(resolve)));

const kids = [
  '../../../../etc/passwd', '/dev/null', 'file:///dev/null', "x' OR '1'='1", "' UNION SELECT 'key", 'ec\u0000', '\u0000', '', ' ', '__proto__', 'constructor', 'toString',
  'hasOwnProperty', 'prototype', '0', 'length', '${jndi:ldap://x}', '\r\nX: y', '𝕖𝕔', 'EC', 'ec ', '%65%63', '..%2f',
];

test.each(kids)('A2: kid %j locates no key', async (kid) => {
  expect(reasonOf(await ask(authenticator, signed({ alg: 'ES256', kid }, claims, attacker)))).toBe('credential.key_unknown');
});

test('A2: a kid of 1 MB is refused unread', async () => {
  expect(reasonOf(await ask(authenticator, signed({ alg: 'ES256', kid: 'k'.repeat(1_048_576) }, claims, ec)))).toBe('credential.malformed');
});

test('A2: headers never locate keys: nothing is asked of where they point, and the right signature does not excuse them', async () => {
  for (const by of [attacker, ec]) {
    for (const extra of [{ jku: `${home}/jku` }, { x5u: `${home}/x5u` }, { jwk: attacker.jwk }, { x5c: ['AAAA'] }, { kid: `${home}/kid` }]) {
      expect.soft(reasonOf(await ask(authenticator, signed({ alg: 'ES256', kid: 'ec', ...extra }, claims, by))), Object.keys(extra)[0]).not.toBe('allowed');
      expect.soft(reasonOf(await ask(authenticator, signed({ alg: 'ES256', kid: 'ec', ...extra }, oidcClaims, attacker))), Object.keys(extra)[0]).not.toBe('allowed');
    }
  }
  expect(asked).toEqual([]);
});

test.each([[['exp']], [[]], [['b64']], ['exp'], [null], [['http://x']]])('A2: crit %j refuses the token', async (crit) => {
  for (const payload of [claims, oidcClaims]) {
    expect(reasonOf(await ask(authenticator, signed({ alg: 'ES256', kid: 'ec', crit, exp: 1, b64: true }, payload, ec)))).toBe('credential.malformed');
  }
});

test('A2: no prototype is touched by names in tokens', async () => {
  await ask(authenticator, signed('{"alg":"ES256","kid":"ec","__proto__":{"polluted":1}}', claims, ec));
  await ask(authenticator, signed({ alg: 'ES256', kid: 'ec' }, '{"constructor":{"prototype":{"polluted":1}},"sub":"spiffe://example.org/ci"}', ec));
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});
