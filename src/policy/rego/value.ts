/**
 * Rego's values in JavaScript, exact both ways: sets stay sets, object keys may be any value, numbers keep their digits.
 * The text form is what `opa_value_dump` writes and `opa_value_parse` reads: JSON plus `{1, 2}`, `set()` and any key.
 */

/** A number that neither a safe integer, a bigint nor a round-tripping double stands for, such as `1.0` or `1e2`. */
export interface RegoNumber {
  readonly digits: string;
}

export type RegoValue = null | boolean | string | number | bigint | RegoNumber | readonly RegoValue[] | RegoSet | RegoObject;
/** Composite members are not deduplicated here; reading them back into Rego does it. */
export type RegoSet = ReadonlySet<RegoValue>;
export type RegoObject = ReadonlyMap<RegoValue, RegoValue>;

export const isRegoNumber = (value: RegoValue): value is number | bigint | RegoNumber =>
  typeof value === 'number' || typeof value === 'bigint' || (typeof value === 'object' && value !== null && 'digits' in value);

const INTEGER = /^-?(?:0|[1-9][0-9]*)$/;
const TOKEN = /[^\s,:\]}()]+/y;
const STRING = /"(?:[^"\\]|\\.)*"/sy;

const numberOf = (digits: string): number | bigint | RegoNumber => {
  const value = Number(digits);
  if (!INTEGER.test(digits)) return String(value) === digits ? value : { digits };
  if (Number.isSafeInteger(value)) return digits === '-0' ? { digits } : value;
  return BigInt(digits);
};

/** Reads one value; throws SyntaxError on anything that Rego does not write. */
export const readRegoValue = (text: string): RegoValue => {
  // Most arguments are strings.
  if (text.startsWith('"')) return JSON.parse(text) as string;
  let at = 0;
  const fail = (): never => {
    throw new SyntaxError(`not a Rego value at ${at}`);
  };
  const blanks = (): void => {
    while (text.charCodeAt(at) <= 0x20) at += 1;
  };
  const take = (char: string): boolean => {
    blanks();
    if (text[at] !== char) return false;
    at += 1;
    return true;
  };
  const match = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? fail();
    at += found.length;
    return found;
  };
  const list = (close: string, each: () => void): void => {
    if (take(close)) return;
    do each();
    while (take(','));
    if (!take(close)) fail();
  };
  const array = (): RegoValue => {
    const items: RegoValue[] = [];
    list(']', () => items.push(value()));
    return items;
  };
  const braces = (): RegoValue => {
    const members = new Map<RegoValue, RegoValue>();
    const items = new Set<RegoValue>();
    list('}', () => {
      const first = value();
      if (take(':')) members.set(first, value());
      else items.add(first);
    });
    if (items.size > 0 && members.size > 0) fail();
    return items.size > 0 ? items : members;
  };
  const value = (): RegoValue => {
    blanks();
    const char = text[at];
    if (char === '"') return JSON.parse(match(STRING)) as string;
    if (take('[')) return array();
    if (take('{')) return braces();
    const token = match(TOKEN);
    if (token === 'null') return null;
    if (token === 'true') return true;
    if (token === 'false') return false;
    if (token === 'set' && take('(') && take(')')) return new Set();
    return /^-?\.?[0-9]/.test(token) ? numberOf(token) : fail();
  };
  const read = value();
  blanks();
  return at === text.length ? read : fail();
};

/** Writes one value; throws RangeError for numbers that are not finite. */
export const writeRegoValue = (value: RegoValue): string => {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError('a number of a builtin is not finite');
    return String(value);
  }
  if (typeof value !== 'object' || value === null) return String(value);
  // Rego's `.5` is not JSON's.
  if ('digits' in value) return value.digits.replace(/^(-?)\./, '$10.');
  if (value instanceof Map) return `{${[...(value as RegoObject)].map(([key, inner]) => `${writeRegoValue(key)}:${writeRegoValue(inner)}`).join(',')}}`;
  if (value instanceof Set) return value.size === 0 ? 'set()' : `{${[...(value as RegoSet)].map(writeRegoValue).join(',')}}`;
  return `[${(value as readonly RegoValue[]).map(writeRegoValue).join(',')}]`;
};
