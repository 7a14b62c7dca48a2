/**
 * Which groups of ids are there at all among the records of one kind: a group is what an id begins with, up to its first colon,
 * as in `owner:team:shop`. Most of what a decision looks up to learn that it is not there belongs to a group in which there is
 * nothing, so one short walk over the keys answers for all of them. What it says is of the read transaction in which it walks.
 */
import type { Environment } from './environment.ts';
import { after, groupPrefix, idOfPlainKey, startsWith } from './keys.ts';

/** With more groups than that, walking would cost more than looking each id up. */
export const GROUPS_MAX = 24;

/** Up to and with its first colon; `undefined` for an id without one. */
export const groupOf = (id: string): string | undefined => {
  const colon = id.indexOf(':');
  return colon < 0 ? undefined : id.slice(0, colon + 1);
};

/** The groups of which there is an id that stands in its key as it is (see `isHashed`); `undefined` when there are too many. */
export const groupsThere = (environment: Environment, kindPrefix: Buffer): ReadonlySet<string> | undefined => {
  const groups = new Set<string>();
  const all = groupPrefix(kindPrefix, '');
  const end = after(all);
  let start = all;
  let exclusiveStart = false;
  for (let step = 0; step < GROUPS_MAX; step += 1) {
    const [key] = [...environment.records.getKeys({ start, exclusiveStart, end, limit: 1 })];
    if (key === undefined || !startsWith(key, all)) return groups;
    const group = groupOf(idOfPlainKey(kindPrefix, key));
    if (group !== undefined) groups.add(group);
    // An id without a colon may begin the name of a group: nothing but that id is passed over.
    start = group === undefined ? key : after(groupPrefix(kindPrefix, group));
    exclusiveStart = group === undefined;
  }
  return undefined;
};
