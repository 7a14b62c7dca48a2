/**
 * Does a module lay its values out as `value-writer.ts` does? A sample is given to the module's own parser and to the writer, and
 * both graphs are walked together: types, texts, digits, the order of members in their buckets. Bundles bring the module they
 * were compiled with, whatever version of OPA that was: one that differs in anything is given its input as text.
 */
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { NUMBER, TYPE } from './value-writer.ts';

const NULL = 1;

const objectOf = (count: number, name: (index: number) => string): JsonObject => Object.fromEntries(Array.from({ length: count }, (_, index) => [name(index), index]));

/** Every type, the sizes around which tables and arrays grow, up to 100 members, names that share a bucket, texts of every size of block. */
export const LAYOUT_SAMPLE: JsonValue = {
  scalars: [null, true, false, 0, -1, 7, 1.5, -0.25, 1e300, 5e-324, 4_294_967_296, -4_294_967_297, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 60],
  texts: ['', 'a', 'abcd', 'abcde', '"\\/\b\f\n\r\t\u0000\u001f\u007f', 'ä€\u{1f600}', ...[8, 9, 16, 17, 64, 65, 96, 97, 300].map((length) => 'x'.repeat(length))],
  objects: [0, 1, 2, 3, 5, 6, 11, 12, 22, 23, 44, 45].map((count) => objectOf(count, (index) => `${'member'.slice(0, index % 7)}${index * 37}`)),
  large: objectOf(100, (index) => `x-header-${index}`),
  arrays: [...[0, 1, 2, 9, 10, 11, 20, 21].map((length) => Array.from({ length }, (_, index) => index)), Array.from({ length: 100 }, () => [])],
  'a name with "quotes"': { '': [{ '': {} }], '\u0001': 1, ' ': 2 },
  nested: [[[[[[{ a: { b: { c: [{}] } } }]]]]]],
};

export const sameValues = (memory: { readonly buffer: ArrayBuffer }, one: number, other: number): boolean => {
  const bytes = Buffer.from(memory.buffer);
  const word = (address: number): number => bytes.readUInt32LE(address);
  const text = (address: number, length: number): string => bytes.toString('latin1', address, address + length);
  const digits = (node: number): string => {
    switch (bytes[node + 1]) {
      case NUMBER.int:
        return `int ${bytes.readBigInt64LE(node + 8)}`;
      case NUMBER.text:
        return `text ${text(word(node + 8), word(node + 12))}`;
      default:
        return 'of a kind that is not known';
    }
  };
  const sameBuckets = (a: number, b: number): boolean => {
    if (a === 0 || b === 0) return a === b;
    return same(word(a), word(b)) && same(word(a + 4), word(b + 4)) && sameBuckets(word(a + 8), word(b + 8));
  };
  const every = (count: number, holds: (index: number) => boolean): boolean => {
    for (let index = 0; index < count; index += 1) if (!holds(index)) return false;
    return true;
  };
  const same = (a: number, b: number): boolean => {
    const type = bytes[a];
    if (type !== bytes[b]) return false;
    switch (type) {
      case TYPE.number:
        return digits(a) === digits(b);
      case TYPE.string:
        return word(a + 4) === word(b + 4) && text(word(a + 8), word(a + 4)) === text(word(b + 8), word(b + 4));
      case TYPE.array: {
        const [elements, others] = [word(a + 4), word(b + 4)];
        return word(a + 8) === word(b + 8) && every(word(a + 8) * 2, (index) => same(word(elements + index * 4), word(others + index * 4)));
      }
      case TYPE.object: {
        const [table, other] = [word(a + 4), word(b + 4)];
        return word(a + 8) === word(b + 8) && word(a + 12) === word(b + 12) && every(word(a + 8), (index) => sameBuckets(word(table + index * 4), word(other + index * 4)));
      }
      default:
        // The parser's own constants, of one byte and a value.
        return bytes[a + 1] === bytes[b + 1] || type === NULL;
    }
  };
  try {
    return same(one, other);
  } catch {
    // An address that points nowhere: another layout.
    return false;
  }
};
