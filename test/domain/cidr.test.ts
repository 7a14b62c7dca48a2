import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cidrContains, isCidr } from '../../src/domain/cidr.ts';

test.each(['10.0.0.0/8', '0.0.0.0/0', '192.0.2.1/32', '2001:db8::/32', '::/0', '::1/128'])('%s is a block', (block) => expect(isCidr(block)).toBe(true));
test.each(['10.0.0.1/8', '10.0.0.0', '10.0.0/8', '010.0.0.0/8', '10.0.0.0/33', '10.0.0.0/08', '::/129', ':::/0', 'fe80::1%eth0/128', '2001:db8::1/32', '10.0.0.0/8/8', ' 10.0.0.0/8', '1.2.3.4.5/32', '::1.2.3/128'])(
  'F3: %j is not a block', (block) => expect(isCidr(block)).toBe(false));

test('contains what the platform says it contains', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(128), (base, address, prefix) => {
      const family = isIP(base) === 4 ? 'ipv4' : 'ipv6';
      const block = `${base}/${prefix}`;
      if (!isCidr(block) || isIP(address) !== isIP(base)) return;
      const list = new BlockList();
      list.addSubnet(base, prefix, family);
      expect(cidrContains(block, address)).toBe(list.check(address, family));
    }),
    { numRuns: 3_000 },
  );
});

test('an IPv4-mapped address is the IPv4 address; families never mix otherwise', () => {
  expect(cidrContains('10.0.0.0/8', '::ffff:10.1.2.3')).toBe(true);
  expect(cidrContains('::/0', '10.1.2.3')).toBe(false);
  expect(cidrContains('10.0.0.0/8', 'not an address')).toBe(false);
});
