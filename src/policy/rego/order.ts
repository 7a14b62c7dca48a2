/** Rego's order and equality of values, and how OPA writes a value for people. */
import { isRegoNumber, type RegoObject, type RegoValue } from './value.ts';
import { quote } from './quote.ts';
import { compareNumbers, digitsOf } from './number.ts';

const rankOf = (value: RegoValue): number => {
  if (value === null) return 0;
  if (typeof value === 'boolean') return 1;
  if (isRegoNumber(value)) return 2;
  if (typeof value === 'string') return 3;
  if (value instanceof Map) return 5;
  return value instanceof Set ? 6 : 4;
};

/** By bytes of UTF-8, which is by code point and not by UTF-16 unit. */
export const compareStrings = (a: string, b: string): number => (a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)));

const compareLists = (a: readonly RegoValue[], b: readonly RegoValue[]): number => {
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const order = compareRego(a[index] as RegoValue, b[index] as RegoValue);
    if (order !== 0) return order;
  }
  return a.length - b.length;
};

export const sortedUnique = (values: Iterable<RegoValue>): readonly RegoValue[] =>
  [...values].toSorted(compareRego).filter((value, index, all) => index === 0 || compareRego(all[index - 1] as RegoValue, value) !== 0);

const sortedMembers = (object: RegoObject): readonly (readonly [RegoValue, RegoValue])[] => [...object].toSorted(([a], [b]) => compareRego(a, b));

const compareObjects = (a: RegoObject, b: RegoObject): number => {
  const left = sortedMembers(a);
  const right = sortedMembers(b);
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const [leftKey, leftValue] = left[index] as readonly [RegoValue, RegoValue];
    const [rightKey, rightValue] = right[index] as readonly [RegoValue, RegoValue];
    const order = compareRego(leftKey, rightKey) || compareRego(leftValue, rightValue);
    if (order !== 0) return order;
  }
  return left.length - right.length;
};

/** Negative, zero or positive. */
export const compareRego = (a: RegoValue, b: RegoValue): number => {
  const rank = rankOf(a);
  const ranks = rank - rankOf(b);
  if (ranks !== 0 || a === b) return ranks;
  switch (rank) {
    case 1:
      return a === true ? 1 : -1;
    case 2:
      return compareNumbers(a as number, b as number);
    case 3:
      return compareStrings(a as string, b as string);
    case 4:
      return compareLists(a as readonly RegoValue[], b as readonly RegoValue[]);
    case 5:
      return compareObjects(a as RegoObject, b as RegoObject);
    default:
      return compareLists(sortedUnique(a as Iterable<RegoValue>), sortedUnique(b as Iterable<RegoValue>));
  }
};

export const equalRego = (a: RegoValue, b: RegoValue): boolean => compareRego(a, b) === 0;

/** The member of `object` under `key`, of whatever type. */
export const member = (object: RegoObject, key: RegoValue): RegoValue | undefined => {
  if (typeof key === 'string' || object.has(key)) return object.get(key);
  if (typeof key !== 'object' && !isRegoNumber(key)) return undefined;
  for (const [name, value] of object) if (typeof name !== 'string' && equalRego(name, key)) return value;
  return undefined;
};

/** As OPA prints it: `{"a": [1, "x"], "b": {1, 2}}`, `set()`. */
export const regoText = (value: RegoValue): string => {
  if (typeof value === 'string') return quote(value);
  if (isRegoNumber(value)) return digitsOf(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Map) return `{${sortedMembers(value as RegoObject).map(([key, inner]) => `${regoText(key)}: ${regoText(inner)}`).join(', ')}}`;
  if (value instanceof Set) return value.size === 0 ? 'set()' : `{${sortedUnique(value as Iterable<RegoValue>).map(regoText).join(', ')}}`;
  return `[${(value as readonly RegoValue[]).map(regoText).join(', ')}]`;
};
