/**
 * Commands of a people source that is fed to us. What it says of a user is at once, in the same commit, what the directory knows of the person:
 * leaving ends what rests on them, losing a group loses its team and roles. Deactivating is never refused because of what the name means
 * elsewhere; only the source's own saying that a user is active again brings somebody back whom anybody else had said to be gone.
 */
import { INSTANT_MAX } from '../instant.ts';
import { canonicalJson, type JsonObject } from '../json.ts';
import { invalid, refuse, type Actor, type Change, type Loaded, type Rule, type Ruling } from './change.ts';
import { personRef, readPerson } from './directory.ts';
import { setPerson, type DirectorySetting, type SetPerson } from './directory-rules.ts';
import { feedCountRef, feedGroupRef, feedKeyRef, feedMemberOwner, feedMemberRef, feedUserRef, readFeedGroup, readFeedUser, type FeedGroup, type FeedKey, type FeedUser } from './feed.ts';
import { faultsOf, textFault } from './fields.ts';

export const FEED_NAME_CHARS_MAX = 256;
export const FEED_GROUPS_MAX = 256;

export interface FeedSetting extends DirectorySetting {
  readonly feed: string;
  /** The person that a new user is. */
  readonly personOf: (user: Pick<FeedUser, 'userName' | 'externalId'>) => string;
  readonly accountsOf: (user: Pick<FeedUser, 'userName' | 'externalId'>) => readonly string[];
  /** The team that a group of this name is, if any. */
  readonly teamOf: (group: string) => string | undefined;
  /** How many users and groups it may have. */
  readonly most: { readonly user: number; readonly group: number };
  /** Takes over persons of this name that came from elsewhere. */
  readonly adopt: boolean;
}

export type FeedUserTerms = Pick<FeedUser, 'userName' | 'externalId' | 'displayName' | 'active' | 'groups'>;

const asJson = (value: object): JsonObject => value as unknown as JsonObject;
const nameFault = (value: string | undefined): string | undefined => (value === undefined ? undefined : textFault(value, FEED_NAME_CHARS_MAX));
const same = (a: object | undefined, b: object): boolean => a !== undefined && canonicalJson(asJson(a)) === canonicalJson(asJson(b));

type Keyed = readonly (readonly [FeedKey, string | undefined])[];
const userKeys = (user: FeedUser): Keyed => [['userName', user.userName], ['user.externalId', user.externalId], ['person', user.person]];
const groupKeys = (group: FeedGroup): Keyed => [['displayName', group.displayName], ['group.externalId', group.externalId]];

/** Keys that are let go and taken, and the first of the latter that is another's. */
const keyed = (feed: string, loaded: Loaded, id: string, before: Keyed, after: Keyed) => {
  const refs = (keys: Keyed) => keys.flatMap(([key, value]) => (value === undefined ? [] : [{ key, ref: feedKeyRef(feed, key, value) }]));
  const [had, has] = [refs(before), refs(after)];
  const holder = ({ ref }: (typeof has)[number]): unknown => loaded.record(ref)?.value['target'];
  return {
    puts: has.filter((one) => holder(one) === undefined).map(({ ref }) => ({ key: ref, value: { version: 1, target: id } })),
    drops: had.filter(({ ref: { id: gone } }) => !has.some(({ ref }) => ref.id === gone)).map(({ ref }) => ref),
    taken: has.find((one) => ![undefined, id].includes(holder(one) as string | undefined))?.key,
  };
};
const keyRefs = (feed: string, keys: Keyed) => keys.flatMap(([key, value]) => (value === undefined ? [] : [feedKeyRef(feed, key, value)]));

/** One more is counted, and at most so many more than are gone; one that goes is counted as gone. `before` and `after`: is it there? */
const counting = (loaded: Loaded, { feed, most }: Pick<FeedSetting, 'feed' | 'most'>, kind: 'user' | 'group', before: boolean, after: boolean): Pick<Change, 'increments'> => {
  if (before === after) return {};
  if (before) return { increments: [{ key: feedCountRef(feed, kind, 'gone'), max: Number.MAX_SAFE_INTEGER, over: '' }] };
  const gone = loaded.record(feedCountRef(feed, kind, 'gone'))?.value['count'];
  return { increments: [{ key: feedCountRef(feed, kind, 'made'), max: most[kind] + (typeof gone === 'number' ? gone : 0), over: `this source may have at most ${most[kind]} ${kind}s` }] };
};
const countNeeds = (feed: string, kind: 'user' | 'group', before: boolean, after: boolean) => (!before && after ? [feedCountRef(feed, kind, 'gone')] : []);

