import { expect, test } from 'vitest';
import { START, interval } from './at.ts';
import { b64, bundleOf, complemented, newKey, sha256, signatureOver, signed } from './forge.ts';
import { NOW_S, ask, authenticatorWith, identityOf, key, reasonOf, spiffeIssuer, svid, svidClaims } from './spiffe-fixture.ts';

const authenticator = authenticatorWith([spiffeIssuer()]);
const reason = async (token: string, now: number = START) => reasonOf(await ask(authenticator, token, now));

test.each(['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'])('demand(10): a JWT-SVID signed with %s is accepted', async (alg) => {
  const by = newKey(alg, 'other');
  const other = authenticatorWith([spiffeIssuer({ bundle: { jwks: bundleOf(by) } })]);
  expect(identityOf(await ask(other, svid({}, {}, by)))).toMatchObject({
    workload: 'spiffe://example.org/ci', kind: 'jwt-svid', issuer: 'spiffe://example.org', audience: ['curfew'],
    credential: { issuedAt: START, expiresAt: START + 300_000, maxAgeMs: 3_600_000 },
    confirmed: {},
  });
});

test('a JWT-SVID signed with EdDSA is refused, although the key is in the bundle', async () => {
  const by = newKey('EdDSA', 'ed');
  expect(reasonOf(await ask(authenticatorWith([spiffeIssuer({ bundle: { jwks: bundleOf(by) } })]), svid({}, {}, by)))).toBe('credential.algorithm');
});

test.each([
  ['no typ', {}, { typ: undefined }, 'allowed'],
  ['typ JOSE', {}, { typ: 'JOSE' }, 'allowed'],
  ['typ jwt', {}, { typ: 'jwt' }, 'credential.type'],
  ['typ at+jwt', {}, { typ: 'at+jwt' }, 'credential.type'],
  ['typ dpop+jwt', {}, { typ: 'dpop+jwt' }, 'credential.type'],
  ['typ secevent+jwt', {}, { typ: 'secevent+jwt' }, 'credential.type'],
  ['typ a number', {}, { typ: 7 }, 'credential.malformed'],
  ['another header', {}, { cty: 'JWT' }, 'credential.type'],
  ['no kid, one key', {}, { kid: undefined }, 'allowed'],
  ['unknown kid', {}, { kid: 'k2' }, 'credential.key_unknown'],
  ['kid a number', {}, { kid: 1 }, 'credential.malformed'],
  ['no sub', { sub: undefined }, {}, 'credential.issuer'],
  ['sub of an unknown trust domain', { sub: 'spiffe://other.org/ci' }, {}, 'credential.issuer'],
  ['sub not a SPIFFE ID', { sub: 'ci' }, {}, 'credential.issuer'],
  ['sub a list', { sub: ['spiffe://example.org/ci'] }, {}, 'credential.issuer'],
  ['no aud', { aud: undefined }, {}, 'credential.audience'],
  ['empty aud', { aud: [] }, {}, 'credential.audience'],
  ['A6: another audience', { aud: 'vault' }, {}, 'credential.audience'],
  ['audience with another case', { aud: 'Curfew' }, {}, 'credential.audience'],
  ['one of several audiences', { aud: ['vault', 'curfew'] }, {}, 'allowed'],
  ['an audience that is no text', { aud: ['curfew', 1] }, {}, 'credential.audience'],
  ['no exp', { exp: undefined }, {}, 'credential.claims'],
  ['exp null', { exp: null }, {}, 'credential.claims'],
  ['exp as text', { exp: String(NOW_S + 300) }, {}, 'credential.claims'],
  ['exp with a fraction', { exp: NOW_S + 300.5 }, {}, 'credential.claims'],
  ['exp negative', { exp: -1 }, {}, 'credential.claims'],
  ['exp beyond the year 9999', { exp: 253_402_300_800 }, {}, 'credential.claims'],
  ['exp now: equality is expired', { exp: NOW_S, iat: NOW_S - 300 }, {}, 'credential.expired'],
  ['exp in a second', { exp: NOW_S + 1 }, {}, 'allowed'],
  ['iat as text', { iat: String(NOW_S) }, {}, 'credential.claims'],
  ['iat null', { iat: null }, {}, 'credential.claims'],
  ['iat in the future', { iat: NOW_S + 1 }, {}, 'credential.not_yet'],
  ['no iat, short life left', { iat: undefined }, {}, 'allowed'],
  ['no iat, too much life left', { iat: undefined, exp: NOW_S + 3_601 }, {}, 'credential.too_old'],
  ['life as long as may be', { exp: NOW_S + 3_600 }, {}, 'allowed'],
  ['life a second too long', { exp: NOW_S + 3_601 }, {}, 'credential.too_old'],
  ['life too long, nearly over', { iat: NOW_S - 86_400, exp: NOW_S + 60 }, {}, 'credential.too_old'],
  ['nbf reached', { nbf: NOW_S }, {}, 'allowed'],
  ['nbf a second ahead', { nbf: NOW_S + 1 }, {}, 'credential.not_yet'],
  ['nbf as text', { nbf: '0' }, {}, 'credential.claims'],
  ['jti a number', { jti: 1 }, {}, 'credential.claims'],
  ['no jti', { jti: undefined }, {}, 'allowed'],
] as const)('JWT-SVID conformance: %s', async (_, claims, header, expected) => {
  expect(await reason(svid(claims, header))).toBe(expected);
});

