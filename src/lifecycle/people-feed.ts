/**
 * A people source that is fed to us, over the lifecycle: users, groups, and who is in which. Each message about one user is one commit; one about a
 * group's members is one commit a member, repeated safely, so that what is reported as failed can simply be sent again.
 */
import { createHash } from 'node:crypto';
import type { Actor } from '../domain/lifecycle/change.ts';
import { changeFeedGroup, changeFeedUser, type FeedGroupTerms, type FeedSetting, type FeedUserTerms } from '../domain/lifecycle/feed-rules.ts';
import { FEED_GROUP, FEED_MEMBER, FEED_USER, feedCountRef, feedGroupRef, feedKeyRef, feedMemberOwner, feedMemberRef, feedPrefix, feedUserRef, readFeedGroup, readFeedUser, type FeedGroup, type FeedKey, type FeedUser } from '../domain/lifecycle/feed.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Store, StoredRecord } from '../store/port.ts';
import { readTarget } from '../domain/lifecycle/directory.ts';
import { createEnforce } from './enforce.ts';
import type { Executed } from './execute.ts';
import { createFeedPages } from './feed-pages.ts';
import type { Call, LifecycleDeps } from './lifecycle.ts';
import { newId } from './new-id.ts';
import { createRun } from './run.ts';
import { createSettle } from './settle.ts';

export interface FeedOf {
  readonly id: string;
  readonly realm: string;
  readonly personOf: FeedSetting['personOf'];
  readonly accountsOf: FeedSetting['accountsOf'];
  readonly teamOf: FeedSetting['teamOf'];
  readonly adopt: boolean;
  readonly most: FeedSetting['most'];
  /** Everything in the configuration that says what users and groups mean, as text: another one, another meaning. */
  readonly meaning: string;
}

