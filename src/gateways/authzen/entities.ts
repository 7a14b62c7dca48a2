/**
 * AuthZEN's entities out of a body, strictly in their types; unknown members are ignored, as the protocol wants it (so a caller's own
 * `curfew` never arrives anywhere). What is not as it must be is told with its place.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';

export interface Entities {
  readonly subject: JsonObject;
  readonly action: JsonObject;
  readonly resource: JsonObject;
  readonly context?: JsonObject;
}

export type EntityName = keyof Entities;

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };

export const wrong = (message: string): { readonly ok: false; readonly message: string } => ({ ok: false, message });

const NAMES = { subject: ['type', 'id'], action: ['name'], resource: ['type', 'id'], context: [] } as const satisfies Record<EntityName, readonly string[]>;

const isText = (value: JsonValue | undefined): boolean => typeof value === 'string' && value !== '';

/** The entity with its known members; `context` whole. `mayLack`: members that need not be there, since the search is for them. */
const readEntity = (name: EntityName, value: JsonValue, mayLack: readonly string[]): Read<JsonObject> => {
  if (!isJsonObject(value)) return wrong(`${name} must be an object`);
  if (name === 'context') return { ok: true, value };
  for (const member of NAMES[name]) {
    const given = value[member];
    if (given === undefined && mayLack.includes(member)) continue;
    if (!isText(given)) return wrong(`${name}.${member} must be a string, not empty`);
  }
  const { properties } = value;
  if (properties !== undefined && !isJsonObject(properties)) return wrong(`${name}.properties must be an object`);
  const kept: Record<string, JsonValue> = {};
  for (const member of NAMES[name]) if (Object.hasOwn(value, member)) kept[member] = value[member] as JsonValue;
  if (Object.hasOwn(value, 'properties')) kept['properties'] = properties as JsonValue;
  return { ok: true, value: kept };
};

/** Those of `wanted` and the context; the others are not looked at. Own members only. */
export const readEntities = (source: JsonObject, wanted: readonly Exclude<EntityName, 'context'>[], mayLack: Partial<Record<EntityName, readonly string[]>> = {}): Read<Partial<Entities>> => {
  const found: Partial<Record<EntityName, JsonObject>> = {};
  for (const name of [...wanted, 'context'] as const) {
    const value = Object.hasOwn(source, name) ? source[name] : undefined;
    if (value === undefined) {
      if (name === 'context') continue;
      return wrong(`${name} is missing`);
    }
    const read = readEntity(name, value, mayLack[name] ?? []);
    if (!read.ok) return read;
    found[name] = read.value;
  }
  return { ok: true, value: found };
};

export const readEvaluation = (source: JsonObject): Read<Entities> => readEntities(source, ['subject', 'action', 'resource']) as Read<Entities>;
