/**
 * The text over which OPA hashes a structured file (`data.json`, `.manifest`): its JSON without spaces, members sorted by
 * their UTF-8 bytes, numbers as they are written, strings as Go's encoder writes them [OPA v1/bundle/hash.go]. What two readers
 * could understand differently has no such text: two members of one name, bad UTF-8, a byte order mark, anything after the value.
 */
const WHITESPACE = /[ \t\n\r]*/y;
// eslint-disable-next-line no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const LINE_SEPARATOR = /[\u2028\u2029]/g;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** As Go reads it: a surrogate without its other half becomes the replacement character. */
const valueOf = (raw: string): string => (raw.includes('\\') ? (JSON.parse(raw) as string).replaceAll(LONE_SURROGATE, '\ufffd') : raw.slice(1, -1));
const written = (value: string): string => JSON.stringify(value).replaceAll(LINE_SEPARATOR, (one) => (one === '\u2028' ? String.raw`\u2028` : String.raw`\u2029`));

const ASCII = /^[\0-\x7f]*$/;
const byBytes = (a: string, b: string): number => {
  if (ASCII.test(a) && ASCII.test(b)) return a < b ? -1 : a > b ? 1 : 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
};

class Unreadable extends Error {}

/** `undefined` when it is not JSON that can be read in one way only, or is nested deeper than `depthMax`. */
export const structuredText = (bytes: Uint8Array, depthMax: number): string | undefined => {
  let text: string;
  let at = 0;
  const match = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) throw new Unreadable();
    at += found.length;
    return found;
  };
  const skip = (character: string): boolean => {
    match(WHITESPACE);
    if (text[at] !== character) return false;
    at += 1;
    return true;
  };
  const demand = (character: string): void => {
    if (!skip(character)) throw new Unreadable();
  };
  const object = (depth: number): string => {
    const members = new Map<string, string>();
    if (skip('}')) return '{}';
    do {
      match(WHITESPACE);
      const name = valueOf(match(STRING));
      if (members.has(name)) throw new Unreadable();
      demand(':');
      members.set(name, read(depth));
    } while (skip(','));
    demand('}');
    return `{${[...members].sort(([a], [b]) => byBytes(a, b)).map(([name, value]) => `${written(name)}:${value}`).join(',')}}`;
  };
  const array = (depth: number): string => {
    if (skip(']')) return '[]';
    const items: string[] = [];
    do items.push(read(depth)); while (skip(','));
    demand(']');
    return `[${items.join(',')}]`;
  };
  const read = (depth: number): string => {
    match(WHITESPACE);
    if (depth > depthMax) throw new Unreadable();
    if (text[at] === '"') return written(valueOf(match(STRING)));
    if (skip('{')) return object(depth + 1);
    if (skip('[')) return array(depth + 1);
    return match(SCALAR);
  };
  try {
    text = decoder.decode(bytes);
    const whole = read(0);
    match(WHITESPACE);
    return at === text.length ? whole : undefined;
  } catch {
    return undefined;
  }
};
