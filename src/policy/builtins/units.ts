/** `units.parse` and `units.parse_bytes`: amounts such as `10Gi`, `0.5k`, `200m`. */
import type { RegoValue } from '../rego/value.ts';
import { notServed } from '../rego/not-served.ts';
import { fail, string } from './operands.ts';
import type { Builtins } from './builtin.ts';

interface Fraction {
  readonly above: bigint;
  readonly below: bigint;
}

const SI = new Map([['k', 1n], ['m', 2n], ['g', 3n], ['t', 4n], ['p', 5n], ['e', 6n]].map(([name, power]) => [name as string, 1000n ** (power as bigint)]));
const BINARY = new Map([['ki', 1n], ['mi', 2n], ['gi', 3n], ['ti', 4n], ['pi', 5n], ['ei', 6n]].map(([name, power]) => [name as string, 1024n ** (power as bigint)]));

/** The double 0.001, exactly: what Go multiplies with. */
const MILLI: Fraction = { above: 1_152_921_504_606_847n, below: 2n ** 60n };

/** Beyond any amount that a policy means; OPA goes on to 999,999. */
const EXPONENT_MAX = 1_000;

const numberAndUnit = (text: string): readonly [string, string] => {
  if (text.includes(' ')) return fail('blanks are not allowed');
  let at = 0;
  for (; at < text.length; at += 1) {
    const char = text[at] as string;
    if (/[0-9.+-]/.test(char)) continue;
    if (!/[eE]/.test(char) || !/^[0-9+-]/.test(text.slice(at + 1))) break;
    if (/[+-]/.test(text[at + 1] as string)) at += 1;
    if (/^[0-9]{7}/.test(text.slice(at + 1))) return fail('exponent too large');
  }
  return at === 0 ? fail('no amount') : [text.slice(0, at), text.slice(at)];
};

const fractionOf = (text: string): Fraction => {
  const match = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/.exec(text);
  const [, sign = '', whole = '', part = '', power = '0'] = match ?? fail('not a number');
  if (whole === '' && part === '') return fail('not a number');
  const exponent = Number(power) - part.length;
  if (Math.abs(exponent) > EXPONENT_MAX) return notServed('an amount with such an exponent');
  const digits = BigInt(`${whole}${part}`) * (sign === '-' ? -1n : 1n);
  return exponent >= 0 ? { above: digits * 10n ** BigInt(exponent), below: 1n } : { above: digits, below: 10n ** BigInt(-exponent) };
};

const magnitude = (value: bigint): bigint => (value < 0n ? -value : value);

/** Ten digits after the point, halves away from zero; whole numbers without a point. */
const decimalText = ({ above, below }: Fraction): string => {
  if (above % below === 0n) return String(above / below);
  const scaled = magnitude(above) * 10n ** 10n;
  const digits = String((2n * scaled + below) / (2n * below)).padStart(11, '0');
  return `${above < 0n ? '-' : ''}${digits.slice(0, -10)}.${digits.slice(-10)}`;
};

const parseUnits = (text: string): RegoValue => {
  const [number, rawUnit] = numberAndUnit(text.replaceAll('"', ''));
  const unit = rawUnit.slice(0, 1) + rawUnit.slice(1).toLowerCase();
  const amount = fractionOf(number);
  let factor: Fraction | undefined;
  if (unit === '') factor = { above: 1n, below: 1n };
  else if (unit === 'm') factor = MILLI;
  else {
    const whole = SI.get(unit.toLowerCase()) ?? BINARY.get(unit.toLowerCase());
    if (whole !== undefined && /^[kKMgGtTpPeEm]i?$/.test(unit)) factor = { above: whole, below: 1n };
  }
  if (factor === undefined) return fail('unit not recognised');
  return { digits: decimalText({ above: amount.above * factor.above, below: amount.below * factor.below }) };
};

/** Go's big.Float keeps 64 bits of a mantissa, halves to even. */
const to64Bits = ({ above, below }: Fraction): Fraction => {
  if (above === 0n) return { above, below: 1n };
  const size = magnitude(above).toString(2).length - below.toString(2).length;
  // Scaled so that the quotient has 64 or 65 bits.
  let shift = 64 - size;
  let top = shift >= 0 ? magnitude(above) << BigInt(shift) : magnitude(above);
  let bottom = shift >= 0 ? below : below << BigInt(-shift);
  if (top / bottom >= 2n ** 64n) {
    shift -= 1;
    if (shift >= 0) top = magnitude(above) << BigInt(shift);
    else bottom = below << BigInt(-shift);
  }
  let mantissa = top / bottom;
  const rest = (top % bottom) * 2n;
  if (rest > bottom || (rest === bottom && mantissa % 2n === 1n)) mantissa += 1n;
  const signed = above < 0n ? -mantissa : mantissa;
  return shift >= 0 ? { above: signed, below: 2n ** BigInt(shift) } : { above: signed << BigInt(-shift), below: 1n };
};

const parseBytes = (text: string): bigint => {
  const [number, unit] = numberAndUnit(text.toLowerCase().replaceAll('"', ''));
  const name = unit.endsWith('b') && unit.length > 1 ? unit.slice(0, -1) : unit;
  const factor = unit === '' ? 1n : (SI.get(name) ?? BINARY.get(name) ?? fail('unit not recognised'));
  const amount = to64Bits(fractionOf(number));
  const product = to64Bits({ above: amount.above * factor, below: amount.below });
  return product.above / product.below;
};

export const unitBuiltins: Builtins = {
  'units.parse': ([text]) => parseUnits(string(text)),
  'units.parse_bytes': ([text]) => parseBytes(string(text)),
};
