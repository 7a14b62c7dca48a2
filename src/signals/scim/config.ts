/** Configuration of people sources that are fed to us, and how their users are named here. */
import { z } from 'zod';
import { foldName } from '../../domain/lifecycle/feed.ts';
import { isOidcId, isPerson } from '../../domain/lifecycle/fields.ts';
import type { FeedUser } from '../../domain/lifecycle/feed.ts';
import { hookSecret } from '../secret-config.ts';

type Words = Pick<FeedUser, 'userName' | 'externalId'>;

/** The text with `{userName}` and `{externalId}` filled in; `undefined` where the user has none of that name. */
const filled = (template: string, { userName, externalId }: Words, encode: (value: string) => string): string | undefined =>
  template.includes('{externalId}') && externalId === undefined ? undefined : template.replaceAll('{userName}', () => encode(foldName(userName))).replaceAll('{externalId}', () => encode(externalId ?? ''));

const named = (template: string): boolean => template.split(/\{(?:userName|externalId)\}/).length === 2;
const sample = { userName: 'x', externalId: 'x' };

export const scimConfig = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be small letters, digits and dashes').describe('name of the source; it sends to `/scim/<id>/v2`'),
  realm: z.string().min(1).optional().describe('realm of its people; absent: the default one'),
  token: hookSecret.describe('bearer token that it shows'),
  person: z.string().max(200).default('user:{userName}').refine((template) => named(template) && isPerson(filled(template, sample, (value) => value) ?? '') && template.startsWith('user:'), 'must be such as user:{userName} or user:{externalId}')
    .describe('which person a new user is; names in small letters'),
  accounts: z.array(z.string().max(500).refine((template) => named(template) && isOidcId(filled(template, sample, encodeURIComponent) ?? ''), 'must be such as oidc:idp.example/{externalId}')).max(8).default([])
    .describe('accounts of a user, from what the source says of it: `oidc:idp.example/{externalId}`'),
  maxUsers: z.int().min(1).max(1_000_000).default(100_000).describe('users that it may have; one more is refused'),
  maxGroups: z.int().min(1).max(100_000).default(10_000).describe('groups that it may have'),
  adopt: z.boolean().default(false).describe('takes over persons of the same name that came from elsewhere; otherwise such users are refused'),
});
export type ScimConfig = z.output<typeof scimConfig>;

export const feedNames = ({ person, accounts }: Pick<ScimConfig, 'person' | 'accounts'>) => ({
  personOf: (user: Words): string => filled(person, user, (value) => value) ?? '',
  accountsOf: (user: Words): readonly string[] => accounts.flatMap((template) => filled(template, user, encodeURIComponent) ?? []),
});
