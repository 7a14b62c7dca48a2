/**
 * Protobuf messages to the JSON form that policies see, in one pass: lowerCamelCase names, unset fields absent, members of a
 * oneof beside the other fields, 64-bit integers and enums as numbers, bytes as base64, `google.protobuf.Struct` as the object it
 * describes. (The form of opa-envoy-plugin's input.) Maps become objects without a prototype, so that no key of the caller's
 * reaches one. Unknown fields are skipped. Throws on anything malformed or nested too deep; never reads beyond the message.
 */
import protobuf from 'protobufjs';

type Target = Record<string, unknown>;
type ReadValue = (reader: protobuf.Reader, depth: number, before: unknown) => unknown;

/** Reads a message that ends at `end`. */
export type ReadMessage = (reader: protobuf.Reader, end: number) => unknown;

export interface MessageJsonOptions {
  /** Readers for message types, by full name, in place of the general one. */
  readonly custom?: Readonly<Record<string, ReadMessage>>;
}

const DEPTH_MAX = 64;
const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

const malformed = (what: string): Error => new Error(`malformed message: ${what}`);

/** A 64-bit integer, or what is nearest to it among doubles. */
const asNumber = (value: unknown): number => (typeof value === 'number' ? value : (value as { toNumber(): number }).toNumber());

const asBase64 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

const scalars: Readonly<Record<string, { readonly wire: number; readonly read: (reader: protobuf.Reader) => unknown }>> = {
  double: { wire: FIXED64, read: (reader) => reader.double() },
  float: { wire: FIXED32, read: (reader) => reader.float() },
  int32: { wire: VARINT, read: (reader) => reader.int32() },
  uint32: { wire: VARINT, read: (reader) => reader.uint32() },
  sint32: { wire: VARINT, read: (reader) => reader.sint32() },
  fixed32: { wire: FIXED32, read: (reader) => reader.fixed32() },
  sfixed32: { wire: FIXED32, read: (reader) => reader.sfixed32() },
  int64: { wire: VARINT, read: (reader) => asNumber(reader.int64()) },
  uint64: { wire: VARINT, read: (reader) => asNumber(reader.uint64()) },
  sint64: { wire: VARINT, read: (reader) => asNumber(reader.sint64()) },
  fixed64: { wire: FIXED64, read: (reader) => asNumber(reader.fixed64()) },
  sfixed64: { wire: FIXED64, read: (reader) => asNumber(reader.sfixed64()) },
  bool: { wire: VARINT, read: (reader) => reader.bool() },
  string: { wire: DELIMITED, read: (reader) => reader.string() },
  bytes: { wire: DELIMITED, read: (reader) => asBase64(reader.bytes()) },
};

const isDefault = (value: unknown): boolean => value === 0 || value === '' || value === false;

const mapDefault = (field: protobuf.Field): (() => unknown) => {
  if (field.resolvedType instanceof protobuf.Type) return () => ({});
  if (field.type === 'string' || field.type === 'bytes') return () => '';
  return field.type === 'bool' ? () => false : () => 0;
};

/** End of the delimited part that starts here; it must lie within the input. */
const delimitedEnd = (reader: protobuf.Reader): number => {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw malformed('a length beyond the end');
  return end;
};

/** Calls `field` for each field up to `end`; it reads the value and says true, or false to have it skipped. */
export const eachField = (reader: protobuf.Reader, end: number, field: (number: number, wire: number) => boolean): void => {
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === 0) throw malformed('field number 0');
    if (!field(tag >>> 3, tag & 7)) reader.skipType(tag & 7);
  }
  if (reader.pos !== end) throw malformed('a field beyond its message');
};

const readStruct = (reader: protobuf.Reader, end: number, depth: number): Target => {
  if (depth > DEPTH_MAX) throw malformed('nested too deep');
  const object = Object.create(null) as Target;
  eachField(reader, end, (number, wire) => {
    if (number !== 1 || wire !== DELIMITED) return false;
    let key = '';
    let value: unknown = null;
    eachField(reader, delimitedEnd(reader), (member, memberWire) => {
      if (memberWire !== DELIMITED) return false;
      if (member === 1) key = reader.string();
      else if (member === 2) value = readStructValue(reader, delimitedEnd(reader), depth + 1);
      else return false;
      return true;
    });
    object[key] = value;
    return true;
  });
  return object;
};

const readStructValue = (reader: protobuf.Reader, end: number, depth: number): unknown => {
  if (depth > DEPTH_MAX) throw malformed('nested too deep');
  let value: unknown = null;
  eachField(reader, end, (number, wire) => {
    if (number === 1 && wire === VARINT) {
      reader.int32();
      value = null;
    } else if (number === 2 && wire === FIXED64) {
      const double = reader.double();
      value = Number.isFinite(double) ? double : String(double);
    } else if (number === 3 && wire === DELIMITED) value = reader.string();
    else if (number === 4 && wire === VARINT) value = reader.bool();
    else if (number === 5 && wire === DELIMITED) value = readStruct(reader, delimitedEnd(reader), depth + 1);
    else if (number === 6 && wire === DELIMITED) {
      const list: unknown[] = [];
      eachField(reader, delimitedEnd(reader), (member, memberWire) => {
        if (member !== 1 || memberWire !== DELIMITED) return false;
        list.push(readStructValue(reader, delimitedEnd(reader), depth + 1));
        return true;
      });
      value = list;
    } else return false;
    return true;
  });
  return value;
};

