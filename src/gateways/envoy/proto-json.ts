/**
 * A decoded message in protobuf's JSON form, as Go's protojson writes it for opa-envoy-plugin: 64-bit integers as text, enums by name, bytes as
 * base64, and the well-known types (times, durations, wrappers, `Struct`, `FieldMask`, `Any`) in forms of their own. Guarantee: what has no such form
 * throws: a time out of range, an `Any` of a type that the set does not describe, a member `__proto__`, nesting beyond the cap.
 */
import protobuf from 'protobufjs';
import { isJsonObject, type JsonValue } from '../../domain/json.ts';

const DEPTH_MAX = 32;

/** Checks and decodes bytes of another type. */
type Decode = (type: protobuf.Type, bytes: Uint8Array) => protobuf.Message;
type Fields = Readonly<Record<string, unknown>>;
type Walk = (type: protobuf.Type, message: Fields, depth: number) => JsonValue;

const SECONDS = { timestamp: [-62_135_596_800n, 253_402_300_799n], duration: [-315_576_000_000n, 315_576_000_000n] } as const;
const NANOS_MAX = 999_999_999;

const without = (why: string): Error => new Error(`no JSON form: ${why}`);

/** Of a number, or of the `Long` that stands for one. */
const digits = (value: unknown): string => (value as { toString(): string }).toString();

const secondsOf = (message: Fields, [least, most]: readonly [bigint, bigint]): bigint => {
  const seconds = BigInt(digits(message['seconds'] ?? 0));
  if (!(seconds >= least && seconds <= most)) throw without('seconds out of range');
  return seconds;
};