test.each([
  ['C1: exp 1e400', `{"sub":"spiffe://example.org/ci","aud":"curfew","exp":1e400}`],
  ['C1: exp NaN', `{"sub":"spiffe://example.org/ci","aud":"curfew","exp":NaN}`],
  ['B7: exp twice', `{"sub":"spiffe://example.org/ci","aud":"curfew","exp":1,"exp":${NOW_S + 60}}`],
  ['B7: exp twice, once escaped', `{"sub":"spiffe://example.org/ci","aud":"curfew","exp":1,"\\u0065xp":${NOW_S + 60}}`],
  ['B7: __proto__', `{"sub":"spiffe://example.org/ci","aud":"curfew","exp":${NOW_S + 60},"__proto__":{"admin":true}}`],
  ['an array', '[]'],
  ['text', '"x"'],
  ['nothing', ' '],
  ['a comma too many', `{"sub":"spiffe://example.org/ci",}`],
  ['a byte order mark', `\ufeff{"sub":"spiffe://example.org/ci"}`],
  ['an unpaired surrogate', `{"sub":"spiffe://example.org/ci","x":"\\ud800"}`],
  ['a depth of 10,000', `{"x":${'['.repeat(5_000)}${']'.repeat(5_000)}}`],
  ['too many members', JSON.stringify(Object.fromEntries(Array.from({ length: 300 }, (__, at) => [`m${at}`, 0])))],
])('claims that are odd JSON are refused: %s', async (_, payload) => {
  expect(await reason(signed({ alg: 'ES256', kid: 'k1' }, payload, key))).toBe('credential.malformed');
});

test('B7: alg twice in the header is refused', async () => {
  expect(await reason(signed('{"alg":"none","alg":"ES256","kid":"k1"}', svidClaims(), key))).toBe('credential.malformed');
});

test('B8: a token beyond 16 KiB, or a header beyond 4 KiB, is refused unread', async () => {
  expect(await reason(svid({ pad: 'x'.repeat(16_384) }))).toBe('credential.malformed');
  expect(await reason(svid({}, { kid: 'x'.repeat(4_096) }))).toBe('credential.malformed');
  expect(await reason(svid({ pad: 'x'.repeat(8_000) }))).toBe('allowed');
});

test('I1: a token remembered is judged by the time of each call, and never at its end', async () => {
  const token = svid({ nbf: NOW_S + 10 });
  expect(await reason(token)).toBe('credential.not_yet');
  expect(await reason(token, START + 10_000)).toBe('allowed');
  expect(await reason(token, START + 299_999)).toBe('allowed');
  expect(await reason(token, START + 300_000)).toBe('credential.expired');
  expect(await reason(token, START + 9_999)).toBe('credential.not_yet');
});

test('C3: an interval of time counts against access at both ends', async () => {
  const token = svid({ nbf: NOW_S + 10 });
  const at = async (earliest: number, latest: number) =>
    reasonOf(await authenticator.authenticate({ kind: 'bearer', token }, { realm: 'default', now: interval(START + earliest, START + latest) }));
  expect(await at(10_000, 299_999)).toBe('allowed');
  expect(await at(9_999, 20_000)).toBe('credential.not_yet');
  expect(await at(20_000, 300_000)).toBe('credential.expired');
  expect(await at(Number.NaN, Number.NaN)).toBe('credential.not_yet');
  expect(await at(20_000, Number.NaN)).toBe('credential.expired');
});

test('C3: leeway makes a token begin later and end earlier', async () => {
  const careful = authenticatorWith([spiffeIssuer({ leewayMs: 5_000 })]);
  const at = async (ms: number) => reasonOf(await ask(careful, svid(), START + ms));
  expect([await at(4_999), await at(5_000), await at(294_999), await at(295_000)]).toEqual(['credential.not_yet', 'allowed', 'allowed', 'credential.expired']);
});

