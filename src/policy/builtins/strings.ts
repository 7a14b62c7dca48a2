/** `sprintf` and those of `strings.*` that OPA's compiler does not build into the module. */
import type { RegoValue } from '../rego/value.ts';
import { isRegoNumber } from '../rego/value.ts';
import { sprintf, type GoArgument } from './go/sprintf.ts';
import { array, collection, fail, isInt64, smallInt, string } from './operands.ts';
import { regoText } from '../rego/order.ts';
import { digitsOf } from '../rego/number.ts';
import type { Builtins } from './builtin.ts';

const goArgument = (value: RegoValue): GoArgument => {
  if (typeof value === 'string') return { type: 'string', value };
  if (!isRegoNumber(value)) return { type: 'string', value: regoText(value) };
  const digits = digitsOf(value);
  if (/[.eE]/.test(digits)) {
    const double = Number(digits);
    return Number.isFinite(double) ? { type: 'float64', value: double } : { type: 'string', value: digits };
  }
  const whole = BigInt(digits);
  return { type: isInt64(whole) ? 'int64' : 'big', value: whole };
};

const strings = (value: RegoValue | undefined): readonly string[] => (typeof value === 'string' ? [value] : collection(value).map(string));

const anyMatch =
  (matches: (text: string, affix: string) => boolean) =>
  ([search, base]: readonly RegoValue[]): boolean => {
    const texts = strings(search);
    const affixes = strings(base);
    return texts.some((text) => affixes.some((affix) => matches(text, affix)));
  };

/** Occurrences, none overlapping; of the empty text one more than there are characters. */
const count = (text: string, part: string): number => (part === '' ? Array.from(text).length + 1 : text.split(part).length - 1);

/** Where `search` begins in `base`, overlapping ones too, in characters. */
const indexes = (base: string, search: string): readonly number[] => {
  if (search === '') return fail('empty search character');
  const chars = Array.from(base);
  const wanted = Array.from(search);
  const found: number[] = [];
  for (let at = 0; at + wanted.length <= chars.length; at += 1) {
    if (wanted.every((char, offset) => chars[at + offset] === char)) found.push(at);
  }
  return found;
};

/** The first `n` parts, or the last `-n`. */
const splitN = (text: string, delimiter: string, n: number): readonly string[] => {
  const parts = delimiter === '' ? Array.from(text) : text.split(delimiter);
  return n >= 0 ? parts.slice(0, n) : parts.slice(Math.max(parts.length + n, 0));
};

export const stringBuiltins: Builtins = {
  sprintf: ([format, values]) => sprintf(string(format), array(values).map(goArgument)),
  'strings.any_prefix_match': anyMatch((text, affix) => text.startsWith(affix)),
  'strings.any_suffix_match': anyMatch((text, affix) => text.endsWith(affix)),
  'strings.count': ([text, part]) => count(string(text), string(part)),
  'strings.split_n': ([text, delimiter, n]) => splitN(string(text), string(delimiter), smallInt(n)),
  indexof_n: ([base, search]) => indexes(string(base), string(search)),
};
