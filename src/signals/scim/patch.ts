/**
 * PatchOp messages (RFC 7644, 3.5.2) as identity providers really send them: operations in any case, booleans as texts, members to remove by
 * filter or by value, and several attributes in one value without a path. Attributes that mean nothing here are passed over; a
 * known one that can't be understood refuses the whole message.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { attribute, attributeName, booleanOf, fault, membersOf, PATCH_SCHEMA, type ScimFault } from './text.ts';

const OPERATIONS_MAX = 1_000;

interface Operation {
  readonly op: 'add' | 'replace' | 'remove';
  readonly path: string | undefined;
  readonly value: JsonValue | undefined;
}

type OrFault<T> = T | { readonly fault: ScimFault };

const operations = (body: JsonObject): OrFault<readonly Operation[]> => {
  const schemas = attribute(body, 'schemas');
  if (!Array.isArray(schemas) || !schemas.includes(PATCH_SCHEMA)) return fault('invalidSyntax', `\`schemas\` must have ${PATCH_SCHEMA}`);
  const list = attribute(body, 'Operations');
  if (!Array.isArray(list) || list.length === 0) return fault('invalidSyntax', '`Operations` must be there');
  if (list.length > OPERATIONS_MAX) return fault('tooMany', `at most ${OPERATIONS_MAX} operations`);
  const read: Operation[] = [];
  for (const item of list) {
    const given = isJsonObject(item) ? attribute(item, 'op') : undefined;
    const op = typeof given === 'string' ? (['add', 'replace', 'remove'] as const).find((one) => one === given.toLowerCase()) : undefined;
    const path = isJsonObject(item) ? attribute(item, 'path') : undefined;
    if (!isJsonObject(item) || op === undefined || (path !== undefined && typeof path !== 'string')) return fault('invalidSyntax', 'an operation has `op` (add, replace, remove), `path` and `value`');
    const value = Object.keys(item).find((name) => name.toLowerCase() === 'value');
    read.push({ op, path, value: value === undefined ? undefined : item[value] });
  }
  return read;
};

/** Each as one attribute with its value. */
const byAttribute = ({ op, path, value }: Operation): OrFault<readonly { readonly op: Operation['op']; readonly name: string; readonly value: JsonValue | undefined }[]> => {
  if (path !== undefined) return [{ op, name: attributeName(path), value }];
  if (op === 'remove') return { fault: { status: 400, scimType: 'noTarget', detail: 'what is removed is named by `path`' } };
  if (!isJsonObject(value)) return fault('invalidValue', 'without a `path`, `value` is an object of attributes');
  return Object.keys(value).map((name) => ({ op, name: attributeName(name), value: value[name] }));
};

export interface UserPatch {
  readonly userName?: string;
  readonly active?: boolean;
  /** `null`: none any more. */
  readonly externalId?: string | null;
  readonly displayName?: string | null;
}

/** A text, or `null` where it is taken away. */
const textOf = (op: Operation['op'], name: string, value: JsonValue | undefined): OrFault<{ readonly text: string | null }> => {
  if (op === 'remove' || value === null || value === '') return { text: null };
  return typeof value === 'string' ? { text: value } : fault('invalidValue', `\`${name}\` must be a text`);
};

export const readUserPatch = (body: JsonObject): OrFault<UserPatch> => {
  const list = operations(body);
  if ('fault' in list) return list;
  let patch: UserPatch = {};
  for (const operation of list) {
    const each = byAttribute(operation);
    if ('fault' in each) return each;
    for (const { op, name, value } of each) {
      if (name === 'active') {
        const active = booleanOf(value);
        if (op === 'remove') return { fault: { status: 400, scimType: 'mutability', detail: '`active` can not be removed' } };
        if (active === undefined) return fault('invalidValue', '`active` must be true or false');
        patch = { ...patch, active };
      } else if (name === 'username') {
        if (op === 'remove' || typeof value !== 'string' || value === '') return fault('invalidValue', '`userName` must be a text');
        patch = { ...patch, userName: value };
      } else if (name === 'externalid' || name === 'displayname') {
        const read = textOf(op, name, value);
        if ('fault' in read) return read;
        patch = name === 'externalid' ? { ...patch, externalId: read.text } : { ...patch, displayName: read.text };
      }
    }
  }
  return patch;
};

export interface GroupPatch {
  readonly displayName?: string;
  readonly externalId?: string | null;
  readonly members?: { readonly whole: boolean; readonly add: readonly string[]; readonly remove: readonly string[] };
}

/** `members[value eq "..."]` */
const MEMBER_PATH = /^members\[\s*value\s+eq\s+("(?:[^"\\]|\\.)*")\s*\]$/i;
const memberIn = (path: string): string | undefined => {
  const quoted = MEMBER_PATH.exec(path)?.[1];
  try {
    return quoted === undefined ? undefined : (JSON.parse(quoted) as string);
  } catch {
    return undefined;
  }
};

export const readGroupPatch = (body: JsonObject, membersMax: number): OrFault<GroupPatch> => {
  const list = operations(body);
  if ('fault' in list) return list;
  let patch: GroupPatch = {};
  let touched = false;
  let whole = false;
  const add = new Set<string>();
  const remove = new Set<string>();
  const enter = (ids: readonly string[]): void => ids.forEach((id) => { add.add(id); remove.delete(id); });
  const leave = (ids: readonly string[]): void => ids.forEach((id) => { remove.add(id); add.delete(id); });
  const all = (): void => { whole = true; add.clear(); remove.clear(); };
  for (const operation of list) {
    const each = byAttribute(operation);
    if ('fault' in each) return each;
    for (const { op, name, value } of each) {
      if (name === 'displayname') {
        if (op === 'remove' || typeof value !== 'string' || value === '') return fault('invalidValue', '`displayName` must be a text');
        patch = { ...patch, displayName: value };
      } else if (name === 'externalid') {
        const read = textOf(op, name, value);
        if ('fault' in read) return read;
        patch = { ...patch, externalId: read.text };
      } else if (name === 'members') {
        const ids = membersOf(value ?? undefined, membersMax);
        if ('fault' in ids) return ids;
        touched = true;
        if (op === 'replace' || (op === 'remove' && (value === undefined || value === null))) all();
        if (op === 'remove') leave(ids);
        else enter(ids);
      } else if (/^members[.[]/.test(name)) {
        const id = memberIn(operation.path ?? '');
        if (id === undefined || op !== 'remove') return fault('invalidPath', 'of members only `members[value eq "id"]` can be removed');
        touched = true;
        leave([id]);
      }
      if (add.size + remove.size > membersMax) return fault('tooMany', `a message may name at most ${membersMax} members`);
    }
  }
  return touched ? { ...patch, members: { whole, add: [...add], remove: [...remove] } } : patch;
};
