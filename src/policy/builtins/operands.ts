/** Operands of builtins, and the two ways to have no value for them. */
import { isRegoNumber, type RegoObject, type RegoSet, type RegoValue } from '../rego/value.ts';
import { notServed } from '../rego/not-served.ts';
import { decimalOf } from '../rego/number.ts';

/** OPA would call this an error too: the expression is undefined. */
export const fail = (why: string): never => {
  throw new TypeError(why);
};

export const isArray = (value: RegoValue | undefined): value is readonly RegoValue[] => Array.isArray(value);
export const isSet = (value: RegoValue | undefined): value is RegoSet => value instanceof Set;
export const isObject = (value: RegoValue | undefined): value is RegoObject => value instanceof Map;

export const string = (value: RegoValue | undefined): string => (typeof value === 'string' ? value : fail('must be a string'));
export const array = (value: RegoValue | undefined): readonly RegoValue[] => (isArray(value) ? value : fail('must be an array'));
export const object = (value: RegoValue | undefined): RegoObject => (isObject(value) ? value : fail('must be an object'));

/** Members of an array or a set. */
export const collection = (value: RegoValue | undefined): readonly RegoValue[] => {
  if (isArray(value)) return value;
  return isSet(value) ? [...value] : fail('must be an array or a set');
};

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

export const isInt64 = (value: bigint): boolean => value >= INT64_MIN && value <= INT64_MAX;

/** Whole numbers of any size, also written as `1e3` or `2.0`. */
export const bigInteger = (value: RegoValue | undefined): bigint => {
  if (value === undefined || !isRegoNumber(value)) return fail('must be a number');
  const { coefficient, exponent } = decimalOf(value);
  if (exponent < 0) return fail('must be a whole number');
  // Beyond any integer that a policy means, and costly.
  if (exponent > 1_000) return notServed('a number of more than a thousand digits');
  return coefficient * 10n ** BigInt(exponent);
};

/** As OPA reads an `int`: digits only, or `.` and zeros after them; within 64 bits. */
export const int64 = (value: RegoValue | undefined): bigint => {
  if (typeof value === 'object' && value !== null && 'digits' in value && !/^-?[0-9]+\.?0*$/.test(value.digits)) return fail('must be an integer');
  const whole = bigInteger(value);
  return isInt64(whole) ? whole : fail('must fit 64 bits');
};

/** An `int` that JavaScript counts exactly. */
export const smallInt = (value: RegoValue | undefined): number => {
  const whole = Number(int64(value));
  return Number.isSafeInteger(whole) ? whole : notServed('an integer beyond 2^53');
};
