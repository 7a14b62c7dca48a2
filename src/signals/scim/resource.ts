/** Users and groups as they come whole (POST, PUT), and as they are shown. */
import type { JsonObject } from '../../domain/json.ts';
import type { FeedGroup, FeedUser } from '../../domain/lifecycle/feed.ts';
import { toRfc3339, type Instant } from '../../domain/instant.ts';
import { attribute, booleanOf, fault, GROUP_SCHEMA, membersOf, USER_SCHEMA, type ScimFault } from './text.ts';

export interface UserBody {
  readonly userName: string;
  readonly externalId?: string;
  readonly displayName?: string;
  /** Absent: as it was. */
  readonly active?: boolean;
}

export interface GroupBody {
  readonly displayName: string;
  readonly externalId?: string;
  readonly members: readonly string[];
}

const optionalTexts = (body: JsonObject, names: readonly ('externalId' | 'displayName')[]): { readonly externalId?: string; readonly displayName?: string } | { readonly fault: ScimFault } => {
  const texts: { externalId?: string; displayName?: string } = {};
  for (const name of names) {
    const value = attribute(body, name);
    if (value === undefined || value === '') continue;
    if (typeof value !== 'string') return fault('invalidValue', `\`${name}\` must be a text`);
    texts[name] = value;
  }
  return texts;
};

export const readUser = (body: JsonObject): UserBody | { readonly fault: ScimFault } => {
  const userName = attribute(body, 'userName');
  if (typeof userName !== 'string' || userName === '') return fault('invalidValue', '`userName` must be a text');
  const given = attribute(body, 'active');
  const active = booleanOf(given);
  if (given !== undefined && active === undefined) return fault('invalidValue', '`active` must be true or false');
  const texts = optionalTexts(body, ['externalId', 'displayName']);
  return 'fault' in texts ? texts : { userName, ...texts, ...(active === undefined ? {} : { active }) };
};

export const readGroup = (body: JsonObject, membersMax: number): GroupBody | { readonly fault: ScimFault } => {
  const displayName = attribute(body, 'displayName');
  if (typeof displayName !== 'string' || displayName === '') return fault('invalidValue', '`displayName` must be a text');
  const texts = optionalTexts(body, ['externalId']);
  if ('fault' in texts) return texts;
  const members = membersOf(attribute(body, 'members'), membersMax);
  return 'fault' in members ? members : { displayName, ...texts, members: [...new Set(members)] };
};

interface Shown {
  readonly base: string;
  readonly createdAt: number;
  readonly modifiedAt: number;
}

const meta = (resourceType: 'User' | 'Group', id: string, { base, createdAt, modifiedAt }: Shown): JsonObject => ({
  resourceType, created: toRfc3339(createdAt as Instant), lastModified: toRfc3339(modifiedAt as Instant), location: `${base}/${resourceType}s/${id}`,
});

export const showUser = ({ id, userName, externalId, displayName, active }: FeedUser, shown: Shown): JsonObject => ({
  schemas: [USER_SCHEMA], id, userName, ...(externalId === undefined ? {} : { externalId }), ...(displayName === undefined ? {} : { displayName }), active, meta: meta('User', id, shown),
});

/** `members`: left out where they were not wanted. */
export const showGroup = ({ id, displayName, externalId }: FeedGroup, members: readonly string[] | undefined, shown: Shown): JsonObject => ({
  schemas: [GROUP_SCHEMA], id, displayName, ...(externalId === undefined ? {} : { externalId }),
  ...(members === undefined ? {} : { members: members.map((value) => ({ value, $ref: `${shown.base}/Users/${value}`, type: 'User' })) }), meta: meta('Group', id, shown),
});

const text = (name: string, more: object = {}): JsonObject => ({ name, type: 'string', multiValued: false, required: false, caseExact: false, mutability: 'readWrite', returned: 'default', uniqueness: 'none', ...more });

/** What a client may ask about us (RFC 7644, 4). */
export const discovery = (path: string, base: string): JsonObject | readonly JsonObject[] | undefined => {
  const off = { supported: false };
  if (path === 'ServiceProviderConfig') {
    return {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'], patch: { supported: true }, bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 }, filter: { supported: true, maxResults: 200 },
      changePassword: off, sort: off, etag: off, authenticationSchemes: [{ type: 'oauthbearertoken', name: 'Bearer', description: 'a token that both sides know', primary: true }],
      meta: { resourceType: 'ServiceProviderConfig', location: `${base}/ServiceProviderConfig` },
    };
  }
  const types = [['User', USER_SCHEMA], ['Group', GROUP_SCHEMA]] as const;
  if (path === 'ResourceTypes') {
    return types.map(([name, schema]) => ({
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'], id: name, name, endpoint: `/${name}s`, schema, meta: { resourceType: 'ResourceType', location: `${base}/ResourceTypes/${name}` },
    }));
  }
  if (path !== 'Schemas') return undefined;
  const externalId = text('externalId', { caseExact: true, uniqueness: 'server' });
  const attributes: Readonly<Record<'User' | 'Group', readonly JsonObject[]>> = {
    User: [text('userName', { required: true, uniqueness: 'server' }), externalId, text('displayName'), { ...text('active'), type: 'boolean' }],
    Group: [text('displayName', { required: true, uniqueness: 'server' }), externalId, { ...text('members'), type: 'complex', multiValued: true, subAttributes: [text('value', { caseExact: true, mutability: 'immutable' })] }],
  };
  return types.map(([name, id]) => ({ schemas: ['urn:ietf:params:scim:schemas:core:2.0:Schema'], id, name, attributes: attributes[name], meta: { resourceType: 'Schema', location: `${base}/Schemas/${id}` } }));
};
