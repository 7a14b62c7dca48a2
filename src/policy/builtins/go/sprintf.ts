/** Go's `fmt.Sprintf` for the operands Rego passes; how each is written is in `format-operand.ts`. */
import { formatArgument, noFlags, typeName, type Flags, type GoArgument } from './format-operand.ts';

export type { GoArgument } from './format-operand.ts';

const OUTPUT_CHARS_MAX = 1_000_000;
const NUMBER_MAX = 1_000_000;

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
    const flags = noFlags();
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
    const extra = args.slice(next).map((argument) => `${typeName(argument)}=${formatArgument(argument, 'v', noFlags())}`);
    emit(`%!(EXTRA ${extra.join(', ')})`);
  }
  return out;
};
