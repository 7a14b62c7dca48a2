/**
 * What a people source that is fed to us (SCIM) knows: its users and groups, as records of their own beside the persons they become. A user
 * stands for one person from its creation on, also when it is renamed, and no two users for the same one.
 */
import type { RecordRef } from '../grant-refs.ts';
import type { JsonObject } from '../json.ts';

export interface FeedUser {
  readonly version: 1;
  readonly id: string;
  readonly userName: string;
  readonly externalId?: string;
  readonly displayName?: string;
  readonly active: boolean;
  readonly person: string;
  /** Ids of groups. */
  readonly groups: readonly string[];
}

export interface FeedGroup {
  readonly version: 1;
  readonly id: string;
  readonly displayName: string;
  readonly externalId?: string;
  /** It is being taken away: it gives nothing any more, and takes no members. */
  readonly ended?: true;
}

/** What can be looked up, and is there once. */
export type FeedKey = 'userName' | 'user.externalId' | 'displayName' | 'group.externalId' | 'person';

/** Names are the same whatever their case, or how their letters are written (RFC 7643, 2.2); ids are not. */
export const foldName = (name: string): string => name.normalize('NFKC').toLowerCase();
const FOLDED: ReadonlySet<FeedKey> = new Set(['userName', 'displayName']);

export const FEED_USER = 'feed-user';
export const FEED_GROUP = 'feed-group';
export const FEED_MEMBER = 'feed-member';
/** Begins the ids of all users and groups of one source. */
export const feedPrefix = (feed: string): string => `${feed}:`;
export const feedUserRef = (feed: string, id: string): RecordRef => ({ kind: FEED_USER, id: `${feedPrefix(feed)}${id}` });
export const feedGroupRef = (feed: string, id: string): RecordRef => ({ kind: FEED_GROUP, id: `${feedPrefix(feed)}${id}` });
/** One a member; listed by the group, as rows of its own. */
export const feedMemberRef = (feed: string, group: string, user: string): RecordRef => ({ kind: FEED_MEMBER, id: `${feed}:${group}:${user}` });
export const feedMemberOwner = (feed: string, group: string): string => `feed-group:${feed}:${group}`;
export const feedKeyRef = (feed: string, key: FeedKey, value: string): RecordRef => ({ kind: 'feed-key', id: `${feed}:${key}:${FOLDED.has(key) ? foldName(value) : value}` });

/** How many users, or groups, the source ever made, and how many of them are gone. */
export const feedCountRef = (feed: string, kind: 'user' | 'group', of: 'made' | 'gone'): RecordRef => ({ kind: 'feed-count', id: `${feed}:${kind}:${of}` });

const isText = (value: unknown): boolean => typeof value === 'string';
const isTextOrAbsent = (value: unknown): boolean => value === undefined || typeof value === 'string';

export const readFeedUser = (value: JsonObject | undefined): FeedUser | undefined =>
  value !== undefined && value['version'] === 1 && ['id', 'userName', 'person'].every((name) => isText(value[name])) && ['externalId', 'displayName'].every((name) => isTextOrAbsent(value[name])) &&
    typeof value['active'] === 'boolean' && Array.isArray(value['groups']) && value['groups'].every(isText)
    ? (value as unknown as FeedUser)
    : undefined;

export const readFeedGroup = (value: JsonObject | undefined): FeedGroup | undefined =>
  value !== undefined && value['version'] === 1 && ['id', 'displayName'].every((name) => isText(value[name])) && isTextOrAbsent(value['externalId']) ? (value as unknown as FeedGroup) : undefined;