/** What is to become of a group's members. `whole`: whoever is not in `add` leaves. */
export interface MemberChange {
  readonly whole: boolean;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export interface Stamped<T> {
  readonly value: T;
  readonly createdAt: number;
  readonly modifiedAt: number;
}

export interface PeopleFeed {
  user(id: string): Promise<Stamped<FeedUser> | undefined>;
  group(id: string): Promise<Stamped<FeedGroup> | undefined>;
  /** Its id. */
  find(key: FeedKey, value: string): Promise<string | undefined>;
  /** Ids in order, and how many there are in all. */
  page(kind: 'user' | 'group', start: number, count: number): Promise<{ readonly ids: readonly string[]; readonly total: number }>;
  members(group: string): Promise<readonly string[]>;
  isMember(group: string, user: string): Promise<boolean>;
  /** `reply.of`: its id. */
  createUser(terms: Omit<FeedUserTerms, 'groups'>): Promise<Executed>;
  changeUser(id: string, change: (user: FeedUser) => Omit<FeedUserTerms, 'groups'>, ends: boolean): Promise<Executed>;
  removeUser(id: string): Promise<Executed>;
  createGroup(terms: FeedGroupTerms): Promise<Executed>;
  changeGroup(id: string, change: (group: FeedGroup) => FeedGroupTerms): Promise<Executed>;
  removeGroup(id: string): Promise<Executed>;
  /** What is known of every user becomes what it means by this configuration; at most once for each. Resolves to how many were looked at, or rejects with the first failure. */
  remap(): Promise<number>;
  /** The first failure, or `undefined`. Those who leave go first. */
  changeMembers(group: string, change: MemberChange): Promise<Executed | undefined>;
}

const PAGE = 1_000;
const AT_ONCE = 8;

const stamped = <T>(record: StoredRecord | undefined, read: (value: JsonObject | undefined) => T | undefined): Stamped<T> | undefined => {
  const value = read(record?.value);
  return record === undefined || value === undefined ? undefined : { value, createdAt: record.created.at, modifiedAt: record.modified.at };
};

export const createPeopleFeed = (deps: Pick<LifecycleDeps, 'store' | 'clock' | 'config' | 'enforcementMs' | 'deciders'>, feed: FeedOf): PeopleFeed => {
  const { clock, config } = deps;
  const store: Pick<Store, 'read' | 'list' | 'fenceMs' | 'enforced'> = deps.store;
  const { realm } = feed;
  const source = `scim:${feed.id}`;
  const actor: Actor = { kind: 'system', id: source };
  const call: Call = { realm, actor };
  const run = createRun({ store: deps.store, clock, idempotencyKeepMs: config.idempotencyKeepMs });
  const freshId = (): string => newId(clock.now().latest);
  /** A store from before there was a count is counted once, as it is. */
  const countOnce = async (kind: 'user' | 'group'): Promise<void> => {
    const key = feedCountRef(feed.id, kind, 'made');
    if ((await read(key)) !== undefined) return;
    const count = (await idsOf(kind)).length;
    await deps.store.commit({ realm, expect: [{ key, version: 0 }], puts: [{ key, value: { version: 1, count } }], events: [{ type: 'feed.changed', about: [key], ending: false, data: { feed: feed.id, counted: kind, count, by: actor.id } }] });
  };
  const setting = (): FeedSetting => ({ most: feed.most,
    feed: feed.id, source, newId: freshId, settleMs: deps.enforcementMs + (store.fenceMs?.() ?? 0), onTransfer: config.directory.onTransfer,
    personOf: feed.personOf, accountsOf: feed.accountsOf, teamOf: feed.teamOf, adopt: feed.adopt,
  });
  // Nobody waits, and who does not confirm in time is told of.
  const enforce = createEnforce({ store, clock, run, settle: createSettle(clock), enforcedMs: () => 0, pepCacheMs: () => 0, deciders: deps.deciders });
  const user = async (id: string, change: (user: FeedUser | undefined) => FeedUserTerms | undefined, ends: boolean) => {
    const command = () => run(call, 'person.set', `feed-user/${id}`, changeFeedUser(id, { change, ends }, actor, setting()));
    return ends ? enforce(realm, 0, false, command) : command();
  };
  const group = (id: string, change: (group: FeedGroup | undefined) => FeedGroupTerms | undefined) => run(call, 'person.set', `feed-group/${id}`, changeFeedGroup(id, change, actor, setting()));

  const allOf = async (kind: string, owner?: string): Promise<readonly StoredRecord[]> => {
    const records: StoredRecord[] = [];
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind, limit: PAGE, ...(owner === undefined ? {} : { owner }), ...(after === undefined ? {} : { after }) });
      records.push(...page.items);
      if (page.next === undefined) break;
      after = page.next;
    }
    return records;
  };
  const kinds = { user: FEED_USER, group: FEED_GROUP } as const;
  const prefix = feedPrefix(feed.id);
  const idOf = ({ key }: StoredRecord): string | undefined => (key.id.startsWith(prefix) ? key.id.slice(prefix.length) : undefined);
  const idsOf = async (kind: 'user' | 'group'): Promise<readonly string[]> => (await allOf(kinds[kind])).flatMap((record) => idOf(record) ?? []);
  const pagesOf = (kind: 'user' | 'group') => createFeedPages({ list: (options) => store.list(realm, { kind: kinds[kind], ...options }), idOf });
  const pages = { user: pagesOf('user'), group: pagesOf('group') };
  /** By what was counted; a store from before there was a count is counted as it is. */
  const totalOf = async (kind: 'user' | 'group'): Promise<number> => {
    const [made, gone] = (await store.read(realm, [feedCountRef(feed.id, kind, 'made'), feedCountRef(feed.id, kind, 'gone')])).map((record) => record?.value['count']);
    return typeof made === 'number' ? made - (typeof gone === 'number' ? gone : 0) : (await idsOf(kind)).length;
  };
  const members = async (id: string): Promise<readonly string[]> =>
    (await allOf(FEED_MEMBER, feedMemberOwner(feed.id, id))).flatMap(({ value: { user: member } }) => (typeof member === 'string' ? [member] : []));

  /** One after another fails or not; the first failure ends it. */
  const eachOf = async (ids: readonly string[], act: (id: string) => Promise<Executed>): Promise<Executed | undefined> => {
    let failure: Executed | undefined;
    const queue = ids.values();
    const work = async (): Promise<void> => {
      for (const id of queue) {
        if (failure !== undefined) return;
        const executed = await act(id);
        if (!executed.ok && executed.failure.code !== 'not-found') failure ??= executed;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return failure;
  };
  const leave = (id: string, from: string) => user(id, (known) => known && { ...known, groups: known.groups.filter((one) => one !== from) }, true);

  const read = async (ref: ReturnType<typeof feedUserRef>): Promise<StoredRecord | undefined> => (await store.read(realm, [ref]))[0];
  return {
    user: async (id) => stamped(await read(feedUserRef(feed.id, id)), readFeedUser),
    group: async (id) => {
      const found = stamped(await read(feedGroupRef(feed.id, id)), readFeedGroup);
      return found?.value.ended === true ? undefined : found;
    },
    find: async (key, value) => readTarget((await read(feedKeyRef(feed.id, key, value)))?.value),
    page: async (kind, start, count) => {
      const total = await totalOf(kind);
      return { ids: start <= total ? await pages[kind](start, count) : [], total };
    },
    members,
    isMember: async (id, member) => (await read(feedMemberRef(feed.id, id, member))) !== undefined,
    createUser: async (terms) => {
      await countOnce('user');
      return user(freshId(), (known) => (known === undefined ? { ...terms, groups: [] } : known), false);
    },
    changeUser: (id, change, ends) => user(id, (known) => known && { ...change(known), groups: known.groups }, ends),
    removeUser: (id) => user(id, () => undefined, true),
    createGroup: async (terms) => {
      await countOnce('group');
      return group(freshId(), (known) => known ?? terms);
    },
    remap: async () => {
      const key = { kind: 'feed-meaning', id: feed.id };
      const digest = createHash('sha256').update(feed.meaning).digest('hex');
      const held = await read(key);
      if (held?.value['digest'] === digest) return 0;
      const ids = await idsOf('user');
      // As ending: it is one for whoever loses a team by it.
      const failure = await eachOf(ids, (id) => user(id, (known) => known, true));
      if (failure?.ok === false) throw new Error(failure.failure.detail);
      const noted = await deps.store.commit({ realm, expect: [{ key, version: held?.modified.sequence ?? 0 }], puts: [{ key, value: { version: 1, digest } }], events: [{ type: 'feed.changed', about: [key], ending: false, data: { feed: feed.id, remapped: ids.length, by: actor.id } }] });
      if (noted.outcome !== 'committed') throw new Error('others changed the meaning of this source meanwhile');
      return ids.length;
    },
    changeGroup: async (id, change) => {
      const changed = await group(id, (known) => known && (known.ended === true ? known : change(known)));
      if (!changed.ok) return changed;
      // By their groups' names people have teams and roles.
      return (await eachOf(await members(id), (member) => user(member, (known) => known, false))) ?? changed;
    },
    removeGroup: async (id) => {
      const ended = await group(id, (known) => known && { ...known, ended: true });
      if (!ended.ok) return ended;
      for (let left = await members(id); left.length > 0; left = await members(id)) {
        const failure = await eachOf(left, (member) => leave(member, id));
        if (failure !== undefined) return failure;
      }
      return group(id, () => undefined);
    },
    changeMembers: async (id, { whole, add, remove }) => {
      const keep = new Set(add);
      const leaving = whole ? (await members(id)).filter((member) => !keep.has(member)) : remove;
      const failure = await eachOf(leaving, (member) => leave(member, id));
      return failure ?? eachOf(add, (member) => user(member, (known) => known && { ...known, groups: [...known.groups, id] }, false));
    },
  };
};