test('a remembered token answers in the same tick, one that is not remembered does not', async () => {
  const fresh = authenticatorWith([spiffeIssuer()]);
  const token = svid({ jti: 'tick' });
  const call = () => fresh.authenticate({ kind: 'bearer', token }, { realm: 'default', now: interval(START) });
  expect(call()).toBeInstanceOf(Promise);
  expect((await call()).ok).toBe(true);
  expect(call()).toMatchObject({ ok: true });
});

test('with rememberedTokensMax 0 every token is verified every time', async () => {
  const forgetful = authenticatorWith([spiffeIssuer()], { rememberedTokensMax: 0 });
  const token = svid();
  expect(reasonOf(await ask(forgetful, token))).toBe('allowed');
  expect(forgetful.authenticate({ kind: 'bearer', token }, { realm: 'default', now: interval(START) })).toBeInstanceOf(Promise);
});

test('A6: a complemented ES256 signature verifies and has the same selectors', async () => {
  const token = svid();
  const other = complemented(token);
  expect(other).not.toBe(token);
  const [a, b] = [identityOf(await ask(authenticator, token)), identityOf(await ask(authenticator, other))];
  expect(b.credential.selectors).toEqual(a.credential.selectors);
  expect(a.credential.selectors).toEqual([
    `credential:sha256:${sha256(token.slice(0, token.lastIndexOf('.')))}`,
    'credential:jti:["spiffe://example.org","j1"]',
  ]);
});

test("A6: a JWT-SVID with an issuer of its own is also named by that issuer's (iss, jti)", async () => {
  expect(identityOf(await ask(authenticator, svid({ iss: 'https://spire.example' }))).credential.selectors)
    .toContain('credential:jti:["https://spire.example","j1"]');
});

test('A6: one token has one spelling: re-encoded parts are refused', async () => {
  const token = svid();
  const [header = '', payload = '', signature = ''] = token.split('.');
  const spareBits = (text: string) => {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return text.length % 4 === 0 ? undefined : text.slice(0, -1) + letters[letters.indexOf(text.at(-1) ?? '') ^ 1];
  };
  const variants = [
    `${header}=.${payload}.${signature}`, `${header}.${payload}=.${signature}`, `${header}.${payload}.${signature}==`,
    `${header}.${payload}.${signature}\n`, ` ${token}`, `${header}.${payload} .${signature}`, `${header}.${payload}.${signature}.`, `${header}.${payload}.`,
    `${header}.${payload}`, `${header}..${signature}`, `.${payload}.${signature}`, `${header}.${payload}.+${signature.slice(1)}`, `${header}.${payload}./${signature.slice(1)}`,
    ...[`${spareBits(header)}.${payload}.${signature}`, `${header}.${spareBits(payload)}.${signature}`, `${header}.${payload}.${spareBits(signature)}`]
      .filter((one) => !one.includes('undefined')),
  ];
  expect(variants.length).toBeGreaterThan(12);
  for (const variant of variants) expect.soft(await reason(variant), variant.slice(-20)).toBe('credential.malformed');
});

test('A6: JSON with other spaces is another token with another signature: without that signature it is refused', async () => {
  const spaced = `${b64(JSON.stringify({ alg: 'ES256', kid: 'k1' }))}.${b64(JSON.stringify(svidClaims(), null, 1))}`;
  expect(await reason(`${spaced}.${svid().split('.')[2]}`)).toBe('credential.signature');
  expect(await reason(`${spaced}.${b64(signatureOver(spaced, key))}`)).toBe('allowed');
});

test('a token altered in any one character is refused', async () => {
  const token = svid();
  for (let at = 0; at < token.length; at += 7) {
    const altered = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
    expect.soft(await reason(altered), String(at)).not.toBe('allowed');
  }
});

test('trust domains are never merged: the key of one signs nothing for the other', async () => {
  const theirs = newKey('ES256', 'k1');
  const both = authenticatorWith([spiffeIssuer(), spiffeIssuer({ trustDomain: 'other.org', bundle: { jwks: bundleOf(theirs) } })]);
  expect(reasonOf(await ask(both, svid({ sub: 'spiffe://other.org/ci' }, {}, theirs)))).toBe('allowed');
  expect(reasonOf(await ask(both, svid({ sub: 'spiffe://other.org/ci' }, {}, key)))).toBe('credential.signature');
  expect(reasonOf(await ask(both, svid({}, {}, theirs)))).toBe('credential.signature');
});

