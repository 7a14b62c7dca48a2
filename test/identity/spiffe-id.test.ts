import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSpiffeId } from '../../src/domain/spiffe-id.ts';
import { START } from './at.ts';
import { ask, authenticatorWith, reasonOf, spiffeIssuer, svid } from './spiffe-fixture.ts';

const td255 = 'a'.repeat(255);

test.each([
  ['spiffe://example.org', 'example.org', ''],
  ['spiffe://example.org/ci', 'example.org', '/ci'],
  ['spiffe://example.org/ns/Prod/sa/api-1_x.y', 'example.org', '/ns/Prod/sa/api-1_x.y'],
  ['spiffe://a_b-c.1/...', 'a_b-c.1', '/...'],
  [`spiffe://${td255}`, td255, ''],
  [`spiffe://e/${'p'.repeat(2037)}`, 'e', `/${'p'.repeat(2037)}`],
])('a SPIFFE ID is read: %s', (text, trustDomain, path) => {
  expect(parseSpiffeId(text)).toEqual({ trustDomain, path });
});

const TRICKS = [
  '', 'spiffe', 'spiffe:', 'spiffe:/', 'spiffe://', 'spiffe:///ci', 'SPIFFE://example.org/ci', 'Spiffe://example.org/ci', 'spiffe:example.org/ci',
  'spiffe:/example.org/ci', 'http://example.org/ci', ' spiffe://example.org/ci', 'spiffe://example.org/ci ', 'spiffe://example.org/ci\n', '\ufeffspiffe://example.org/ci',
  'spiffe://Example.org/ci', 'spiffe://EXAMPLE.ORG/ci', 'spiffe://example.org:443/ci', 'spiffe://example.org:/ci', 'spiffe://user@example.org/ci', 'spiffe://@example.org/ci',
  'spiffe://user:pw@example.org/ci', 'spiffe://other.org@example.org/ci', 'spiffe://example.org/', 'spiffe://example.org/ci/', 'spiffe://example.org//ci', 'spiffe://example.org/ci//x',
  'spiffe://example.org/.', 'spiffe://example.org/..', 'spiffe://example.org/./ci', 'spiffe://example.org/x/../ci', 'spiffe://example.org/ci/..', 'spiffe://example.org/%63i',
  'spiffe://example.org/%2e', 'spiffe://example.org/ci%2f', 'spiffe://example.org/%2e%2e/ci', 'spiffe://example%2eorg/ci', 'spiffe://example.org/ci?x=1', 'spiffe://example.org/ci#x',
  'spiffe://example.org?x', 'spiffe://example.org#x', 'spiffe://example.org/c;i', 'spiffe://example.org\\ci', 'spiffe://example.org/c\\i', 'spiffe://example.org/ci\u0000',
  'spiffe://example.org/c\u0456', 'spiffe://ex\u0430mple.org/ci', 'spiffe://example.org\u3002/ci', 'spiffe://exam\u00adple.org/ci', 'spiffe://example.org/\uff43i', 'spiffe://xn--e1awd7f.org:1/ci',
  'spiffe://[::1]/ci', 'spiffe://example.org/ci*', 'spiffe://example.org/c i', 'spiffe://example.org/~ci', 'spiffe://example.org/ci+x', 'spiffe://example.org/"ci"',
  `spiffe://${'a'.repeat(256)}`, `spiffe://e/${'p'.repeat(2038)}`, 'spiffe://example.org/ci,spiffe://other.org/x',
];

test.each(TRICKS)('A7: this is no SPIFFE ID: %j', (text) => {
  expect(parseSpiffeId(text)).toBeUndefined();
});

test('A7: a validly signed JWT-SVID whose sub is a trick names nobody', async () => {
  const authenticator = authenticatorWith([spiffeIssuer()]);
  for (const sub of TRICKS) {
    const reason = reasonOf(await ask(authenticator, svid({ sub }), START));
    expect.soft(['credential.issuer', 'credential.claims', 'credential.malformed'], sub).toContain(reason);
  }
});

test('A7: whatever is read is spelled as it was given, so equal IDs are equal strings', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'B', '1', '.', '-', '_', '/', '%', ':', '@', '?', ' ', 'é'), maxLength: 12 });
  fc.assert(fc.property(piece, piece, (domain, path) => {
    const text = `spiffe://${domain}${path}`;
    const id = parseSpiffeId(text);
    if (id === undefined) return;
    expect(`spiffe://${id.trustDomain}${id.path}`).toBe(text);
    expect(id.trustDomain).toMatch(/^[a-z0-9._-]+$/);
    expect(`${id.path}/`).toMatch(/^(\/(?!\.{1,2}\/)[A-Za-z0-9._-]+)*\/$/);
  }));
});
