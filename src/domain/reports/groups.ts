/**
 * Groups of other systems, imported as a graph: who is in them, by nesting too, and what they give. Curfew decides by its grants whatever a
 * group says; what is found here is that a group still gives, elsewhere, what has ended.
 */
import type { Fault } from '../lifecycle/change.ts';
import { faultsOf, idFault, textFault } from '../lifecycle/fields.ts';
import { scopeFaults, workloadFault } from '../lifecycle/grant-terms.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { Scope } from '../scope.ts';

export interface Group {
  readonly id: string;
  /** Workloads, and other groups as `group:<id>`. */
  readonly members: readonly string[];
  /** What it gives its members, nested ones too. */
  readonly scopes: readonly Scope[];
}

/** The value stored under `group-graph/<source>`. */
export interface GroupGraph {
  readonly version: 1;
  readonly source: string;
  readonly groups: readonly Group[];
}

export const GROUPS_MAX = 2_000;
export const MEMBERS_MAX = 20_000;
const DEPTH_MAX = 32;
const NESTED = 'group:';

export const graphFaults = ({ source, groups }: GroupGraph): readonly Fault[] => {
  const ids = new Set(groups.map(({ id }) => id));
  const members = groups.reduce((count, group) => count + group.members.length, 0);
  return [
    ...faultsOf({
      '/source': idFault(source),
      '/groups': groups.length > GROUPS_MAX ? `may have at most ${GROUPS_MAX} members` : members > MEMBERS_MAX ? `may have at most ${MEMBERS_MAX} members of groups in all` : ids.size < groups.length ? 'has an id twice' : undefined,
    }),
    ...groups.slice(0, GROUPS_MAX).flatMap(({ id, members: within, scopes }, index) => [
      ...faultsOf({ [`/groups/${index}/id`]: textFault(id, 500) }),
      ...within.slice(0, MEMBERS_MAX).flatMap((member, at) => {
        const fault = !member.startsWith(NESTED) ? workloadFault(member) : ids.has(member.slice(NESTED.length)) ? undefined : 'names no group of this graph';
        return fault === undefined ? [] : [{ path: `/groups/${index}/members/${at}`, message: fault }];
      }),
      ...scopes.slice(0, 64).flatMap((scope, at) => scopeFaults(scope, `/groups/${index}/scopes/${at}`)),
    ]),
  ];
};

export interface Given {
  /** From the outermost group to the one that the workload is in. */
  readonly path: readonly string[];
  readonly scopes: readonly Scope[];
}

/** What each workload is given by groups, with the way it comes. Rings end where they close. */
export const givenByGroups = ({ groups }: GroupGraph): ReadonlyMap<string, readonly Given[]> => {
  const byId = new Map(groups.map((group) => [group.id, group]));
  const given = new Map<string, Given[]>();
  const walk = (group: Group, path: readonly string[], scopes: readonly Scope[]): void => {
    for (const member of group.members) {
      if (!member.startsWith(NESTED)) {
        if (scopes.length > 0) given.set(member, [...(given.get(member) ?? []), { path, scopes }]);
        continue;
      }
      const inner = byId.get(member.slice(NESTED.length));
      if (inner !== undefined && !path.includes(inner.id) && path.length < DEPTH_MAX) walk(inner, [...path, inner.id], scopes);
    }
  };
  // Each group gives its own scopes to everybody below it.
  for (const group of groups) if (group.scopes.length > 0) walk(group, [group.id], group.scopes);
  return given;
};

export const readGraph = (value: JsonObject | undefined): GroupGraph | undefined =>
  isJsonObject(value) && value['version'] === 1 && Array.isArray(value['groups']) ? (value as unknown as GroupGraph) : undefined;
