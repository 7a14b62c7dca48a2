import { spawnSync } from 'node:child_process';
import { createHash, createPublicKey } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Peer } from '../../src/decision/evaluation.ts';
import { canonicalSerial } from '../../src/domain/lifecycle/canonical-selector.ts';
import { readCertificate } from '../../src/identity/certificate.ts';
import { parseXfcc } from '../../src/identity/xfcc.ts';
import { START, interval } from './at.ts';
import { bundleOf } from './forge.ts';
import { authenticatorWith, identityOf, key, reasonOf, spiffeIssuer } from './spiffe-fixture.ts';
import { certificate } from './x509.ts';

const ID = 'spiffe://example.org/ci';
const HOUR = 3_600_000;
const ca = certificate({ subject: [{ C: 'DE' }, { O: 'Ex, "ample"' }, { CN: 'Zürich', OU: 'a+b' }], notBefore: START, notAfter: START + HOUR, ca: true });
const leaf = (changes: Partial<Parameters<typeof certificate>[0]> = {}) =>
  certificate({ by: ca, subject: [{ CN: 'ci' }], uris: [ID], notBefore: START - 1_000, notAfter: START + HOUR, serialHex: '00ab01', ...changes });
const good = leaf();

const authenticator = authenticatorWith([
  spiffeIssuer({ maxCertificateAgeMs: 2 * HOUR }),
  spiffeIssuer({ trustDomain: 'tokens.only', peers: false }),
  spiffeIssuer({ trustDomain: 'shop.org', realms: ['shop'], bundle: { jwks: bundleOf(key) } }),
]);
const ask = (peer: Peer, now: number = START, realm = 'default') =>
  Promise.resolve(authenticator.authenticate({ kind: 'peer', peer }, { realm, now: interval(now) }));
const reason = async (peer: Peer, now?: number, realm?: string) => reasonOf(await ask(peer, now, realm));

test("a peer's SPIFFE ID is its workload; without a certificate it has no end and no selector of its own", async () => {
  expect(identityOf(await ask({ principal: ID }))).toEqual({
    workload: ID, kind: 'x509', issuer: 'spiffe://example.org', audience: [], claims: {}, confirmed: {},
    credential: { selectors: [], fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) },
  });
  expect(identityOf(await ask({ principal: ID, certificateSha256: good.sha256 })).confirmed.x5t).toBe(Buffer.from(good.sha256, 'hex').toString('base64url'));
});

test("a peer's certificate gives its life, its proof and the selectors that end it", async () => {
  const identity = identityOf(await ask({ principal: ID, certificatePem: good.pem, certificateSha256: good.sha256 }));
  const spki = createHash('sha256').update(createPublicKey(good.privateKey).export({ type: 'spki', format: 'der' })).digest('hex');
  expect(identity.credential).toMatchObject({ issuedAt: START - 1_000, notBefore: START - 1_000, expiresAt: START + HOUR });
  expect(identity.confirmed.x5t).toBe(Buffer.from(good.sha256, 'hex').toString('base64url'));
  expect(identity.credential.selectors).toEqual([
    `certificate:serial:${JSON.stringify(['OU=a\\+b+CN=Z\\C3\\BCrich,O=Ex\\, \\"ample\\",C=DE', 'ab01'])}`,
    `certificate:spki:${spki}`,
  ]);
});

test.skipIf(spawnSync('openssl', ['version']).error !== undefined)('the issuer in a selector is what openssl prints as RFC 2253', () => {
  const { stdout } = spawnSync('openssl', ['x509', '-noout', '-issuer', '-serial', '-nameopt', 'RFC2253'], { input: good.pem, encoding: 'utf8' });
  const facts = readCertificate(good.pem);
  expect(stdout).toBe(`issuer=${facts?.issuer}\nserial=${facts?.serial.toUpperCase()}\n`);
});

test.each([['05', '05'], ['00', '00'], ['0abc', '0abc'], ['00ff', 'ff']])('a serial number %s is looked up as %s, as revocations write it', (serialHex, expected) => {
  const facts = readCertificate(leaf({ serialHex }).pem);
  expect(facts?.serial).toBe(expected);
  expect(facts?.serial).toBe(canonicalSerial(serialHex));
});