export interface UserChange {
  /** What the user is to be, by what it is; `undefined`: it is taken away. A new one has no former. Pure, and called whenever something moved in between. */
  readonly change: (user: FeedUser | undefined) => FeedUserTerms | undefined;
  /** It takes access away, whatever else it does. */
  readonly ends: boolean;
}

export const changeFeedUser = (id: string, { change, ends }: UserChange, actor: Actor, setting: FeedSetting): Rule => {
  const { feed } = setting;
  const own = feedUserRef(feed, id);
  const former = (loaded: Loaded): FeedUser | undefined => readFeedUser(loaded.record(own)?.value);
  const next = (loaded: Loaded): FeedUser | undefined => {
    const before = former(loaded);
    const terms = change(before);
    if (terms === undefined) return undefined;
    const { userName, externalId, displayName, active, groups } = terms;
    return {
      version: 1, id, userName, ...(externalId === undefined ? {} : { externalId }), ...(displayName === undefined ? {} : { displayName }), active,
      person: before?.person ?? setting.personOf(terms), groups: [...new Set(groups)],
    };
  };
  const groupsOf = (loaded: Loaded, user: FeedUser): readonly FeedGroup[] =>
    user.groups.flatMap((group) => readFeedGroup(loaded.record(feedGroupRef(feed, group))?.value) ?? []).filter(({ ended }) => ended !== true);
  const personRule = (loaded: Loaded, before: FeedUser | undefined, user: FeedUser | undefined): Rule => {
    const of = user ?? before;
    const person = of?.person ?? '';
    const known = readPerson(loaded.record(personRef(person))?.value);
    const comesBack = before === undefined || !before.active;
    const groups = user === undefined ? [] : groupsOf(loaded, user);
    const command: SetPerson = {
      id: person, accounts: of === undefined ? [] : setting.accountsOf(of), teams: groups.flatMap(({ displayName }) => setting.teamOf(displayName) ?? []), groups: groups.map(({ displayName }) => displayName),
      active: user?.active === true && (known === undefined || known.active || comesBack),
    };
    return setPerson(command, actor, setting);
  };
  return {
    ends,
    needs: (loaded) => {
      const [before, user] = [former(loaded), next(loaded)];
      if (before === undefined && user === undefined) return [own];
      return [
        own, ...countNeeds(feed, 'user', before !== undefined, user !== undefined), ...[before, user].flatMap((one) => (one === undefined ? [] : [...keyRefs(feed, userKeys(one)), ...one.groups.map((group) => feedGroupRef(feed, group))])),
        ...personRule(loaded, before, user).needs(loaded),
      ];
    },
    judge: (loaded, now): Ruling => {
      const before = former(loaded);
      if (loaded.record(own) !== undefined && before === undefined) return refuse('unavailable', 'the record of the user could not be understood');
      const user = next(loaded);
      if (user === undefined && before === undefined) return refuse('not-found', 'there is no such user');
      if (user !== undefined) {
        const faults = faultsOf({ '/userName': nameFault(user.userName), '/externalId': nameFault(user.externalId), '/displayName': nameFault(user.displayName) });
        if (faults.length > 0) return invalid(faults);
        if (user.groups.length > FEED_GROUPS_MAX) return refuse('limit', `a user may be in at most ${FEED_GROUPS_MAX} groups`);
        const gone = (group: string): boolean => readFeedGroup(loaded.record(feedGroupRef(feed, group))?.value)?.ended ?? loaded.record(feedGroupRef(feed, group)) === undefined;
        if (user.groups.some((group) => before?.groups.includes(group) !== true && gone(group))) return refuse('not-found', 'there is no such group any more');
      }
      const { puts, drops, taken } = keyed(feed, loaded, id, before === undefined ? [] : userKeys(before), user === undefined ? [] : userKeys(user));
      if (taken !== undefined) return refuse('state', taken === 'person' ? `the person ${user?.person} is another user's` : `another user has this ${taken.replace('user.', '')}`);
      const known = readPerson(loaded.record(personRef(user?.person ?? ''))?.value);
      if (before === undefined && known !== undefined && known.source !== setting.source && !setting.adopt) return refuse('state', `${user?.person} is known from another source (${known.source})`);
      const ruling = personRule(loaded, before, user).judge(loaded, now);
      if (!ruling.ok) return ruling;
      const reply = { user: user === undefined ? null : asJson(user), of: id };
      if (user !== undefined && same(before, user) && ruling.change === undefined) return { ok: true, unchanged: { sequence: loaded.record(own)?.modified.sequence ?? 0, reply } };
      const [was, is] = [before?.groups ?? [], user?.groups ?? []];
      const made: Change = {
        ...counting(loaded, setting, 'user', before !== undefined, user !== undefined),
        puts: [
          ...(user === undefined ? [] : [{ key: own, value: asJson(user) }]), ...puts,
          ...is.filter((group) => !was.includes(group)).map((group) => ({ key: feedMemberRef(feed, group, id), value: { version: 1, user: id }, index: { owner: feedMemberOwner(feed, group), end: INSTANT_MAX } })),
          ...(ruling.change?.puts ?? []),
        ],
        drops: [...(user === undefined ? [own] : []), ...drops, ...was.filter((group) => !is.includes(group)).map((group) => feedMemberRef(feed, group, id))],
        events: [
          { type: 'feed.changed', about: [own], ending: false, data: { feed, user: user === undefined ? { id, gone: true } : asJson(user), by: actor.id } },
          ...(ruling.change?.events ?? []),
        ],
        reply,
      };
      return { ok: true, change: made };
    },
  };
};

