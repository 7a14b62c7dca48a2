/** JSON as data: what crosses the store, the policy engine and the wire. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: JsonValue | undefined;
}

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Without a surrogate that stands alone. Text of valid UTF-8 is, as long as no escape was read. */
export const isWellFormed = (text: string): boolean => (text as unknown as { isWellFormed(): boolean }).isWellFormed();

/**
 * The one text of a JSON value: members sorted by UTF-16 code units, no spaces, absent members left out (RFC 8785's form).
 * Throws on NaN, Infinity and whatever else JSON can't say.
 */
export const canonicalJson = (value: JsonValue): string => {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('JSON has no number that is not finite');
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isJsonObject(value)) {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined) throw new TypeError('this is no JSON value');
    return text;
  }
  const members = Object.keys(value).filter((name) => value[name] !== undefined).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name] as JsonValue)}`).join(',')}}`;
};

export const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};
