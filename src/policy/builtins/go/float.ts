/** Go's `strconv.FormatFloat` for 64-bit floats: verbs e, f and g, correctly rounded, halves to even. */

/** `0.digits * 10 ** point`. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

const bits = new DataView(new ArrayBuffer(8));

/** The exact decimal expansion of a finite, non-negative double. */
const exactly = (value: number): Decimal => {
  bits.setFloat64(0, value);
  const raw = bits.getBigUint64(0);
  const biased = Number(raw >> 52n);
  const fraction = raw & 0xfffffffffffffn;
  const mantissa = biased === 0 ? fraction : fraction | 0x10000000000000n;
  const power = Math.max(biased, 1) - 1075;
  const whole = power >= 0 ? mantissa << BigInt(power) : mantissa * 5n ** BigInt(-power);
  const text = whole.toString();
  const digits = text.replace(/0+$/, '');
  return { digits, point: text.length + Math.min(power, 0) };
};

/** The shortest decimal that reads back as the same double. */
const shortest = (value: number): Decimal => {
  if (value === 0) return { digits: '', point: 0 };
  const [mantissa = '', exponent = '0'] = value.toExponential().split('e');
  return { digits: mantissa.replace('.', ''), point: Number(exponent) + 1 };
};

/** Keeps `count` digits. */
const rounded = ({ digits, point }: Decimal, count: number): Decimal => {
  if (count >= digits.length) return { digits, point };
  if (count < 0) return { digits: '', point: 0 };
  const rest = digits.slice(count);
  const half = `5${'0'.repeat(rest.length - 1)}`;
  const last = count === 0 ? 0 : Number(digits[count - 1]);
  const up = rest > half || (rest === half && last % 2 === 1);
  const kept = digits.slice(0, count);
  if (!up) return { digits: kept.replace(/0+$/, ''), point: kept === '' ? 0 : point };
  const next = (BigInt(kept === '' ? '0' : kept) + 1n).toString();
  return { digits: next.replace(/0+$/, ''), point: next.length > kept.length ? point + 1 : point };
};

const formatE = ({ digits, point }: Decimal, precision: number, letter: string): string => {
  const shown = digits === '' ? '0' : digits;
  const fraction = shown.slice(1).padEnd(precision, '0').slice(0, precision);
  const exponent = digits === '' ? 0 : point - 1;
  return `${shown[0] ?? '0'}${precision > 0 ? `.${fraction}` : ''}${letter}${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
};

const formatF = ({ digits, point }: Decimal, precision: number): string => {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0';
  if (precision <= 0) return whole;
  const fraction = point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits;
  return `${whole}.${fraction.padEnd(precision, '0').slice(0, precision)}`;
};

/** `precision` -1 means as few digits as read back the same. The sign is `-` or nothing. */
export const formatFloat = (value: number, verb: 'e' | 'E' | 'f' | 'g' | 'G', precision: number): string => {
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const magnitude = Math.abs(value);
  const isShortest = precision < 0;
  if (verb === 'f') {
    const exact = isShortest ? shortest(magnitude) : exactly(magnitude);
    const decimal = isShortest ? exact : rounded(exact, exact.point + precision);
    return sign + formatF(decimal, isShortest ? Math.max(decimal.digits.length - decimal.point, 0) : precision);
  }
  if (verb === 'e' || verb === 'E') {
    const decimal = isShortest ? shortest(magnitude) : rounded(exactly(magnitude), precision + 1);
    return sign + formatE(decimal, isShortest ? Math.max(decimal.digits.length - 1, 0) : precision, verb);
  }
  const wanted = precision === 0 ? 1 : precision;
  const decimal = isShortest ? shortest(magnitude) : rounded(exactly(magnitude), wanted);
  const count = decimal.digits.length;
  let threshold = isShortest ? 6 : wanted;
  if (!isShortest && threshold > count && count >= decimal.point) threshold = count;
  const exponent = decimal.point - 1;
  if (exponent < -4 || exponent >= threshold) {
    return sign + formatE(decimal, Math.max(count - 1, 0), verb === 'G' ? 'E' : 'e');
  }
  return sign + formatF(decimal, Math.max(count - decimal.point, 0));
};
