import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseStrictJson, strictJsonFault } from '../../src/domain/strict-json.ts';

test('whatever JSON.stringify writes is read as it was', () => {
  fc.assert(fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom(0, 1), (text, indent) => {
    const value: unknown = JSON.parse(text);
    const spaced = JSON.stringify(value, null, indent);
    if (/"__proto__"/.test(spaced) || /\\ud[89a-f]/i.test(spaced)) return;
    expect(parseStrictJson(spaced)).toEqual(value);
  }));
});

test('a text reads the same however it is spaced: the short way refuses what the long one does', () => {
  const part = fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', 'a', '{"a":', '"a":1', '"__proto__":', '1', '-0', '1e400', '1.0', '\\u0061', '\ud800', '[]', '{}', '"]]"', '"["', 'null'), maxLength: 16 });
  fc.assert(fc.property(fc.oneof(part, fc.json({ maxDepth: 6 })), fc.integer({ min: 1, max: 6 }), (text, depth) => {
    // A space is not how JSON.stringify begins, so this goes the long way.
    expect(parseStrictJson(text, { depthMax: depth })).toEqual(parseStrictJson(` ${text}`, { depthMax: depth }));
  }), { numRuns: 5_000 });
  const hidden = `["${']'.repeat(50)}",${'['.repeat(40)}1${']'.repeat(40)}]`;
  expect(parseStrictJson(hidden, { depthMax: 32 })).toBeUndefined();
  expect(parseStrictJson(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)).toBeUndefined();
});

test('whatever is read, JSON.parse reads the same', () => {
  const text = fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', 'a', '\\', 'u', '0', '1', '-', '.', 'e', '+', ' ', '\n', 'true', 'null', '"a"'), maxLength: 24 });
  fc.assert(fc.property(text, (one) => {
    const value = parseStrictJson(one);
    if (value !== undefined) expect(value).toEqual(JSON.parse(one));
  }), { numRuns: 2_000 });
});

test.each([
  '', ' ', '{', '}', '[1,]', '{"a":1,}', '{a:1}', "{'a':1}", '01', '+1', '.5', '1.', '1e', 'NaN', 'Infinity', 'undefined', 'nul', '"', '"\n"', '"\\x"', '"\\u12"', '1 2', '[1] x', '// x\n1',
  '{"a":1,"a":1}', '{"a":1,"b":{"c":1,"c":2}}', '[{"a":1,"\\u0061":2}]', '{"__proto__":1}', '{"\\u005f_proto__":1}', '1e400', '-1e400', '[1e999]', '"\\ud800"', '{"\\udc00":1}',
  `${'['.repeat(33)}${']'.repeat(33)}`, '\ufeff1', '\u00a01',
])('B7: refused: %j', (text) => expect(parseStrictJson(text)).toBeUndefined());

test('B7: names of prototypes are names like others', () => {
  const value = parseStrictJson('{"constructor":1,"toString":{"hasOwnProperty":2}}') as Record<string, unknown>;
  expect(Object.keys(value)).toEqual(['constructor', 'toString']);
  expect(parseStrictJson(`${'['.repeat(32)}${']'.repeat(32)}`)).toBeDefined();
});

test('B8: a megabyte of brackets, quotes or names takes no long time', () => {
  const began = process.cpuUsage();
  for (const text of ['['.repeat(1e6), '{"a":'.repeat(2e5), '"\\'.repeat(5e5), `{${Array.from({ length: 1e5 }, (_, at) => `"${at}":0`).join(',')}}`, ' '.repeat(1e6), '1'.repeat(1e6)]) expect(strictJsonFault(text) === undefined).toBe(parseStrictJson(text) !== undefined);
  const { user, system } = process.cpuUsage(began);
  expect((user + system) / 1_000).toBeLessThan(2_000);
});

test('B7: what is wrong is told with its place, whatever is refused and nothing else', () => {
  const part = fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', 'a', '"a":1', '1', '1e400', '\\', '\n', 'null'), maxLength: 16 });
  fc.assert(fc.property(fc.oneof(part, fc.json({ maxDepth: 4 })), (text) => {
    const fault = strictJsonFault(text);
    expect(fault === undefined).toBe(parseStrictJson(text) !== undefined);
    if (fault !== undefined) expect(fault.column).toBeGreaterThanOrEqual(1);
  }), { numRuns: 2_000 });
});

test.each([
  ['{"a": 1,\n "b": [0, 1e400]}', '/b/1', 2, 11, /beyond range/], ['{"a":{"x":1,\n  "x":2}}', '/a/x', 2, 3, /twice/], ['{"a/b":{"__proto__":1}}', '/a~1b/__proto__', 1, 9, /__proto__/],
  ['{"a":["\\ud800"]}', '/a/0', 1, 7, /surrogate/], ['{"a":1', '', 1, 7, /not JSON/], ['{"a":nope}', '/a', 1, 6, /not JSON/], ['{"a":1}x', '', 1, 8, /not JSON/],
  [`{"a":${'['.repeat(40)}`, `/a${'/0'.repeat(31)}`, 1, 37, /deeper than 32/], [`{"${'n'.repeat(100)}":NaN}`, `/${'n'.repeat(64)}`, 1, 105, /not JSON/],
])('B7: %j is told at %j, line %i, column %i', (text, path, line, column, message) => {
  expect(strictJsonFault(text)).toEqual({ path, line, column, message: expect.stringMatching(message) });
});

test('B7: where others read the same text, an integer that a double does not hold has two readings', () => {
  const exact = (text: string) => parseStrictJson(text, { exactIntegers: true });
  for (const text of ['9007199254740993', '-9007199254740993', '{"a":[1, 123456789012345678901234567891]}', '18446744073709551615', '1'.repeat(300), '0.0, 1']) expect(exact(text), text).toBeUndefined();
  for (const text of ['9007199254740991', '9007199254740992', '18446744073709551616', '1e20', '0.1', '-0', '{"a": 9007199254740994}', '1.0']) expect(exact(text), text).toEqual(JSON.parse(text));
  expect(parseStrictJson('9007199254740993')).toBe(9007199254740992);
});
