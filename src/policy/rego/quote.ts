/** Go's `strconv.Quote` and its like. */

/** Go's IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

const SHORT: ReadonlyMap<string, string> = new Map([
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
]);

export const isPrintable = (char: string): boolean => PRINTABLE.test(char);

const escaped = (char: string, mark: string, asciiOnly: boolean): string => {
  if (char === mark || char === '\\') return `\\${char}`;
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x80 ? isPrintable(char) : !asciiOnly && isPrintable(char)) return char;
  const short = SHORT.get(char);
  if (short !== undefined) return short;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
};

const surround = (text: string, mark: string, asciiOnly: boolean): string => `${mark}${Array.from(text, (char) => escaped(char, mark, asciiOnly)).join('')}${mark}`;

/** A double-quoted Go string literal. */
export const quote = (text: string, asciiOnly = false): string => surround(text, '"', asciiOnly);

/** A single-quoted Go rune literal. */
export const quoteRune = (char: string, asciiOnly = false): string => surround(char, "'", asciiOnly);

/** May the text stand between backquotes? */
export const canBackquote = (text: string): boolean =>
  // eslint-disable-next-line no-control-regex
  !/[\u0000-\u0008\u000a-\u001f\u007f`\ufeff]/.test(text);
