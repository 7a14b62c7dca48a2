/**
 * The text over which OPA hashes a structured file (`data.json`, `.manifest`): its JSON without spaces, members sorted by
 * their UTF-8 bytes, numbers as they are written, strings as Go's encoder writes them [OPA v1/bundle/hash.go]. What two readers
 * could understand differently has no such text: two members of one name, bad UTF-8, a byte order mark, anything after the value.
 */
// eslint-disable-next-line no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
/** What is not written as it is read: escapes, and the two separators that Go escapes. */
const REWRITTEN = /[\\\u2028\u2029]/;
const ASCII = /^[\0-\x7f]*$/;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** As Go reads it: a surrogate without its other half becomes the replacement character. */
const valueOf = (raw: string): string => (raw.includes('\\') ? (JSON.parse(raw) as string).replaceAll(LONE_SURROGATE, '\ufffd') : raw.slice(1, -1));
const written = (raw: string): string =>
  REWRITTEN.test(raw) ? JSON.stringify(valueOf(raw)).replaceAll('\u2028', String.raw`\u2028`).replaceAll('\u2029', String.raw`\u2029`) : raw;

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
    if (!pattern.test(text)) throw new Unreadable();
    const found = text.slice(at, pattern.lastIndex);
    at = pattern.lastIndex;
    return found;
  };
  /** The next character that is no white space. */
  const next = (): string | undefined => {
    for (let code = text.charCodeAt(at); code === 32 || code === 10 || code === 13 || code === 9; code = text.charCodeAt(at)) at += 1;
    return text[at];
  };
  const skip = (character: string): boolean => {
    if (next() !== character) return false;
    at += 1;
    return true;
  };
  const demand = (character: string): void => {
    if (!skip(character)) throw new Unreadable();
  };
  const object = (depth: number): string => {
    if (skip('}')) return '{}';
    const members = new Map<string, string>();
    let sorted = true;
    let before: string | undefined;
    do {
      next();
      const raw = match(STRING);
      const name = valueOf(raw);
      if (members.has(name)) throw new Unreadable();
      sorted &&= before === undefined || byBytes(before, name) < 0;
      before = name;
      demand(':');
      members.set(name, `${written(raw)}:${read(depth)}`);
    } while (skip(','));
    demand('}');
    return `{${(sorted ? [...members.values()] : [...members].sort(([a], [b]) => byBytes(a, b)).map(([, member]) => member)).join(',')}}`;
  };
  const array = (depth: number): string => {
    if (skip(']')) return '[]';
    const items: string[] = [];
    do items.push(read(depth)); while (skip(','));
    demand(']');
    return `[${items.join(',')}]`;
  };
  const read = (depth: number): string => {
    const first = next();
    if (depth > depthMax) throw new Unreadable();
    if (first === '"') return written(match(STRING));
    if (skip('{')) return object(depth + 1);
    if (skip('[')) return array(depth + 1);
    return match(SCALAR);
  };
  try {
    text = decoder.decode(bytes);
    const whole = read(0);
    next();
    return at === text.length ? whole : undefined;
  } catch {
    return undefined;
  }
};