export type FeedGroupTerms = Pick<FeedGroup, 'displayName' | 'externalId' | 'ended'>;

/** As for users. A group is emptied before it is taken away; meanwhile it is `ended`. */
export const changeFeedGroup = (id: string, change: (group: FeedGroup | undefined) => FeedGroupTerms | undefined, actor: Actor, setting: Pick<FeedSetting, 'feed' | 'most'>): Rule => {
  const { feed } = setting;
  const own = feedGroupRef(feed, id);
  const former = (loaded: Loaded): FeedGroup | undefined => readFeedGroup(loaded.record(own)?.value);
  const next = (loaded: Loaded): FeedGroup | undefined => {
    const terms = change(former(loaded));
    if (terms === undefined) return undefined;
    const { displayName, externalId, ended } = terms;
    return { version: 1, id, displayName, ...(externalId === undefined ? {} : { externalId }), ...(ended === undefined ? {} : { ended }) };
  };
  return {
    ends: true,
    needs: (loaded) => [own, ...countNeeds(feed, 'group', former(loaded) !== undefined, next(loaded) !== undefined), ...[former(loaded), next(loaded)].flatMap((group) => (group === undefined ? [] : keyRefs(feed, groupKeys(group))))],
    judge: (loaded): Ruling => {
      const before = former(loaded);
      if (loaded.record(own) !== undefined && before === undefined) return refuse('unavailable', 'the record of the group could not be understood');
      const group = next(loaded);
      if (group === undefined && before === undefined) return refuse('not-found', 'there is no such group');
      if (group !== undefined) {
        const faults = faultsOf({ '/displayName': nameFault(group.displayName), '/externalId': nameFault(group.externalId) });
        if (faults.length > 0) return invalid(faults);
      }
      const { puts, drops, taken } = keyed(feed, loaded, id, before === undefined ? [] : groupKeys(before), group === undefined ? [] : groupKeys(group));
      if (taken !== undefined) return refuse('state', `another group has this ${taken.replace('group.', '')}`);
      const reply = { group: group === undefined ? null : asJson(group), of: id };
      if (group !== undefined && same(before, group)) return { ok: true, unchanged: { sequence: loaded.record(own)?.modified.sequence ?? 0, reply } };
      const made: Change = {
        ...counting(loaded, setting, 'group', before !== undefined, group !== undefined),
        puts: [...(group === undefined ? [] : [{ key: own, value: asJson(group) }]), ...puts],
        drops: [...(group === undefined ? [own] : []), ...drops],
        events: [{ type: 'feed.changed', about: [own], ending: false, data: { feed, group: group === undefined ? { id, gone: true } : asJson(group), by: actor.id } }],
        reply,
      };
      return { ok: true, change: made };
    },
  };
};
