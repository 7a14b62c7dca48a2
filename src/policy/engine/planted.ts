/**
 * Finds out whether an evaluation depends on certain values of its input, whatever they are: they are made unreadable in the
 * module's memory, and reading one traps. Looking a member up or passing it on is no reading; comparing it, giving it to a
 * builtin, taking it apart or returning it is.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';

/** No module's memory reaches it. */
const NOWHERE = 0xffff_fff0;
/** Where a string's node holds the address of its text, and the tag that its node begins with. */
const TEXT_OFFSET = 8;
const STRING_TAG = 4;
const WORD_BYTES = 4;

const unescape = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~');

const replaceAt = (value: JsonValue | undefined, path: readonly string[], marker: string): JsonValue | undefined => {
  const [name, ...rest] = path;
  if (name === undefined) return value === undefined ? undefined : marker;
  if (Array.isArray(value)) {
    const index = Number(name);
    const inner = replaceAt((value as readonly JsonValue[])[index], rest, marker);
    return inner === undefined ? undefined : (value as readonly JsonValue[]).with(index, inner);
  }
  if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined;
  const inner = replaceAt(value[name], rest, marker);
  if (inner === undefined) return undefined;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, key === name ? inner : member]));
};

/** The input with a marker in each place (a JSON Pointer); `undefined` when a place is not there. */
export const withMarkers = (input: JsonObject, places: readonly string[], marker: (index: number) => string): JsonObject | undefined => {
  let planted: JsonValue | undefined = input;
  for (const [index, place] of places.entries()) planted = replaceAt(planted, place.split('/').slice(1).map(unescape), marker(index));
  return isJsonObject(planted) ? planted : undefined;
};

const positionsOf = (heap: Buffer, needle: Buffer, from: number, to: number): readonly number[] => {
  const found: number[] = [];
  for (let at = heap.indexOf(needle, from); at !== -1 && at < to; at = heap.indexOf(needle, at + 1)) found.push(at);
  return found;
};

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(WORD_BYTES);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** Makes every reference to the marker's string in `heap` point nowhere; `false` when there is none. */
const hide = (heap: Buffer, from: number, to: number, marker: string): boolean => {
  let hidden = 0;
  for (const text of positionsOf(heap, Buffer.from(marker), from, to)) {
    for (const reference of positionsOf(heap, word(text), from, to)) {
      const node = reference - TEXT_OFFSET;
      if (node < from || heap[node] !== STRING_TAG || heap.readUInt32LE(node + WORD_BYTES) !== Buffer.byteLength(marker)) continue;
      for (const holder of positionsOf(heap, word(node), from, to)) {
        heap.writeUInt32LE(NOWHERE, holder);
        hidden += 1;
      }
    }
  }
  return hidden > 0;
};

/** Between `from` and `to` lies the parsed input. `false` when one of them was not found: nothing can be told then. */
export const hideMarkers = (heap: Buffer, from: number, to: number, markers: readonly string[]): boolean => markers.every((marker) => hide(heap, from, to, marker));

export const isTrap = (error: unknown): boolean => error instanceof WebAssembly.RuntimeError && error.message.includes('out of bounds');