test('only keys with use jwt-svid and a kid sign JWT-SVIDs', async () => {
  const reasonWith = async (jwk: Record<string, unknown>, header = {}) =>
    reasonOf(await ask(authenticatorWith([spiffeIssuer({ bundle: { jwks: { keys: [jwk] } } })]), svid({}, header)));
  expect(await reasonWith({ ...key.jwk, use: 'jwt-svid' })).toBe('allowed');
  expect(await reasonWith({ ...key.jwk, use: 'x509-svid' })).toBe('credential.key_unknown');
  expect(await reasonWith({ ...key.jwk, use: 'sig' })).toBe('credential.key_unknown');
  expect(await reasonWith({ ...key.jwk, use: 'JWT-SVID' })).toBe('credential.key_unknown');
  expect(await reasonWith({ ...key.jwk })).toBe('credential.key_unknown');
  const { kid: _, ...withoutKid } = key.jwk;
  expect(await reasonWith({ ...withoutKid, use: 'jwt-svid' }, { kid: undefined })).toBe('credential.key_unknown');
  expect(await reasonWith({ ...key.jwk, use: 'jwt-svid', key_ops: ['encrypt'] })).toBe('credential.key_unknown');
  expect(await reasonWith({ ...key.jwk, use: 'jwt-svid', alg: 'ES384' })).toBe('credential.key_unknown');
});

test('without a kid the key must be the only one that fits', async () => {
  const two = authenticatorWith([spiffeIssuer({ bundle: { jwks: bundleOf(key, newKey('ES256', 'k2')) } })]);
  expect(reasonOf(await ask(two, svid({}, { kid: undefined })))).toBe('credential.key_unknown');
  const mixed = authenticatorWith([spiffeIssuer({ bundle: { jwks: bundleOf(key, newKey('RS256', 'k2')) } })]);
  expect(reasonOf(await ask(mixed, svid({}, { kid: undefined })))).toBe('allowed');
});

test('weak RSA keys sign nothing', async () => {
  const weak = newKey('RS256', 'k1', 1024);
  expect(reasonOf(await ask(authenticatorWith([spiffeIssuer({ bundle: { jwks: bundleOf(weak) } })]), svid({}, {}, weak)))).toBe('credential.key_unknown');
});

test('I12: an issuer kept to some realms vouches for nobody in another, remembered or not', async () => {
  const kept = authenticatorWith([spiffeIssuer({ realms: ['shop'] })]);
  const token = svid();
  const inRealm = async (realm: string) => reasonOf(await ask(kept, token, START, undefined, realm));
  expect(await inRealm('default')).toBe('credential.issuer');
  expect(await inRealm('shop')).toBe('allowed');
  expect(await inRealm('default')).toBe('credential.issuer');
});

test('I12: one trust domain may have other keys in another realm', async () => {
  const theirs = newKey('ES256', 'k1');
  const both = authenticatorWith([spiffeIssuer({ realms: ['a'] }), spiffeIssuer({ realms: ['b'], bundle: { jwks: bundleOf(theirs) } })]);
  const token = svid();
  expect(reasonOf(await ask(both, token, START, undefined, 'a'))).toBe('allowed');
  expect(reasonOf(await ask(both, token, START, undefined, 'b'))).toBe('credential.signature');
  expect(reasonOf(await ask(both, svid({}, {}, theirs), START, undefined, 'b'))).toBe('allowed');
});

test('one-time tokens need a jti and carry the id that is to be seen once', async () => {
  const once = authenticatorWith([spiffeIssuer({ oneTime: true })]);
  expect(reasonOf(await ask(once, svid({ jti: undefined })))).toBe('credential.claims');
  expect(reasonOf(await ask(once, svid({ jti: '' })))).toBe('credential.claims');
  const [a, b, c] = [await ask(once, svid()), await ask(once, svid({ extra: 1 })), await ask(once, svid({ jti: 'j2' }))].map((one) => identityOf(one).credential.oneTime);
  expect(a).toMatch(/^[0-9a-f]{64}$/);
  expect(b).toBe(a);
  expect(c).not.toBe(a);
});

test('nothing presented, or nothing readable, is said as such', () => {
  const context = { realm: 'default', now: interval(START) };
  expect(authenticator.authenticate({ kind: 'none' }, context)).toEqual({ ok: false, reason: 'credential.missing' });
  expect(authenticator.authenticate({ kind: 'malformed' }, context)).toEqual({ ok: false, reason: 'credential.malformed' });
});
