/** Go's `time.ParseDuration`, with OPA's days, weeks and years on top. */
import { formatFloat } from '../go/float.ts';
import { fail } from '../operands.ts';

const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['\u00b5s', 1_000n],
  ['\u03bcs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);

const HOURS: ReadonlyMap<string, number> = new Map([['d', 24], ['w', 7 * 24], ['y', 365 * 24]]);

const LIMIT = 2n ** 63n;
const SEGMENT = /(\d*)(?:(\.)(\d*))?([^.\d]+)/uy;

const bad = (): never => fail('not a duration');

/** Digits after the point that Go takes into account, and the power of ten they stand for. */
const fraction = (digits: string): readonly [number, number] => {
  let value = 0n;
  let scale = 1;
  for (const digit of digits) {
    if (value > (LIMIT - 1n) / 10n) break;
    const next = value * 10n + BigInt(digit);
    if (next > LIMIT) break;
    value = next;
    scale *= 10;
  }
  return [Number(value), scale];
};

/** Nanoseconds of `1h30m`, `-1.5s`, `300ms`. */
const goDuration = (text: string): bigint => {
  const negative = text.startsWith('-');
  const body = text.replace(/^[+-]/, '');
  if (body === '0') return 0n;
  if (body === '') return bad();
  let total = 0n;
  SEGMENT.lastIndex = 0;
  while (SEGMENT.lastIndex < body.length) {
    const match = SEGMENT.exec(body);
    if (match === null) return bad();
    const [, whole = '', , part = '', name = ''] = match;
    const unit = UNITS.get(name);
    if (unit === undefined || (whole === '' && part === '')) return bad();
    let value = BigInt(whole === '' ? '0' : whole);
    if (value > LIMIT / unit) return bad();
    const [digits, scale] = fraction(part);
    value = value * unit + (digits > 0 ? BigInt(Math.trunc(digits * (Number(unit) / scale))) : 0n);
    total += value;
    if (value > LIMIT || total > LIMIT) return bad();
  }
  if (negative) return -total;
  return total < LIMIT ? total : bad();
};

const EXTENDED = /^([+-]?)((?:[0-9.]+(?:ns|us|\u00b5s|ms|s|m|h|d|w|y))+)$/u;

export const parseDuration = (text: string): bigint => {
  if (!/[dwy]/.test(text)) return goDuration(text);
  const match = EXTENDED.exec(text) ?? bad();
  const rewritten = (match[2] ?? '').replace(/([0-9.]+)([^0-9.]+)/gu, (segment, digits: string, unit: string) => {
    const hours = HOURS.get(unit);
    if (hours === undefined) return segment;
    const value = /^(?:\d+\.?\d*|\.\d+)$/.test(digits) ? Number(digits) * hours : Number.NaN;
    return Number.isFinite(value) ? `${formatFloat(value, 'f', -1)}h` : bad();
  });
  return goDuration(`${match[1] ?? ''}${rewritten}`);
};
