/**
 * Go's `fmt.Sprintf` for the operands Rego passes: int64, big.Int, float64 and string. Unusual combinations (`%x`, `%b` and
 * `#` with floats) are not served.
 */
import { notServed } from '../../rego/not-served.ts';
import { formatFloat } from './float.ts';
import { canBackquote, isPrintable, quote, quoteRune } from '../../rego/quote.ts';

export type GoArgument = { readonly type: 'int64'; readonly value: bigint } | { readonly type: 'big'; readonly value: bigint } | { readonly type: 'float64'; readonly value: number } | { readonly type: 'string'; readonly value: string };

interface Flags {
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

const OUTPUT_CHARS_MAX = 1_000_000;
const NUMBER_MAX = 1_000_000;

const typeName = (argument: GoArgument): string => (argument.type === 'big' ? '*big.Int' : argument.type);

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

const formatArgument = (argument: GoArgument, verb: string, flags: Flags): string => {
  if (verb === 'T') return pad(truncate(typeName(argument), flags), flags);
  // Go prints an address here.
  if (argument.type === 'big' && (verb === 'p' || verb === 'w')) return notServed(`%${verb} of a big integer`);
  if (verb === 'p') return `%!p(${typeName(argument)}=${formatArgument(argument, 'v', flags)})`;
  if (argument.type === 'big') return formatBig(argument.value, verb, flags);
  const text = formatPlain(argument, verb, flags);
  return text ?? `%!${verb}(${typeName(argument)}=${formatArgument(argument, 'v', flags)})`;
};

const clear = (): Flags => ({ sharp: false, zero: false, plus: false, minus: false, space: false, sharpV: false, plusV: false, width: undefined, precision: undefined });

/** Formats as Go does, mistakes in the format included (`%!d(MISSING)`). */
export const sprintf = (format: string, args: readonly GoArgument[]): string => {
  const chars = Array.from(format);
  let at = 0;
  let next = 0;
  let good = true;
  let afterIndex = false;
  let reordered = false;
  let out = '';
  const emit = (text: string): void => {
    out += text;
    if (out.length > OUTPUT_CHARS_MAX) throw new RangeError('sprintf writes too much');
  };

  const number = (): number | undefined => {
    let value: number | undefined;
    for (; at < chars.length && /^[0-9]$/.test(chars[at] as string); at += 1) {
      if ((value ?? 0) > NUMBER_MAX) {
        at = chars.length;
        return undefined;
      }
      value = (value ?? 0) * 10 + Number(chars[at]);
    }
    return value;
  };
  const argumentIndex = (): boolean => {
    if (chars[at] !== '[') return false;
    reordered = true;
    const close = chars.indexOf(']', at + 1);
    const inside = close === -1 ? '' : chars.slice(at + 1, close).join('');
    at = close === -1 || chars.length - at < 3 ? at + 1 : close + 1;
    const index = /^[0-9]{1,7}$/.test(inside) ? Number(inside) : undefined;
    if (index !== undefined && index <= 10 * NUMBER_MAX && index >= 1 && index <= args.length) {
      next = index - 1;
      return true;
    }
    good = false;
    return index !== undefined;
  };
  const starred = (): number | undefined => {
    at += 1;
    const argument = args[next];
    if (argument === undefined) return undefined;
    next += 1;
    if (argument.type !== 'int64') return undefined;
    const value = Number(argument.value);
    return Math.abs(value) > NUMBER_MAX ? undefined : value;
  };
  const readWidth = (flags: Flags): void => {
    if (chars[at] === '*') {
      flags.width = starred();
      if (flags.width === undefined) emit('%!(BADWIDTH)');
      else if (flags.width < 0) Object.assign(flags, { width: -flags.width, minus: true, zero: false });
      afterIndex = false;
    } else {
      flags.width = number();
      if (afterIndex && flags.width !== undefined) good = false;
    }
  };
  const readPrecision = (flags: Flags): void => {
    at += 1;
    if (afterIndex) good = false;
    afterIndex = argumentIndex();
    if (chars[at] === '*') {
      const value = starred();
      flags.precision = value !== undefined && value < 0 ? undefined : value;
      if (flags.precision === undefined) emit('%!(BADPREC)');
      afterIndex = false;
    } else {
      flags.precision = number() ?? 0;
    }
  };

  while (at < chars.length) {
    good = true;
    const percent = chars.indexOf('%', at);
    const until = percent === -1 ? chars.length : percent;
    emit(chars.slice(at, until).join(''));
    at = until + 1;
    if (percent === -1) break;
    const flags = clear();
    const marks = new Map<string, 'sharp' | 'zero' | 'plus' | 'minus' | 'space'>([['#', 'sharp'], ['0', 'zero'], ['+', 'plus'], ['-', 'minus'], [' ', 'space']]);
    for (let mark = marks.get(chars[at] ?? ''); mark !== undefined; mark = marks.get(chars[at] ?? '')) {
      flags[mark] = true;
      at += 1;
    }
    afterIndex = argumentIndex();
    readWidth(flags);
    if (chars[at] === '.' && at + 1 < chars.length) readPrecision(flags);
    if (!afterIndex) afterIndex = argumentIndex();
    const verb = chars[at];
    if (verb === undefined) {
      emit('%!(NOVERB)');
      break;
    }
    at += 1;
    const argument = args[next];
    if (verb === '%') emit('%');
    else if (!good) emit(`%!${verb}(BADINDEX)`);
    else if (argument === undefined) emit(`%!${verb}(MISSING)`);
    else {
      next += 1;
      if (verb === 'v' || verb === 'w') Object.assign(flags, { sharpV: flags.sharp, sharp: false, plusV: flags.plus, plus: false });
      emit(formatArgument(argument, verb, flags));
    }
  }
  if (!reordered && next < args.length) {
    const extra = args.slice(next).map((argument) => `${typeName(argument)}=${formatArgument(argument, 'v', clear())}`);
    emit(`%!(EXTRA ${extra.join(', ')})`);
  }
  return out;
};