/** `.5` as `.500`: none, three, six or nine digits. */
const fraction = (nanos: number): string => {
  if (!(Number.isInteger(nanos) && nanos >= 0 && nanos <= NANOS_MAX)) throw without('nanos out of range');
  return nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/(?:000){1,2}$/, '')}`;
};

const timestamp = (message: Fields): JsonValue => {
  const whole = new Date(Number(secondsOf(message, SECONDS.timestamp)) * 1_000).toISOString();
  return `${whole.slice(0, -'.000Z'.length)}${fraction((message['nanos'] ?? 0) as number)}Z`;
};

const duration = (message: Fields): JsonValue => {
  const seconds = secondsOf(message, SECONDS.duration);
  const nanos = (message['nanos'] ?? 0) as number;
  if ((seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0)) throw without('seconds and nanos of two signs');
  const sign = seconds < 0n || nanos < 0 ? '-' : '';
  return `${sign}${seconds < 0n ? -seconds : seconds}${fraction(Math.abs(nanos))}s`;
};

const valueOf = (message: Fields, depth: number): JsonValue => {
  if (!(depth < DEPTH_MAX)) throw without('nested too deep');
  const has = (name: string): boolean => message[name] !== undefined && message[name] !== null && Object.hasOwn(message, name);
  if (has('structValue')) return structOf(message['structValue'] as Fields, depth + 1);
  if (has('listValue')) return listOf(message['listValue'] as Fields, depth + 1);
  if (has('numberValue')) {
    const number = message['numberValue'] as number;
    if (!Number.isFinite(number)) throw without('a number of a Value that is not finite');
    return number;
  }
  if (has('stringValue')) return message['stringValue'] as string;
  if (has('boolValue')) return message['boolValue'] as boolean;
  if (has('nullValue')) return null;
  throw without('a Value without one');
};

/** Members of an object that is made of what a message says: any name but one. */
const objectOf = (entries: readonly (readonly [string, JsonValue])[]): JsonValue => {
  if (entries.some(([name]) => name === '__proto__')) throw without('a member __proto__');
  return Object.fromEntries(entries);
};

const structOf = (message: Fields, depth: number): JsonValue =>
  objectOf(Object.entries((message['fields'] ?? {}) as Record<string, Fields>).map(([name, value]) => [name, valueOf(value, depth)]));
const listOf = (message: Fields, depth: number): JsonValue => ((message['values'] ?? []) as readonly Fields[]).map((value) => valueOf(value, depth));

const camelCase = (path: string): string => {
  const text = path.replaceAll(/_([a-z])/g, (_found, letter: string) => letter.toUpperCase());
  if (/[A-Z]/.test(path) || /_/.test(text)) throw without('a path of a FieldMask that does not come back');
  return text;
};

const scalar = (field: protobuf.Field, value: unknown): JsonValue => {
  if (field.resolvedType instanceof protobuf.Enum) return field.resolvedType.fullName === '.google.protobuf.NullValue' ? null : (field.resolvedType.valuesById[value as number] ?? (value as number));
  if (field.type === 'bytes') return Buffer.from(value as Uint8Array).toString('base64');
  if (field.type.endsWith('64')) return digits(value);
  if (typeof value !== 'number') return value as string | boolean;
  if (!Number.isFinite(value)) return String(value);
  return field.type === 'float' ? shortFloat(value) : value;
};

/** The shortest number that is this one as a float: 0.12, not 0.11999999731779099. */
const shortFloat = (value: number): number => {
  for (let digits = 6; digits <= 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
};

/** `decode` is for what an `Any` holds. Throws. */
export const protoJson = (root: protobuf.Type, top: protobuf.Message, decode: Decode): JsonValue => {
  const WRAPPED = /^google\.protobuf\.(?:Double|Float|U?Int(?:32|64)|Bool|String|Bytes)Value$/;
  const known: Readonly<Record<string, (type: protobuf.Type, message: Fields, depth: number) => JsonValue>> = {
    'google.protobuf.Timestamp': (_type, message) => timestamp(message),
    'google.protobuf.Duration': (_type, message) => duration(message),
    'google.protobuf.Struct': (_type, message, depth) => structOf(message, depth),
    'google.protobuf.Value': (_type, message, depth) => valueOf(message, depth),
    'google.protobuf.ListValue': (_type, message, depth) => listOf(message, depth),
    'google.protobuf.FieldMask': (_type, message) => ((message['paths'] ?? []) as readonly string[]).map(camelCase).join(','),
    'google.protobuf.Any': (_type, message, depth) => anyOf(message, depth),
  };
  const ownForm = (name: string) => (Object.hasOwn(known, name) ? known[name] : WRAPPED.test(name) ? wrapped : undefined);
  const wrapped = (type: protobuf.Type, message: Fields): JsonValue => {
    const field = type.fields['value'] as protobuf.Field;
    const value = message['value'] ?? (field.defaultValue as unknown);
    return scalar(field, field.type === 'bytes' && !(value instanceof Uint8Array) ? new Uint8Array() : value);
  };
  const anyOf = (message: Fields, depth: number): JsonValue => {
    const url = (message['type_url'] ?? message['typeUrl'] ?? '') as string;
    if (url === '') return {};
    const name = url.slice(url.lastIndexOf('/') + 1);
    const found = root.root.lookup(`.${name}`, [protobuf.Type]);
    if (!(found instanceof protobuf.Type)) throw without('an Any of a type that nobody described');
    const value = walk(found, decode(found, (message['value'] as Uint8Array | undefined) ?? new Uint8Array()) as unknown as Fields, depth + 1);
    return { '@type': url, ...(ownForm(name) === undefined && isJsonObject(value) ? value : { value }) };
  };
  const walk: Walk = (type, message, depth) => {
    if (!(depth < DEPTH_MAX)) throw without('nested too deep');
    const form = ownForm(type.fullName.slice(1));
    if (form !== undefined) return form(type, message, depth);
    const one = (field: protobuf.Field, value: unknown): JsonValue => (field.resolvedType instanceof protobuf.Type ? walk(field.resolvedType, value as Fields, depth + 1) : scalar(field, value));
    const members: [string, JsonValue][] = [];
    for (const field of type.fieldsArray) {
      const value = Object.hasOwn(message, field.name) ? message[field.name] : undefined;
      if (value === undefined || value === null || ((field.repeated || field instanceof protobuf.MapField) && Object.keys(value).length === 0)) continue;
      if (field instanceof protobuf.MapField) members.push([field.name, objectOf(Object.entries(value).map(([key, of]) => [key, one(field, of)]))]);
      else if (field.repeated) members.push([field.name, (value as readonly unknown[]).map((item) => one(field, item))]);
      else members.push([field.name, one(field, value)]);
    }
    return objectOf(members);
  };
  return walk(root, top as unknown as Fields, 0);
};
