/** How SCIM spells things (RFC 7643, 7644): names of attributes in any case, with or without the name of their schema. */
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';

export const USER_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const GROUP_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:Group';
export const LIST_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';
export const PATCH_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
export const ERROR_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:Error';

/** `scimType` of RFC 7644, 3.12. */
export interface ScimFault {
  readonly status: number;
  readonly scimType?: 'invalidFilter' | 'tooMany' | 'uniqueness' | 'mutability' | 'invalidSyntax' | 'invalidPath' | 'noTarget' | 'invalidValue';
  readonly detail: string;
}

export const fault = (scimType: NonNullable<ScimFault['scimType']>, detail: string): { readonly fault: ScimFault } => ({ fault: { status: 400, scimType, detail } });

const PREFIXES = [USER_SCHEMA, GROUP_SCHEMA].map((schema) => `${schema}:`.toLowerCase());
export const attributeName = (given: string): string => {
  const name = given.toLowerCase();
  const prefix = PREFIXES.find((one) => name.startsWith(one));
  return prefix === undefined ? name : name.slice(prefix.length);
};

/** The first own member of this name, whatever its case; null is as good as none. */
export const attribute = (object: JsonObject, name: string): JsonValue | undefined => {
  const own = Object.keys(object).find((one) => attributeName(one) === name.toLowerCase());
  return own === undefined || object[own] === null ? undefined : object[own];
};

/** As Entra ID sends them: `"False"`. */
export const booleanOf = (value: JsonValue | undefined): boolean | undefined => {
  if (typeof value === 'boolean') return value;
  const text = typeof value === 'string' ? value.toLowerCase() : undefined;
  return text === 'true' ? true : text === 'false' ? false : undefined;
};

/** Ids of members, or what is wrong. What is no user is refused: a group in a group would give what nobody gave. */
export const membersOf = (value: JsonValue | undefined, most: number): readonly string[] | { readonly fault: ScimFault } => {
  const list: readonly JsonValue[] = value === undefined ? [] : Array.isArray(value) ? value : [value];
  if (list.length > most) return fault('tooMany', `a message may name at most ${most} members`);
  const ids: string[] = [];
  for (const member of list) {
    const id = isJsonObject(member) ? attribute(member, 'value') : member;
    const type = isJsonObject(member) ? attribute(member, 'type') : undefined;
    if (typeof id !== 'string') return fault('invalidValue', 'a member is an object whose `value` is the id of a user');
    if (type !== undefined && (typeof type !== 'string' || type.toLowerCase() !== 'user')) return fault('invalidValue', 'only users are members; send who is in a nested group themselves');
    ids.push(id);
  }
  return ids;
};
