import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonText } from '../../src/policy/rego/json.ts';
import { compareRego, equalRego, regoText } from '../../src/policy/rego/order.ts';
import { readRegoValue, writeRegoValue, type RegoValue } from '../../src/policy/rego/value.ts';

const text = fc.string({ unit: 'binary' });
const digits = fc.tuple(fc.bigInt(), fc.option(fc.nat()), fc.option(fc.integer({ min: -30, max: 30 }))).map(
  ([whole, part, power]) => `${whole}${part === null ? '' : `.${part}`}${power === null ? '' : `e${power}`}`,
);
const { value } = fc.letrec<{ value: RegoValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(fc.constant(null), fc.boolean(), text, digits.map(readRegoValue)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(tie('value'), { minLength: 1, maxLength: 4 }).map((items) => new Set(items)),
    fc.array(fc.tuple(fc.oneof(text, tie('value')), tie('value')), { maxLength: 4 }).map((members) => new Map(members)),
  ),
}));

test('values written and read again are the same, to the digit', () => {
  fc.assert(
    fc.property(value, (original) => {
      const read = readRegoValue(writeRegoValue(original));
      expect(equalRego(read, original)).toBe(true);
      expect(writeRegoValue(read)).toBe(writeRegoValue(original));
    }),
  );
});

test('numbers keep their digits', () => {
  fc.assert(fc.property(digits, (number) => writeRegoValue(readRegoValue(number)) === number));
  for (const number of ['0', '-0', '0.10', '1e2', '1E+2', '9007199254740993', '1.0', '123456789012345678901234567890.5']) expect(writeRegoValue(readRegoValue(number))).toBe(number);
  expect(writeRegoValue(readRegoValue('.5'))).toBe('0.5');
});

test('the order is total and agrees with equality', () => {
  fc.assert(
    fc.property(value, value, value, (a, b, c) => {
      expect(Math.sign(compareRego(a, b))).toBe(-Math.sign(compareRego(b, a)) + 0);
      expect(compareRego(a, a)).toBe(0);
      const sorted = [a, b, c].toSorted(compareRego) as [RegoValue, RegoValue, RegoValue];
      expect(compareRego(sorted[0], sorted[2])).toBeLessThanOrEqual(0);
    }),
  );
});

test('numbers compare by value', () => {
  for (const [a, b] of [['1', '1.0'], ['100', '1e2'], ['0', '-0'], ['0.5', '.5'], ['9007199254740993', '9007199254740993.0']] as const) {
    expect(compareRego(readRegoValue(a), readRegoValue(b)), `${a} and ${b}`).toBe(0);
  }
  expect(compareRego(readRegoValue('9007199254740992'), readRegoValue('9007199254740993'))).toBeLessThan(0);
  expect(compareRego(readRegoValue('-1e3'), readRegoValue('-999.5'))).toBeLessThan(0);
});

test('what Rego does not write is refused', () => {
  for (const bad of ['', '{', '[1', '{1: 2, 3}', '[1 2]', '"a', 'nul', 'set(', '{1,}', '1 2', '--1', 'NaN', "'a'"]) expect(() => readRegoValue(bad), bad).toThrow(SyntaxError);
});

test('the JSON of a value is JSON, with sets sorted', () => {
  fc.assert(fc.property(value, (original) => void JSON.parse(jsonText(original))));
  expect(jsonText(readRegoValue('{{2, 10, 1}: set(), "k": {"b", "a"}}'))).toBe('{"[1,2,10]":[],"k":["a","b"]}');
  expect(regoText(readRegoValue('{"b": {2, 1}, "a": "x"}'))).toBe('{"a": "x", "b": {1, 2}}');
});
