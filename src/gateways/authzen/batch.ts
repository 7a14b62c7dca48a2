/**
 * `evaluations`: members of the request are defaults of its items, replaced whole; the semantic says where the answer ends. Guarantee:
 * each item's answer leaves in the breath of its own re-check, so that none waits for the others and gets old; all share the deadline
 * of one decision, counted from the request's arrival; what is wrong with an item says nothing about another (I12).
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { wrong, type Read } from './entities.ts';

const SEMANTICS = ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'] as const;
export type Semantic = (typeof SEMANTICS)[number];

export interface Batch {
  readonly items: readonly JsonValue[];
  readonly semantic: Semantic;
}

const DEFAULTS = ['subject', 'action', 'resource', 'context'] as const;

/** `undefined` where there is no item: then it is one evaluation like any other. */
export const readBatch = (body: JsonObject, evaluationsMax: number): Read<Batch | undefined> => {
  const own = (name: string): JsonValue | undefined => (Object.hasOwn(body, name) ? body[name] : undefined);
  const evaluations = own('evaluations');
  const options = own('options');
  if (evaluations !== undefined && !Array.isArray(evaluations)) return wrong('evaluations must be an array');
  if (options !== undefined && !isJsonObject(options)) return wrong('options must be an object');
  const semantic = options?.['evaluations_semantic'] === undefined ? 'execute_all' : options['evaluations_semantic'];
  const known = SEMANTICS.find((name) => name === semantic);
  if (known === undefined) return wrong(`options.evaluations_semantic must be one of ${SEMANTICS.join(', ')}`);
  for (const name of DEFAULTS) if (own(name) !== undefined && !isJsonObject(own(name))) return wrong(`${name} must be an object`);
  const items = (evaluations ?? []) as readonly JsonValue[];
  if (items.length > evaluationsMax) return wrong(`evaluations may be at most ${evaluationsMax}`);
  return { ok: true, value: items.length === 0 ? undefined : { items, semantic: known } };
};

/** One item with the defaults it does not replace. */
export const itemOf = (body: JsonObject, item: JsonValue): Read<JsonObject> => {
  if (!isJsonObject(item)) return wrong('an evaluation must be an object');
  const merged: Record<string, JsonValue> = {};
  for (const name of DEFAULTS) {
    const source = Object.hasOwn(item, name) ? item : body;
    const value = Object.hasOwn(source, name) ? source[name] : undefined;
    if (value !== undefined) merged[name] = value;
  }
  return { ok: true, value: merged };
};

export const endsWith = (semantic: Semantic, allowed: boolean): boolean =>
  (semantic === 'deny_on_first_deny' && !allowed) || (semantic === 'permit_on_first_permit' && allowed);