test('URL-encoded as Envoy sends it, a certificate is the same one', async () => {
  const plain = identityOf(await ask({ principal: ID, certificatePem: good.pem }));
  expect(identityOf(await ask({ principal: ID, certificatePem: encodeURIComponent(good.pem) }))).toEqual(plain);
  const peer = parseXfcc(`Hash=${good.sha256};Cert="${encodeURIComponent(good.pem)}";Subject="CN=ci";URI=${ID}`);
  expect(identityOf(await ask(peer as Peer))).toEqual(plain);
});

test.each([
  ['no SPIFFE ID', { principal: 'ci.example.org' }, 'subject.malformed'],
  ['a subject', { principal: 'CN=ci,O=example.org' }, 'subject.malformed'],
  ['nothing', { principal: '' }, 'subject.malformed'],
  ['A7: upper case', { principal: 'spiffe://EXAMPLE.org/ci' }, 'subject.malformed'],
  ['A7: a trailing slash', { principal: `${ID}/` }, 'subject.malformed'],
  ['the trust domain itself', { principal: 'spiffe://example.org' }, 'subject.malformed'],
  ['A7: another trust domain', { principal: 'spiffe://other.org/ci' }, 'credential.issuer'],
  ['a trust domain that accepts no peers', { principal: 'spiffe://tokens.only/ci' }, 'credential.issuer'],
  ['a trust domain of another realm', { principal: 'spiffe://shop.org/ci' }, 'credential.issuer'],
  ['A6: the certificate of another workload', { principal: ID, certificatePem: leaf({ uris: ['spiffe://example.org/other'] }).pem }, 'credential.claims'],
  ['A6: another hash than its certificate', { principal: ID, certificatePem: good.pem, certificateSha256: leaf().sha256 }, 'credential.malformed'],
  ['two URI names', { principal: ID, certificatePem: leaf({ uris: [ID, 'spiffe://example.org/other'] }).pem }, 'credential.claims'],
  ['no URI name', { principal: ID, certificatePem: leaf({ uris: [], dns: ['ci.example.org'] }).pem }, 'credential.claims'],
  ['a DNS name that looks like a URI name', { principal: ID, certificatePem: leaf({ uris: [], dns: [`x, URI:${ID}`] }).pem }, 'credential.claims'],
  ['a URI name with a comma', { principal: ID, certificatePem: leaf({ uris: [`spiffe://example.org/x, URI:${ID}`] }).pem }, 'credential.claims'],
  ['an authority', { principal: ID, certificatePem: leaf({ ca: true }).pem }, 'credential.claims'],
  ['a life too long', { principal: ID, certificatePem: leaf({ notAfter: START + 2 * HOUR }).pem }, 'credential.too_old'],
  ['two certificates', { principal: ID, certificatePem: good.pem + good.pem }, 'credential.malformed'],
  ['no certificate in the PEM', { principal: ID, certificatePem: 'x' }, 'credential.malformed'],
  ['a broken certificate', { principal: ID, certificatePem: good.pem.replace(/[A-Z]{3}/, 'AAA').replace('MII', 'MIJ') }, 'credential.malformed'],
  ['a private key', { principal: ID, certificatePem: good.keyPem }, 'credential.malformed'],
  ['a hash that is none', { principal: ID, certificateSha256: 'abc' }, 'credential.malformed'],
  ['a negative serial number', { principal: ID, certificatePem: leaf({ serialHex: '8a01' }).pem }, 'credential.malformed'],
  ['64 KiB of PEM', { principal: ID, certificatePem: good.pem + ' '.repeat(65_536) }, 'credential.malformed'],
] as const)('a peer is refused: %s', async (_, peer, expected) => {
  expect(await reason(peer)).toBe(expected);
});

test('an issuer kept to a realm vouches for peers there', async () => {
  expect(await reason({ principal: 'spiffe://shop.org/ci' }, START, 'shop')).toBe('allowed');
});

test('I1: a certificate counts from its beginning until its end, remembered or not', async () => {
  const peer = { principal: ID, certificatePem: good.pem };
  expect(await reason(peer, START - 1_001)).toBe('credential.not_yet');
  expect(await reason(peer, START - 1_000)).toBe('allowed');
  expect(await reason(peer, START + HOUR - 1)).toBe('allowed');
  expect(await reason(peer, START + HOUR)).toBe('credential.expired');
});
