/**
 * Writes a JSON value into a module's memory as the values that the module's own parser would make of its text: the same graph,
 * without the way through the text. It gives up (`undefined`) on whatever is large, deep or unusual; the caller then takes the
 * text. That a module lays its values out like this is never assumed: `samples-match.ts` holds both ways against each other
 * before a module's first evaluation.
 */
import { isWellFormed, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { createShapes, MEMBER_BYTES, NONE } from './shapes.ts';

/** Types of values, in the first byte of each; and how a number is held. */
export const TYPE = { number: 3, string: 4, array: 5, object: 6 } as const;
export const NUMBER = { int: 1, text: 2 } as const;

/** Every block of memory has its size in front, and room for two addresses that are written once it is free. */
const HEAD_BYTES = 12;
const HEAD_WORDS = 3;
/** Sizes are rounded up to these, so that a block that is freed fits those that take its place. */
const sizeOf = (bytes: number): number => (bytes <= 4 ? 4 : bytes <= 8 ? 8 : bytes <= 16 ? 16 : bytes <= 64 ? 64 : (bytes + 3) & ~3);

/** For names of members. */
const NAMES_BYTES = 48 * 1_024;
/** For the input's values; larger inputs are parsed by the module. */
const VALUES_BYTES = 96 * 1_024;
/** The most bytes of JSON text that one byte of memory or one character of a name stands for (`\u0000`). */
const TEXT_FACTOR = 6;
const ITEMS_MAX = 4_096;
/** Shorter texts are copied by a loop: a call into Node takes longer. */
const LOOP_CHARS_MAX = 96;

export interface ValueWriter {
  /** Address and end of the value; `undefined`: the text must be parsed. Overwrites what it wrote before. */
  write(value: JsonValue): { readonly address: number; readonly end: number } | undefined;
  /** The first byte that is not used for names; what an evaluation needs may begin there. */
  readonly heapStart: number;
}

export interface WriterMemory {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly heapStart: number;
  /** Takes so many bytes behind `heapStart`, once; memory only grows. */
  readonly reserve: (bytes: number) => void;
  /** Addresses, below `heapStart`, of what a module may have one of only. */
  readonly constants: { readonly null: number; readonly true: number; readonly false: number };
}

export interface WriterLimits {
  /** Nothing is written that could be longer as text, or is nested more deeply. */
  readonly inputBytesMax: number;
  readonly inputDepthMax: number;
}

const align = (address: number): number => (address + 7) & ~7;

export const createValueWriter = ({ memory, heapStart, reserve, constants }: WriterMemory, { inputBytesMax, inputDepthMax }: WriterLimits): ValueWriter => {
  const namesStart = align(heapStart);
  const valuesStart = align(namesStart + NAMES_BYTES);
  const valuesEnd = valuesStart + VALUES_BYTES;
  reserve(valuesEnd + HEAD_BYTES - heapStart);
  let bytes = Buffer.from(memory.buffer);
  let words = new Int32Array(memory.buffer);
  let at = valuesStart;
  let end = valuesEnd;

  /** Takes a block, whose size is one of `sizeOf`; the address of its content. */
  const block = (size: number): number => {
    const address = at + HEAD_BYTES;
    words[at >> 2] = size;
    at = address + size;
    return address;
  };
  const room = (size: number): boolean => at + size <= end;

  /** How many bytes were written at `to`; -1 when it is not well-formed Unicode. */
  const copy = (text: string, to: number): number => {
    const { length } = text;
    if (length <= LOOP_CHARS_MAX) {
      const target = bytes;
      let index = 0;
      for (; index < length; index += 1) {
        const unit = text.charCodeAt(index);
        if (unit > 0x7f) break;
        target[to + index] = unit;
      }
      if (index === length) return length;
    }
    const written = bytes.write(text, to, 'utf8');
    if (written === length) return length;
    return isWellFormed(text) ? written : -1;
  };

  /** 0: there is no room, or the text can't be written. */
  const writeString = (text: string): number => {
    if (!room(2 * HEAD_BYTES + 16 + 64 + text.length * 3)) return 0;
    // Two blocks; written out, because most values are texts.
    const start = at;
    const content = start + 16 + 2 * HEAD_BYTES;
    const length = copy(text, content);
    if (length < 0) return 0;
    const size = sizeOf(length);
    const target = words;
    const word = start >> 2;
    target[word] = 16;
    target[word + HEAD_WORDS] = TYPE.string | (1 << 8);
    target[word + HEAD_WORDS + 1] = length;
    target[word + HEAD_WORDS + 2] = content;
    target[word + HEAD_WORDS + 4] = size;
    at = content + size;
    return start + HEAD_BYTES;
  };

  /** Of an element of an array, below `ITEMS_MAX`: the one kind of number that the parser holds as an integer. */
  const writeIndex = (index: number): number => {
    const node = block(64);
    const word = node >> 2;
    words[word] = TYPE.number | (NUMBER.int << 8);
    words[word + 2] = index;
    words[word + 3] = 0;
    return node;
  };

  /** As its digits, as the parser has it: the module's arithmetic takes no more than 32 bits of a number that is held as an integer. */
  const writeNumber = (value: number): number => {
    if (!room(2 * HEAD_BYTES + 128) || !Number.isFinite(value)) return 0;
    const node = block(64);
    const word = node >> 2;
    const digits = String(value);
    const content = at + HEAD_BYTES;
    block(sizeOf(copy(digits, content)));
    words[word] = TYPE.number | (NUMBER.text << 8);
    words[word + 2] = content;
    words[word + 3] = digits.length;
    words[word + 4] = 1;
    return node;
  };

  /** Addresses of what belongs to objects and arrays that are not complete yet. */
  const pending = new Int32Array(ITEMS_MAX);
  let waiting = 0;
  let nameChars = 0;

  const writeArray = (items: readonly JsonValue[], depth: number): number => {
    const first = waiting;
    if (first + items.length > ITEMS_MAX) return 0;
    for (let index = 0; index < items.length; index += 1) {
      const address = writeValue(items[index], depth - 1);
      if (address === 0) return 0;
      pending[waiting] = address;
      waiting += 1;
    }
    const { length } = items;
    if (!room(HEAD_BYTES * 2 + 240 + length * (8 + HEAD_BYTES + 64))) return 0;
    const node = block(16);
    const elements = length === 0 ? 0 : block(sizeOf(length * 8));
    for (let index = 0; index < length; index += 1) {
      words[(elements >> 2) + index * 2] = writeIndex(index);
      words[(elements >> 2) + index * 2 + 1] = pending[first + index] as number;
    }
    const word = node >> 2;
    words[word] = TYPE.array;
    words[word + 1] = elements;
    words[word + 2] = length;
    words[word + 3] = length;
    waiting = first;
    return node;
  };

  const writeObject = (object: JsonObject, depth: number): number => {
    const first = waiting;
    let shape = shapes.root();
    for (const name in object) {
      const member = object[name];
      if (member === undefined) continue;
      const following = shape.nextName === name ? shape.next : shapes.follow(shape, name);
      const address = following === undefined ? 0 : writeValue(member, depth - 1);
      if (following === undefined || address === 0 || waiting >= ITEMS_MAX) return 0;
      shape = following;
      nameChars += name.length;
      pending[waiting] = address;
      waiting += 1;
    }
    const { names, next, buckets } = shapes.layoutOf(shape);
    const node = room(HEAD_BYTES * 2 + 80 + buckets.length * 4 + names.length * MEMBER_BYTES) ? block(16) : 0;
    if (node === 0) return 0;
    const table = block(sizeOf(buckets.length * 4)) >> 2;
    const members = at + HEAD_BYTES;
    const target = words;
    for (let bucket = 0; bucket < buckets.length; bucket += 1) {
      const offset = buckets[bucket] as number;
      target[table + bucket] = offset === NONE ? 0 : members + offset;
    }
    let member = members >> 2;
    for (let index = 0; index < names.length; index += 1) {
      const offset = next[index] as number;
      target[member - HEAD_WORDS] = 16;
      target[member] = names[index] as number;
      target[member + 1] = pending[first + index] as number;
      target[member + 2] = offset === NONE ? 0 : members + offset;
      member += MEMBER_BYTES >> 2;
    }
    at += names.length * MEMBER_BYTES;
    const word = node >> 2;
    target[word] = TYPE.object;
    target[word + 1] = table << 2;
    target[word + 2] = buckets.length;
    target[word + 3] = names.length;
    waiting = first;
    return node;
  };

  const writeValue = (value: JsonValue | undefined, depth: number): number => {
    if (typeof value === 'string') return writeString(value);
    if (typeof value === 'number') return writeNumber(value);
    if (typeof value === 'boolean') return value ? constants.true : constants.false;
    if (value === null) return constants.null;
    if (typeof value !== 'object' || depth <= 0) return 0;
    return Array.isArray(value) ? writeArray(value as readonly JsonValue[], depth) : writeObject(value as JsonObject, depth);
  };

  let namesAt = namesStart;
  const writeName = (name: string): number | undefined => {
    const valuesAt = at;
    at = namesAt;
    end = valuesStart;
    const address = writeString(name);
    namesAt = at;
    at = valuesAt;
    end = valuesEnd;
    return address === 0 ? undefined : address;
  };
  const shapes = createShapes(writeName, () => (namesAt = namesStart));

  return {
    heapStart: valuesStart,
    write: (value) => {
      // Growth replaces the buffer.
      if (bytes.length === 0) {
        bytes = Buffer.from(memory.buffer);
        words = new Int32Array(memory.buffer);
      }
      shapes.makeRoom();
      at = valuesStart;
      waiting = 0;
      nameChars = 0;
      const address = writeValue(value, inputDepthMax);
      const textBytesMax = TEXT_FACTOR * (at - valuesStart + nameChars);
      return address !== 0 && textBytesMax <= inputBytesMax ? { address, end: align(at) } : undefined;
    },
  };
};
