/**
 * One operand as Go's `fmt` writes it: int64, big.Int, float64 and string. Unusual combinations (`%x`, `%b` and `#` with floats)
 * are not served.
 */
import { notServed } from '../../rego/not-served.ts';
import { formatFloat } from './float.ts';
import { canBackquote, isPrintable, quote, quoteRune } from '../../rego/quote.ts';

export type GoArgument = { readonly type: 'int64'; readonly value: bigint } | { readonly type: 'big'; readonly value: bigint } | { readonly type: 'float64'; readonly value: number } | { readonly type: 'string'; readonly value: string };

export interface Flags {
  sharp: boolean;
  zero: boolean;
  plus: boolean;
  minus: boolean;
  space: boolean;
  /** `#` and `+` before `v` mean something else. */
  sharpV: boolean;
  plusV: boolean;
  width: number | undefined;
  precision: number | undefined;
}

export const typeName = (argument: GoArgument): string => (argument.type === 'big' ? '*big.Int' : argument.type);

const runes = (text: string): number => {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
};

const padding = (flags: Flags, count: number): string => (count > 0 ? (flags.zero && !flags.minus ? '0' : ' ').repeat(count) : '');

const pad = (text: string, flags: Flags): string => {
  if (flags.width === undefined) return text;
  const fill = padding(flags, flags.width - runes(text));
  return flags.minus ? text + fill : fill + text;
};

const truncate = (text: string, flags: Flags): string => (flags.precision === undefined ? text : Array.from(text).slice(0, flags.precision).join(''));

const BASES: ReadonlyMap<string, 2 | 8 | 10 | 16> = new Map([['v', 10], ['d', 10], ['b', 2], ['o', 8], ['O', 8], ['x', 16], ['X', 16]]);

const runeOf = (value: bigint): string => (value < 0n || value > 0x10ffffn || (value >= 0xd800n && value <= 0xdfffn) ? '\ufffd' : String.fromCodePoint(Number(value)));

const formatUnicode = (value: bigint, flags: Flags): string => {
  const code = BigInt.asUintN(64, value);
  const digits = code.toString(16).toUpperCase().padStart(Math.max(flags.precision ?? 4, 4), '0');
  const char = runeOf(code);
  const shown = flags.sharp && (code === 0xfffdn || char !== '\ufffd') && isPrintable(char) ? ` '${char}'` : '';
  return pad(`U+${digits}${shown}`, { ...flags, zero: false });
};

const formatInt = (value: bigint, verb: string, flags: Flags): string | undefined => {
  const base = BASES.get(verb);
  if (base === undefined) {
    if (verb === 'c') return pad(runeOf(value), flags);
    if (verb === 'q') return pad(quoteRune(runeOf(value), flags.plus), flags);
    return verb === 'U' ? formatUnicode(value, flags) : undefined;
  }
  const negative = value < 0n;
  if (flags.precision === 0 && value === 0n) return ' '.repeat(flags.width ?? 0);
  let least = flags.precision ?? 0;
  if (flags.precision === undefined && flags.zero && !flags.minus && flags.width !== undefined) least = flags.width - (negative || flags.plus || flags.space ? 1 : 0);
  let text = (negative ? -value : value).toString(base).padStart(least, '0');
  if (verb === 'X') text = text.toUpperCase();
  if (flags.sharp) {
    if (base === 2) text = `0b${text}`;
    else if (base === 8 && !text.startsWith('0')) text = `0${text}`;
    else if (base === 16) text = `0${verb === 'X' ? 'X' : 'x'}${text}`;
  }
  if (verb === 'O') text = `0o${text}`;
  const sign = negative ? '-' : flags.plus ? '+' : flags.space ? ' ' : '';
  return pad(sign + text, { ...flags, zero: false });
};

