/**
 * Shapes of objects: the same names in the same order. How an object lies in a module's memory depends on its names alone, so it
 * is worked out once for a shape. Names are written into the module's memory once, below what an evaluation may use. Bounded:
 * when there is no room for another name or shape, all are forgotten.
 */

/** Where the members of an object go. Offsets are bytes from the first member's place. */
export interface Layout {
  /** Address of each member's name, in the order of the shape. */
  readonly names: Int32Array;
  /** Offset of the member that comes next in the same bucket, or `NONE`. */
  readonly next: Int32Array;
  /** Offset of the first member of each bucket, or `NONE`. */
  readonly buckets: Int32Array;
}

export interface Shape {
  /** The name by which one comes here, and its address. */
  readonly name: string;
  readonly address: number;
  readonly parent: Shape | undefined;
  readonly members: number;
  /** The shape that followed first: almost always the one that follows. */
  nextName: string | undefined;
  next: Shape | undefined;
  others: Map<string, Shape> | undefined;
  layout: Layout | undefined;
}

export interface Shapes {
  root(): Shape;
  /** `undefined`: not a name that can be written; or there is no room, and `full` must be called before the next object is begun. */
  follow(shape: Shape, name: string): Shape | undefined;
  layoutOf(shape: Shape): Layout;
  /** Forgets all of them when there is no more room. To be called between evaluations only: what was written stands no more. */
  makeRoom(): void;
}

export const NONE = -1;
/** Distance between two members: the head of a memory block, and name, value and next, rounded up as the module does. */
export const MEMBER_BYTES = 28;

const SHAPES_MAX = 4_096;
const NAME_CHARS_MAX = 256;
const BUCKETS_MIN = 8;
const LOAD_FACTOR = 0.7;
// eslint-disable-next-line no-control-regex
const ASCII = /^[\u0000-\u007f]*$/;

/** FNV-1 over the bytes of the name (one a character), as the module hashes strings. */
export const hashOf = (name: string): number => {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) hash = Math.imul(hash, 0x01000193) ^ name.charCodeAt(index);
  return hash >>> 0;
};

/** How many buckets a table for so many members has. */
export const bucketsFor = (members: number): number => {
  let buckets = BUCKETS_MIN;
  while (members > buckets * LOAD_FACTOR) buckets *= 2;
  return buckets;
};

const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `writeName` gives the name's address, or `undefined` when there is no room for it; `forgetNames` makes room for all. */
export const createShapes = (writeName: (name: string) => number | undefined, forgetNames: () => void): Shapes => {
  const shapeAfter = (parent: Shape | undefined, name: string, address: number): Shape => ({
    name, address, parent, members: parent === undefined ? 0 : parent.members + 1,
    nextName: undefined, next: undefined, others: undefined, layout: undefined,
  });
  let root = shapeAfter(undefined, '', 0);
  let addresses = new Map<string, number>();
  let count = 0;
  let full = false;

  const addressOf = (name: string): number | undefined => {
    const known = addresses.get(name);
    if (known !== undefined) return known;
    const address = writeName(name);
    if (address !== undefined) addresses.set(name, address);
    return address;
  };

  const add = (shape: Shape, name: string): Shape | undefined => {
    // The order of names is that of their bytes: told by JavaScript's own comparison as long as they are ASCII.
    if (name.length > NAME_CHARS_MAX || !ASCII.test(name)) return undefined;
    const address = count < SHAPES_MAX ? addressOf(name) : undefined;
    if (address === undefined) {
      full = true;
      return undefined;
    }
    count += 1;
    const made = shapeAfter(shape, name, address);
    if (shape.next === undefined) {
      shape.nextName = name;
      shape.next = made;
    } else (shape.others ??= new Map<string, Shape>()).set(name, made);
    return made;
  };

  const lay = (shape: Shape): Layout => {
    const path: Shape[] = [];
    for (let at: Shape | undefined = shape; at?.parent !== undefined; at = at.parent) path.unshift(at);
    const buckets = new Int32Array(bucketsFor(path.length)).fill(NONE);
    const next = new Int32Array(path.length).fill(NONE);
    // From the last name to the first, each before what its bucket holds already: buckets are sorted by name.
    const sorted = path.map(({ name }, index) => ({ name, index })).toSorted((a, b) => byBytes(b.name, a.name));
    for (const { name, index } of sorted) {
      const bucket = hashOf(name) % buckets.length;
      next[index] = buckets[bucket] as number;
      buckets[bucket] = index * MEMBER_BYTES;
    }
    return { names: Int32Array.from(path, ({ address }) => address), next, buckets };
  };

  return {
    root: () => root,
    follow: (shape, name) => shape.others?.get(name) ?? add(shape, name),
    layoutOf: (shape) => (shape.layout ??= lay(shape)),
    makeRoom: () => {
      if (!full) return;
      root = shapeAfter(undefined, '', 0);
      addresses = new Map();
      count = 0;
      full = false;
      forgetNames();
    },
  };
};
