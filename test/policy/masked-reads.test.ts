/** Whether an evaluation depended on a masked field is found out by the evaluation itself, for every way of reading one. */
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { loadPolicy, type LoadedPolicy } from '../../src/policy/load-policy.ts';
import { openToolchain } from '../../src/policy/toolchain/open-toolchain.ts';
import { describeWith } from '../parts.ts';

const NOW = 1_764_000_000_000 as Instant;
const INPUT = {
  headers: { authorization: 'sha256:0123456789abcdef', accept: 'x', cookie: 'sha256:fedcba9876543210' },
  pairs: [{ key: 'a', value: 'plain' }, { key: 'cookie', value: 'sha256:fedcba9876543210' }],
  'odd/na~me': 'sha256:00',
  n: 7,
};
const PLACES = ['/headers/authorization', '/headers/cookie', '/pairs/1/value', '/odd~1na~0me'];

const READS = {
  compares: 'input.headers.authorization == "Bearer let me in"',
  compares_types: 'input.headers.authorization == 5',
  orders: 'input.headers.authorization < "b"',
  starts: 'startswith(input.headers.authorization, "Bearer ")',
  counts: 'count(input.headers.authorization) > 5',
  builtin: 'io.jwt.decode(input.headers.authorization)',
  typed: 'is_string(input.headers.cookie)',
  as_key: '{"sha256:0123456789abcdef": 1}[input.headers.authorization]',
  in_a_set: 'count({input.headers.authorization, "x"}) == 2',
  walked: 'some v in input.pairs; v.value == "sha256:x"',
  whole: 'json.marshal(input)',
  returned: 'x := input.headers.authorization',
  negated: 'not input.headers.cookie == "x"',
  odd: 'input["odd/na~me"] == "y"',
  member: '"x" in [v | some v in input.headers]',
} as const;
const NOT_READ = {
  elsewhere: 'input.headers.accept == "x"',
  number: 'input.n == 7',
  keys: 'object.keys(input.headers)["authorization"]',
  bound: 'x := input.headers.authorization; input.n == 7',
  beside: 'input.pairs[0].value == "plain"',
  counted: 'count(input.headers) == 3',
  after_a_no: 'input.n == 8; input.headers.authorization == "x"',
} as const;

const module = (): string =>
  `package m\n\n${Object.entries({ ...READS, ...NOT_READ }).map(([name, body]) => {
    const value = name === 'returned' ? 'x' : 'true';
    return `${name} := ${value} if {\n${body.split('; ').map((line) => `\t${line}\n`).join('')}}\n`;
  }).join('\n')}`;

describeWith(['go'], 'masked fields', () => {
  let policy: LoadedPolicy;
  beforeAll(async () => {
    buildToolchain();
    const toolchain = await openToolchain();
    const entrypoints = [...Object.keys(READS), ...Object.keys(NOT_READ)].map((name) => `m/${name}`);
    policy = await loadPolicy(await toolchain.compile({ 'm.rego': module() }, { entrypoints }), { entrypoints });
    await toolchain.close();
  }, 600_000);

  test.each(Object.keys(READS))('reading is found: %s', (name) => {
    expect(policy.readsAt(`m/${name}`, INPUT, PLACES, NOW)).toBe(true);
  });
  test.each(Object.keys(NOT_READ))('what does not depend on them is exact: %s', (name) => {
    expect(policy.readsAt(`m/${name}`, INPUT, PLACES, NOW)).toBe(false);
  });
  test('whatever stands there, an evaluation that does not read them has the same outcome', () => {
    fc.assert(fc.property(fc.constantFrom(...Object.keys(NOT_READ)), fc.array(fc.jsonValue(), { minLength: 4, maxLength: 4 }), (name, [authorization, cookie, pair, odd]) => {
      const other = { ...INPUT, headers: { ...INPUT.headers, authorization, cookie }, pairs: [INPUT.pairs[0], { key: 'cookie', value: pair }], 'odd/na~me': odd } as JsonObject;
      expect(policy.evaluate(`m/${name}`, other, NOW)).toEqual(policy.evaluate(`m/${name}`, INPUT, NOW));
    }), { numRuns: 300 });
  });
  test('the same places, not masked, make nothing differ', () => {
    for (const name of Object.keys(READS)) expect(policy.readsAt(`m/${name}`, INPUT, [], NOW)).toBe(false);
  });
  test('what can not be told counts as read', () => {
    expect(policy.readsAt('m/elsewhere', INPUT, ['/nowhere'], NOW)).toBe(true);
    expect(policy.readsAt('m/nothing', INPUT, PLACES, NOW)).toBe(true);
  });
  test('evaluations that follow are not disturbed', () => {
    expect(policy.evaluate('m/elsewhere', INPUT, NOW)).toEqual({ kind: 'value', value: true });
    expect(policy.evaluate('m/compares', { headers: { authorization: 'Bearer let me in' } }, NOW)).toEqual({ kind: 'value', value: true });
    expect(policy.readsAt('m/elsewhere', INPUT, PLACES, NOW)).toBe(false);
  });
});
