/**
 * A record packed for the list of its owner's rows: what is alike in many records (the shape: names, nesting, types, where refs
 * come from) as one text that is kept once, named by its hash, and what differs (the leaves) as one text of its own. Reading it
 * back costs a fraction of parsing JSON, because a shape is understood once. Packing says `undefined` for what is large or unusual;
 * unpacking gives exactly what was packed.
 */
import { hash } from 'node:crypto';
import type { Instant } from '../../domain/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import type { RecordKey, Stamp, StoredRecord } from '../port.ts';
import type { HeldRecord } from './record.ts';

export interface Packed {
  /** Name of the shape. */
  readonly shape: string;
  /** Created, modified and marked (sequence and instant each; sequence 0: never), then the leaves; between them `SEPARATOR`. */
  readonly leaves: string;
}

/** What is kept under the name of a shape. */
export interface Shape {
  readonly name: string;
  readonly text: string;
}

/** A record of the list, with its refs made when they are asked for. */
export interface UnpackedRecord {
  readonly record: StoredRecord;
  /** Without those of which `absent` says that nothing is there. */
  refs(absent?: Absent): readonly RecordKey[];
}

/**
 * Is it known that there is no record of this kind whose id is `group` and `rest` together? `group` ends with the id's first colon,
 * or is empty when the id is all in `rest`.
 */
export type Absent = (kind: string, group: string, rest: string) => boolean;

const STAMPS = 6;
const LEAVES_MAX = 256;
const LEAVES_CHARS_MAX = 6_000;
const SHAPE_CHARS_MAX = 3_000;
const SHAPES_KEPT = 500;
/** Delete: a character that JSON does not escape, and that hardly any text has. */
const SEPARATOR = '\u007f';
/** Selectors and the like begin so; what follows is mostly a leaf of the record. */
const PREFIX = /^[a-z][a-z-]{0,31}:/;
/** Names that do not keep their place among others, or are none of an object's own once it is copied. */
const UNUSUAL = /"__proto__"|"\d+":/;
/** In place of leaves. Other scalars stand in the shape as they are. */
const TEXT = 0;
const NUMBER = 1;

/** The value with its leaves taken out, in the order in which they are met, names sorted. */
const skeletonOf = (value: JsonValue, leaves: string[]): JsonValue => {
  if (typeof value === 'string') {
    leaves.push(value);
    return TEXT;
  }
  if (typeof value === 'number') {
    // As JSON has it, which knows no -0.
    leaves.push(JSON.stringify(value));
    return NUMBER;
  }
  if (typeof value === 'boolean' || value === null) return value;
  if (!isJsonObject(value)) return value.map((item) => skeletonOf(item, leaves));
  const names = Object.keys(value).filter((name) => value[name] !== undefined).sort();
  return Object.fromEntries(names.map((name) => [name, skeletonOf(value[name] as JsonValue, leaves)]));
};

type RefPlan = readonly [kind: string, prefix: string, leaf: number];

const refPlan = ({ kind, id }: RecordKey, leaves: string[]): RefPlan => {
  const prefix = PREFIX.exec(id)?.[0] ?? '';
  for (const start of prefix === '' ? [''] : [prefix, '']) {
    const leaf = leaves.indexOf(id.slice(start.length), STAMPS);
    if (leaf >= 0) return [kind, start, leaf];
  }
  leaves.push(id);
  return [kind, '', leaves.length - 1];
};

export const pack = ({ record, refs }: HeldRecord): { readonly shape: Shape; readonly packed: Packed } | undefined => {
  const { created, modified, marked = { sequence: 0, at: 0 } } = record;
  const leaves = [created, modified, marked].flatMap(({ sequence, at }) => [`${sequence}`, `${at}`]);
  const text = JSON.stringify([skeletonOf(record.value, leaves), refs.map((ref) => refPlan(ref, leaves))]);
  const joined = leaves.join(SEPARATOR);
  if (leaves.length > LEAVES_MAX || joined.length > LEAVES_CHARS_MAX || text.length > SHAPE_CHARS_MAX || UNUSUAL.test(text)) return undefined;
  if (leaves.some((leaf) => leaf.includes(SEPARATOR))) return undefined;
  const name = hash('sha256', text, 'base64url');
  return { shape: { name, text }, packed: { shape: name, leaves: joined } };
};

