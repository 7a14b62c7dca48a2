/** One host, one name (THREATS B1: another vhost's Host, trailing dots). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalAuthority, parseScheme } from '../../src/domain/authority.ts';

test.each([
  ['Shop.LOCAL', 'https', 'shop.local'], ['shop.local.', 'http', 'shop.local'], ['shop.local:443', 'https', 'shop.local'], ['shop.local.:80', 'http', 'shop.local'],
  ['shop.local:80', 'https', 'shop.local:80'], ['shop.local:8443', 'https', 'shop.local:8443'], ['shop.local:443', 'wss', 'shop.local'], ['shop.local:80', 'ws', 'shop.local'],
  ['my_service-1', 'http', 'my_service-1'], ['10.0.0.1:8080', 'http', '10.0.0.1:8080'], ['xn--bcher-kva.example', 'http', 'xn--bcher-kva.example'],
  ['[::1]:80', 'http', '[::1]'], ['[2001:DB8:0:0:0:0:0:1]', 'http', '[2001:db8::1]'], ['[2001:db8::0:1:0:0:1]', 'http', '[2001:db8::1:0:0:1]'],
  ['[1:0:0:2:0:0:0:3]', 'http', '[1:0:0:2::3]'], ['[1:2:3:4:5:6:7:0]', 'http', '[1:2:3:4:5:6:7:0]'], ['[::]', 'http', '[::]'], ['[1::]', 'http', '[1::]'],
] as const)('%s under %s is %s', (authority, scheme, canonical) => {
  expect(canonicalAuthority(authority, scheme)).toBe(canonical);
});

test.each([
  '', '.', '..', '.shop.local', 'shop..local', 'shop.local..', 'shop.local:', 'shop.local:0', 'shop.local:080', 'shop.local:65536', 'shop.local:99999', 'shop.local:80:80',
  'user@shop.local', 'shop.local@evil', 'shop.local/admin', 'shop.local?x', 'shop.local#x', 'shop.local\\x', 'shop%2elocal', 'shop.local%00', 'shop local', 'shop\tlocal',
  'shöp.local', 'shop。local', 'shop.local,evil', 'shop;local', '*', '*.local', "shop'", '127.1', '0177.0.0.1', '0x7f.0.0.1', '2130706433', '1.2.3.4.5', '256.1.1.1', '01.2.3.4',
  '1.2.3', 'a.1', 'shop.0x', '[::1', '::1', '[::1]x', '[::ffff:127.0.0.1]', '[fe80::1%25eth0]', '[1::2::3]', '[1:2:3:4:5:6:7]', '[1:2:3:4:5:6:7:8:9]', '[12345::]', '[g::]', '[:]',
  '[1:2:3:4:5:6:7::8:9]', `${'a'.repeat(64)}.local`, `${'a.'.repeat(130)}b`,
])('B1: %j is no authority', (authority) => {
  expect(canonicalAuthority(authority, 'http')).toBeUndefined();
});

test('B1: property: what is accepted, the URL standard reads as the same host; and the canonical form stays as it is', () => {
  const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/);
  const odd = fc.constantFrom('.', '..', ':', '@', '/', '%2e', '0x1', '127', '[', ']', '::', '80', '443', ' ', '。', '');
  const authority = fc.array(fc.oneof({ weight: 3, arbitrary: label }, odd), { minLength: 1, maxLength: 6 }).map((parts) => parts.join('.').replaceAll(/\.+(:|$)/g, '$1'));
  let accepted = 0;
  fc.assert(
    fc.property(authority, fc.constantFrom('http' as const, 'https' as const), (text, scheme) => {
      const host = canonicalAuthority(text, scheme);
      if (host === undefined) return;
      accepted += 1;
      expect(canonicalAuthority(host, scheme)).toBe(host);
      // A label such as `xn--a` is a DNS name here and an error there; that is the one difference.
      if (!text.toLowerCase().includes('xn--')) expect(new URL(`${scheme}://${text}/`).host.replace(/\.(?=:|$)/, '')).toBe(host);
    }),
    { numRuns: 5_000 },
  );
  expect(accepted).toBeGreaterThan(500);
});

test('schemes are http, https, ws and wss in any case, and nothing else', () => {
  expect(parseScheme('HTTPS')).toBe('https');
  expect(parseScheme('wss')).toBe('wss');
  for (const scheme of ['', 'ftp', 'http,https', 'https ', 'javascript']) expect(parseScheme(scheme)).toBeUndefined();
});
