import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseXfcc } from '../../src/identity/xfcc.ts';

const HASH = '468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688';
const ID = 'spiffe://example.org/ci';

test.each([
  ['one URI', `By=spiffe://example.org/gw;Hash=${HASH};URI=${ID}`, { principal: ID, certificateSha256: HASH }],
  ['keys in any case', `by=x;HASH=${HASH.toUpperCase()};uri=${ID}`, { principal: ID, certificateSha256: HASH }],
  ['a quoted subject', `Hash=${HASH};Subject="CN=a\\,b,O=\\"x\\";URI=spiffe://evil.org/x";URI=${ID}`, { principal: ID, certificateSha256: HASH }],
  ['URI before DNS', `Hash=${HASH};Subject="CN=x";URI=${ID};DNS=a.example;DNS=b.example`, { principal: ID, certificateSha256: HASH }],
  ['DNS before subject', `Hash=${HASH};Subject="CN=x";URI=;DNS=a.example`, { principal: 'a.example', certificateSha256: HASH }],
  ['subject alone', 'Subject="CN=x"', { principal: 'CN=x' }],
  ['a certificate', `Cert="-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----%0A";URI=${ID}`,
    { principal: ID, certificatePem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' }],
])('XFCC is read: %s', (_, header, peer) => {
  expect(parseXfcc(header)).toEqual(peer);
});

test.each([
  ['nothing', ''],
  ['no name', `Hash=${HASH}`],
  ['empty name', 'URI='],
  ['two elements', `Hash=${HASH};URI=${ID},Hash=${HASH};URI=spiffe://example.org/gw`],
  ['two URIs', `URI=${ID};URI=spiffe://example.org/admin`],
  ['two URIs in other case', `URI=${ID};uri=spiffe://example.org/admin`],
  ['two hashes', `Hash=${HASH};Hash=${HASH};URI=${ID}`],
  ['two subjects', `Subject="CN=a";Subject="CN=b"`],
  ['an unknown key', `URI=${ID};Role=admin`],
  ['an open quote', `Subject="CN=x;URI=${ID}`],
  ['an escaped closing quote', `Subject="CN=x\\";URI=${ID}`],
  ['text after a quote', `Subject="CN=x"y;URI=${ID}`],
  ['text before a quote', `Subject=y"CN=x";URI=${ID}`],
  ['a quote in a bare value', `URI=spiffe://example.org/"ci"`],
  ['a backslash in a bare value', `URI=spiffe://example.org\\ci`],
  ['an equals sign in a bare value', `URI=${ID}=x`],
  ['a space after the semicolon', `Hash=${HASH}; URI=${ID}`],
  ['a semicolon at the end', `URI=${ID};`],
  ['a comma at the end', `URI=${ID},`],
  ['a comma at the beginning', `,URI=${ID}`],
  ['an empty element', `URI=${ID},,URI=${ID}`],
  ['a key alone', 'URI'],
  ['a value alone', `=${ID}`],
  ['a short hash', `Hash=468e;URI=${ID}`],
  ['a line break', `URI=${ID}\r\nx: y`],
  ['a NUL', `URI=${ID}\u0000`],
  ['letters beyond ASCII', `URI=spiffe://ex\u0430mple.org/ci`],
  ['a certificate that is not URL-encoded', `Cert="%zz";URI=${ID}`],
  ['64 KiB and more', `Subject="${'x'.repeat(65_536)}";URI=${ID}`],
])('A5: XFCC is refused: %s', (_, header) => {
  expect(parseXfcc(header)).toBeUndefined();
});

test('several elements count only where they are configured, and no more than that', () => {
  const header = `URI=${ID},URI=spiffe://example.org/edge,URI=spiffe://example.org/mesh`;
  expect(parseXfcc(header, { elementsMax: 2 })).toBeUndefined();
  expect(parseXfcc(header, { elementsMax: 3 })?.principal).toBe('spiffe://example.org/mesh');
  expect(parseXfcc(header, { elementsMax: 3, take: 'first' })?.principal).toBe(ID);
});

test('A5: no subject text, however odd, changes the name that is read', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '"', '\\', ';', ',', '=', 'U', 'R', 'I', ' ', '/', ':'), maxLength: 30 });
  fc.assert(fc.property(text, (subject) => {
    // As Envoy writes it: quotes escaped; backslashes are already escaped by the RFC 2253 form of the name.
    const quoted = `"${subject.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
    expect(parseXfcc(`Subject=${quoted};URI=${ID}`)?.principal).toBe(ID);
  }));
});

test('A5: no input makes the parser throw or take long', () => {
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (header) => { parseXfcc(header); }));
  expect(parseXfcc('\\"'.repeat(30_000))).toBeUndefined();
  expect(parseXfcc(`A="${'\\'.repeat(60_001)}`)).toBeUndefined();
});