/** `big.Int` formats itself, a little differently. */
const formatBig = (value: bigint, verb: string, flags: Flags): string => {
  const base = verb === 's' ? 10 : BASES.get(verb);
  if (base === undefined) return `%!${verb}(big.Int=${value})`;
  if (value === 0n && flags.precision === 0) return '';
  const negative = value < 0n;
  const sign = negative ? '-' : flags.plus || flags.plusV ? '+' : flags.space ? ' ' : '';
  const prefix = verb === 'O' ? '0o' : !flags.sharp ? '' : verb === 'b' ? '0b' : verb === 'o' ? '0' : verb === 'x' ? '0x' : verb === 'X' ? '0X' : '';
  let digits = (negative ? -value : value).toString(base);
  if (verb === 'X') digits = digits.toUpperCase();
  digits = digits.padStart(flags.precision ?? 0, '0');
  const missing = (flags.width ?? 0) - sign.length - prefix.length - digits.length;
  if (missing <= 0) return sign + prefix + digits;
  if (flags.minus) return sign + prefix + digits + ' '.repeat(missing);
  if (flags.zero && flags.precision === undefined) return sign + prefix + '0'.repeat(missing) + digits;
  return ' '.repeat(missing) + sign + prefix + digits;
};

const formatDouble = (value: number, verb: string, flags: Flags): string | undefined => {
  if (!'vgGfFeExXb'.includes(verb)) return undefined;
  if (flags.sharp || flags.sharpV || 'xXb'.includes(verb)) return notServed(`%${verb} of a float with these flags`);
  const plain = verb === 'v' ? 'g' : verb === 'F' ? 'f' : (verb as 'g');
  const precision = flags.precision ?? ('fFeE'.includes(verb) ? 6 : -1);
  const text = formatFloat(value, plain, precision);
  const negative = text.startsWith('-');
  const digits = negative ? text.slice(1) : text;
  const sign = negative ? '-' : flags.plus ? '+' : flags.space ? ' ' : '';
  const missing = (flags.width ?? 0) - sign.length - digits.length;
  // A sign stands before the zeros.
  if (sign !== '' && flags.zero && !flags.minus && missing > 0) return sign + '0'.repeat(missing) + digits;
  return pad(sign + digits, flags);
};

const formatHex = (text: string, verb: string, flags: Flags): string => {
  const bytes = Buffer.from(text).subarray(0, flags.precision);
  if (bytes.length === 0) return padding(flags, flags.width ?? 0);
  const prefix = flags.sharp ? `0${verb}` : '';
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(flags.space ? ` ${prefix}` : '');
  return pad(prefix + (verb === 'X' ? hex.toUpperCase() : hex), flags);
};

const formatString = (value: string, verb: string, flags: Flags): string | undefined => {
  if (verb === 'q' || (verb === 'v' && flags.sharpV)) {
    const text = truncate(value, flags);
    return pad(flags.sharp && canBackquote(text) ? `\`${text}\`` : quote(text, flags.plus), flags);
  }
  if (verb === 'v' || verb === 's') return pad(truncate(value, flags), flags);
  return verb === 'x' || verb === 'X' ? formatHex(value, verb, flags) : undefined;
};

/** `undefined` when the verb is not for this type. */
const formatPlain = (argument: Exclude<GoArgument, { readonly type: 'big' }>, verb: string, flags: Flags): string | undefined => {
  switch (argument.type) {
    case 'int64':
      return formatInt(argument.value, verb, flags);
    case 'float64':
      return formatDouble(argument.value, verb, flags);
    case 'string':
      return formatString(argument.value, verb, flags);
  }
};

export const formatArgument = (argument: GoArgument, verb: string, flags: Flags): string => {
  if (verb === 'T') return pad(truncate(typeName(argument), flags), flags);
  // Go prints an address here.
  if (argument.type === 'big' && (verb === 'p' || verb === 'w')) return notServed(`%${verb} of a big integer`);
  if (verb === 'p') return `%!p(${typeName(argument)}=${formatArgument(argument, 'v', flags)})`;
  if (argument.type === 'big') return formatBig(argument.value, verb, flags);
  const text = formatPlain(argument, verb, flags);
  return text ?? `%!${verb}(${typeName(argument)}=${formatArgument(argument, 'v', flags)})`;
};

export const noFlags = (): Flags => ({ sharp: false, zero: false, plus: false, minus: false, space: false, sharpV: false, plusV: false, width: undefined, precision: undefined });