interface FieldPlan {
  readonly name: string;
  readonly wire: number;
  readonly read: ReadValue;
  readonly kind: 'implicit' | 'explicit' | 'list' | 'map';
  /** Other members of its oneof, which it replaces. */
  readonly others: readonly string[];
  readonly mapKey?: ReadValue;
  /** What an entry without a value stands for. */
  readonly mapDefault?: () => unknown;
}

/** A reader for messages of `type`, made once; types that contain each other share their readers. */
export const messageJson = (type: protobuf.Type, { custom = {} }: MessageJsonOptions = {}): ((bytes: Uint8Array) => Target) => {
  const plans = new Map<protobuf.Type, (reader: protobuf.Reader, end: number, depth: number, target: Target) => Target>();

  const valueReader = (field: protobuf.Field): { wire: number; read: ReadValue } => {
    const { resolvedType } = field;
    if (resolvedType instanceof protobuf.Enum) return { wire: VARINT, read: (reader) => reader.int32() };
    if (resolvedType instanceof protobuf.Type) {
      const fullName = resolvedType.fullName.slice(1);
      const own = Object.hasOwn(custom, fullName) ? custom[fullName] : undefined;
      if (own !== undefined) return { wire: DELIMITED, read: (reader) => own(reader, delimitedEnd(reader)) };
      if (fullName === 'google.protobuf.Struct') {
        return { wire: DELIMITED, read: (reader, depth) => readStruct(reader, delimitedEnd(reader), depth) };
      }
      const message = messageReader(resolvedType);
      // A singular message that comes in parts is merged, as protobuf wants it.
      return { wire: DELIMITED, read: (reader, depth, before) => message(reader, delimitedEnd(reader), depth + 1, (before as Target | undefined) ?? {}) };
    }
    const scalar = scalars[field.type];
    if (scalar === undefined) throw new Error(`no reader for ${field.type}`);
    return scalar;
  };

  const planOf = (field: protobuf.Field): FieldPlan => {
    const value = valueReader(field);
    const others = field.partOf === null ? [] : field.partOf.fieldsArray.filter((other) => other !== field).map(({ name }) => name);
    if (field instanceof protobuf.MapField) {
      const key = scalars[field.keyType];
      if (key === undefined) throw new Error(`no reader for keys of ${field.fullName}`);
      return { name: field.name, ...value, kind: 'map', others, mapKey: key.read, mapDefault: mapDefault(field) };
    }
    if (field.repeated) {
      return { name: field.name, ...value, kind: 'list', others };
    }
    const explicit = field.partOf !== null || field.resolvedType instanceof protobuf.Type;
    return { name: field.name, ...value, kind: explicit ? 'explicit' : 'implicit', others };
  };

  const readEntry = (reader: protobuf.Reader, plan: FieldPlan, depth: number, map: Target): void => {
    const end = delimitedEnd(reader);
    let key: unknown = '';
    let value = plan.mapDefault?.();
    while (reader.pos < end) {
      const tag = reader.uint32();
      if (tag >>> 3 === 1 && plan.mapKey !== undefined) key = plan.mapKey(reader, depth, undefined);
      else if (tag >>> 3 === 2 && (tag & 7) === plan.wire) value = plan.read(reader, depth, undefined);
      else reader.skipType(tag & 7);
    }
    if (reader.pos !== end) throw malformed('a field beyond its message');
    map[String(key)] = value;
  };

  const messageReader = (of: protobuf.Type): ((reader: protobuf.Reader, end: number, depth: number, target: Target) => Target) => {
    const made = plans.get(of);
    if (made !== undefined) return made;
    const fields: (FieldPlan | undefined)[] = [];
    const read = (reader: protobuf.Reader, end: number, depth: number, target: Target): Target => {
      if (depth > DEPTH_MAX) throw malformed('nested too deep');
      while (reader.pos < end) {
        const tag = reader.uint32();
        if (tag >>> 3 === 0) throw malformed('field number 0');
        const plan = fields[tag >>> 3];
        const packed = plan?.kind === 'list' && plan.wire !== DELIMITED && (tag & 7) === DELIMITED;
        if (plan === undefined || ((plan.kind === 'map' ? DELIMITED : plan.wire) !== (tag & 7) && !packed)) {
          reader.skipType(tag & 7);
          continue;
        }
        const { name } = plan;
        if (packed) {
          const list = (target[name] ??= []) as unknown[];
          const last = delimitedEnd(reader);
          while (reader.pos < last) list.push(plan.read(reader, depth, undefined));
          if (reader.pos !== last) throw malformed('a field beyond its message');
          continue;
        }
        if (plan.kind === 'map') {
          readEntry(reader, plan, depth, (target[name] ??= Object.create(null)) as Target);
        } else if (plan.kind === 'list') {
          ((target[name] ??= []) as unknown[]).push(plan.read(reader, depth, undefined));
        } else {
          const value = plan.read(reader, depth, target[name]);
          for (const other of plan.others) delete target[other];
          if (plan.kind === 'explicit' || !isDefault(value)) target[name] = value;
          else if (target[name] !== undefined) delete target[name];
        }
      }
      if (reader.pos !== end) throw malformed('a field beyond its message');
      return target;
    };
    plans.set(of, read);
    for (const field of of.fieldsArray) fields[field.id] = planOf(field.resolve());
    return read;
  };

  const read = messageReader(type);
  return (bytes) => {
    const reader = protobuf.Reader.create(bytes);
    return read(reader, reader.len, 0, {});
  };
};