type Plan =
  | { readonly kind: 'text' | 'number' }
  | { readonly kind: 'constant'; readonly value: JsonValue }
  | { readonly kind: 'list'; readonly items: readonly Plan[] }
  | { readonly kind: 'object'; readonly names: readonly string[]; readonly members: readonly Plan[]; readonly empty: JsonObject };

interface ShapePlan {
  readonly value: Plan;
  readonly refs: readonly RefPlan[];
}

const planOf = (skeleton: JsonValue): Plan => {
  if (skeleton === TEXT) return { kind: 'text' };
  if (skeleton === NUMBER) return { kind: 'number' };
  if (Array.isArray(skeleton)) return { kind: 'list', items: (skeleton as readonly JsonValue[]).map(planOf) };
  if (!isJsonObject(skeleton)) return { kind: 'constant', value: skeleton };
  const names = Object.keys(skeleton);
  return { kind: 'object', names, members: names.map((name) => planOf(skeleton[name] as JsonValue)), empty: skeleton };
};

/** Of all stores of the process: a name stands for one text. */
const plans = new Map<string, ShapePlan>();

const shapePlan = (name: string, textOf: (name: string) => string): ShapePlan => {
  const known = plans.get(name);
  if (known !== undefined) return known;
  const [skeleton, refs] = JSON.parse(textOf(name)) as [JsonValue, readonly RefPlan[]];
  if (plans.size >= SHAPES_KEPT) plans.clear();
  const made = { value: planOf(skeleton), refs };
  plans.set(name, made);
  return made;
};

const stampAt = (leaves: readonly string[], at: number): Stamp => ({ sequence: Number(leaves[at]), at: Number(leaves[at + 1]) as Instant });

/**
 * Refs are asked for at once or, when something changed, much later: what is remembered that long should be small. In a function
 * of its own, whose closure holds nothing else.
 */
const refsFrom = (refs: readonly RefPlan[], joined: string, split: readonly string[]): UnpackedRecord['refs'] => {
  let first: readonly string[] | undefined = split;
  return (absent) => {
    const leaves = first ?? joined.split(SEPARATOR);
    first = undefined;
    const keys: RecordKey[] = [];
    for (const [kind, prefix, at] of refs) {
      const leaf = leaves[at] as string;
      if (absent?.(kind, prefix, leaf) !== true) keys.push({ kind, id: `${prefix}${leaf}` });
    }
    return keys;
  };
};

/** Only ever given what `pack` made; `textOf` finds a shape by its name. */
export const unpack = (key: RecordKey, { shape, leaves: joined }: Packed, textOf: (name: string) => string): UnpackedRecord => {
  const plan = shapePlan(shape, textOf);
  const leaves = joined.split(SEPARATOR);
  let at = STAMPS;
  const build = (part: Plan): JsonValue => {
    switch (part.kind) {
      case 'text':
        return leaves[at++] as string;
      case 'number':
        return Number(leaves[at++]);
      case 'constant':
        return part.value;
      case 'list': {
        const items: JsonValue[] = [];
        for (const item of part.items) items.push(build(item));
        return items;
      }
      case 'object': {
        const { names, members } = part;
        // A copy has its members' places already: much faster than adding them one by one.
        const object: Record<string, JsonValue> = { ...(part.empty as Record<string, JsonValue>) };
        for (let index = 0; index < names.length; index += 1) object[names[index] as string] = build(members[index] as Plan);
        return object;
      }
    }
  };
  const value = build(plan.value) as JsonObject;
  const [created, modified, marked] = [stampAt(leaves, 0), stampAt(leaves, 2), stampAt(leaves, 4)];
  return {
    record: marked.sequence > 0 ? { key, created, modified, marked, value } : { key, created, modified, value },
    refs: refsFrom(plan.refs, joined, leaves),
  };
};
