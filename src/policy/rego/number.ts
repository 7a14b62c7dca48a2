/** Numbers by value: exact decimals, without a limit but a sane exponent. */
import type { RegoNumber } from './value.ts';
import { notServed } from './not-served.ts';

/** `coefficient * 10 ** exponent`; the coefficient has no trailing zero, and zero has exponent 0: equal numbers look equal. */
export interface Decimal {
  readonly coefficient: bigint;
  readonly exponent: number;
}

const PARTS = /^(-?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;

export const digitsOf = (value: number | bigint | RegoNumber): string => (typeof value === 'object' ? value.digits : String(value));

/** Throws SyntaxError for what is no number. */
export const decimalOf = (value: number | bigint | RegoNumber): Decimal => {
  const match = PARTS.exec(digitsOf(value));
  if (match === null) throw new SyntaxError('not a number');
  const [, sign = '', whole = '', fraction = '', power = '0'] = match;
  let exponent = Number(power) - fraction.length;
  let digits = `${whole}${fraction}`.replace(/^0+/, '');
  const kept = digits.replace(/0+$/, '');
  exponent += digits.length - kept.length;
  digits = kept;
  if (digits === '') return { coefficient: 0n, exponent: 0 };
  if (!Number.isSafeInteger(exponent)) return notServed('a number with such an exponent');
  return { coefficient: BigInt(`${sign}${digits}`), exponent };
};

const EXPONENT_SPAN_MAX = 20_000;

/** Negative, zero or positive, by value. */
export const compareNumbers = (a: number | bigint | RegoNumber, b: number | bigint | RegoNumber): number => {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const left = decimalOf(a);
  const right = decimalOf(b);
  const signs = Number(left.coefficient > 0n) - Number(left.coefficient < 0n) - (Number(right.coefficient > 0n) - Number(right.coefficient < 0n));
  if (signs !== 0 || left.coefficient === 0n) return signs;
  const span = left.exponent - right.exponent;
  if (Math.abs(span) > EXPONENT_SPAN_MAX) return notServed('comparing numbers that far apart');
  const l = span > 0 ? left.coefficient * 10n ** BigInt(span) : left.coefficient;
  const r = span < 0 ? right.coefficient * 10n ** BigInt(-span) : right.coefficient;
  return Number(l > r) - Number(l < r);
};
