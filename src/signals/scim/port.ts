/** What a people source does here; given by whoever joins it with the lifecycle. */
import type { FeedGroup, FeedKey, FeedUser } from '../../domain/lifecycle/feed.ts';
import type { JsonObject } from '../../domain/json.ts';

/** `reply.of`: the id of what was changed. */
export type PortAnswer = { readonly ok: true; readonly reply: JsonObject } | { readonly ok: false; readonly failure: { readonly code: string; readonly detail: string } };

interface Found<T> {
  readonly value: T;
  readonly createdAt: number;
  readonly modifiedAt: number;
}

type UserWords = Pick<FeedUser, 'userName' | 'externalId' | 'displayName' | 'active'>;
type GroupWords = Pick<FeedGroup, 'displayName' | 'externalId'>;

export interface FeedPort {
  user(id: string): Promise<Found<FeedUser> | undefined>;
  group(id: string): Promise<Found<FeedGroup> | undefined>;
  find(key: FeedKey, value: string): Promise<string | undefined>;
  page(kind: 'user' | 'group', start: number, count: number): Promise<{ readonly ids: readonly string[]; readonly total: number }>;
  members(group: string): Promise<readonly string[]>;
  isMember(group: string, user: string): Promise<boolean>;
  createUser(words: UserWords): Promise<PortAnswer>;
  /** `ends`: it takes access away. */
  changeUser(id: string, change: (user: FeedUser) => UserWords, ends: boolean): Promise<PortAnswer>;
  removeUser(id: string): Promise<PortAnswer>;
  createGroup(words: GroupWords): Promise<PortAnswer>;
  changeGroup(id: string, change: (group: FeedGroup) => GroupWords): Promise<PortAnswer>;
  removeGroup(id: string): Promise<PortAnswer>;
  changeMembers(group: string, change: { readonly whole: boolean; readonly add: readonly string[]; readonly remove: readonly string[] }): Promise<PortAnswer | undefined>;
}
