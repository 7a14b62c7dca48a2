/** Lifecycle records as the API shows them: instants RFC 3339 with milliseconds, durations `...Ms`, positions opaque. */
import type { Grant } from '../domain/grant.ts';
import { toRfc3339, type Instant, type TimeInterval } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import type { RevocationRecord, SuspensionRecord } from '../domain/lifecycle/ending-rules.ts';
import { formatPosition, type Position } from '../domain/position.ts';
import type { Holders } from '../store/leases.ts';
import type { Deciders } from './deciders.ts';
import type { Done, EnforcedBy } from './execute.ts';
import { usedBy } from './use-notes.ts';
import type { Reason } from '../domain/reasons.ts';
import { taskFault, type Task } from '../domain/task.ts';

export type GrantState =
  | { readonly state: 'scheduled' | 'active' }
  | { readonly state: 'ended'; readonly endedBecause: Reason };

const present = (members: Readonly<Record<string, unknown>>): JsonObject =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as JsonObject;

/** `position` is that of the commit that issued it. */
export const grantView = (grant: Grant, state: GrantState, position: Position, usesLeft?: number): JsonObject =>
  present({
    id: grant.id,
    realm: grant.realm,
    workload: grant.workload,
    model: grant.model,
    scopes: grant.scopes,
    conditions: grant.conditions,
    binding: grant.binding,
    notBefore: toRfc3339(grant.notBefore),
    expiresAt: toRfc3339(grant.expiresAt),
    ...state,
    owner: grant.owners[grant.owners.length - 1],
    owners: grant.owners,
    justification: grant.justification,
    reference: grant.reference,
    task: grant.task,
    entitlement: grant.entitlement,
    tier: grant.tier,
    uses: grant.uses,
    usesLeft: grant.uses === undefined ? undefined : usesLeft,
    direct: grant.direct,
    approvals: grant.approvals,
    issuedBy: grant.issuedBy,
    issuedAt: toRfc3339(grant.issuedAt),
    bundleRevision: grant.bundleRevision,
    position: formatPosition(position),
  });

/** What is known of the processes that decide. */
export interface EnforcementView {
  /** After the commit, where it was waited for; `unknown`: one of them may still write an answer that it re-checked before. */
  readonly enforcedMs?: number | 'unknown';
  /** `pending`: it has not said that it knows, and its lease may last; or it has none, and did not say that what it re-checked before has left it. */
  readonly nodes: readonly EnforcedBy[];
}

const nodesOf = (told?: EnforcementView): EnforcementView['nodes'] | undefined => (told === undefined || told.nodes.length === 0 ? undefined : told.nodes);

/** A task as it stands at `now`; `endedBecause` says why it does not hold, also when no command closed it. `told`: who knows that it was paused or closed. */
export const taskView = (task: Task, now: TimeInterval, position: Position, told?: EnforcementView): JsonObject =>
  present({
    id: task.id,
    kind: task.kind,
    owner: task.owner,
    reference: task.reference,
    state: task.state,
    endedBecause: taskFault(task, now),
    openedBy: task.openedBy,
    openedAt: toRfc3339(task.openedAt),
    deadline: toRfc3339(task.deadline),
    heartbeatMs: task.heartbeatMs,
    lastBeatAt: task.lastBeatAt === undefined ? undefined : toRfc3339(task.lastBeatAt),
    closedAt: task.closedAt === undefined ? undefined : toRfc3339(task.closedAt),
    closedBy: task.closedBy,
    position: formatPosition(position),
    nodes: nodesOf(told),
  });

/** How far each of them is with what happened at `sequence`. */
export const holdersView = ({ all }: Holders, sequence: number): EnforcementView => ({
  nodes: all.map(({ node, holder, applied }) => ({ node, holder, state: applied >= sequence ? 'acknowledged' : 'pending' })),
});

/** Of what ended at `at`, looked at later: `undefined` when nobody owes an answer. */
export const owingView = (deciders: Deciders | undefined, at: Instant): EnforcementView | undefined => {
  const nodes = deciders?.owing(at) ?? [];
  return nodes.length === 0 ? undefined : { enforcedMs: 'unknown', nodes };
};

/** It was waited for, and is not known to be enforced. */
export const isUnconfirmed = ({ enforced }: Pick<Done, 'enforced'>): boolean => enforced?.by.some(({ state }) => state === 'pending') === true;

/** Of a command that ended access. A replay tells when it is enforced at the latest, as the first answer would have at once. */
export const enforcementView = (done: Done): EnforcementView | undefined => {
  const { replayed, enforced, holders, position, at } = done;
  if (enforced !== undefined && isUnconfirmed(done)) return { enforcedMs: 'unknown', nodes: enforced.by };
  if (replayed) return undefined;
  if (enforced === undefined) return holders === undefined ? undefined : holdersView(holders, position.sequence);
  if (enforced.at !== undefined) return { enforcedMs: Math.max(0, enforced.at - at), nodes: enforced.by };
  return enforced.by.length === 0 ? undefined : { enforcedMs: Math.ceil(enforced.tookMs), nodes: enforced.by };
};

const endingView = (record: RevocationRecord, at: Instant, position: Position, told?: EnforcementView): Readonly<Record<string, unknown>> => ({
  id: record.id,
  position: formatPosition(position),
  /** No evaluation that starts later is allowed. */
  effectiveAt: toRfc3339(at),
  /** No allow that relies on it is written later, and none in a PEP's cache is usable. Absent: that is not known yet. */
  enforcedAt: told?.enforcedMs === 'unknown' ? undefined : toRfc3339((at + (told?.enforcedMs ?? record.settleMs)) as Instant),
  selector: record.selector,
  reason: record.reason,
  placedBy: record.placedBy,
  notes: record.notes.length === 0 ? undefined : record.notes,
  nodes: nodesOf(told),
});

export const revocationView = (record: RevocationRecord, at: Instant, position: Position, told?: EnforcementView): JsonObject =>
  present(endingView(record, at, position, told));

export const suspensionView = (record: SuspensionRecord, at: Instant, position: Position, told?: EnforcementView): JsonObject =>
  present({
    ...endingView(record, at, position, told),
    state: record.lifted === undefined ? 'standing' : 'lifted',
    liftedBy: record.lifted?.by,
    liftedAt: record.lifted === undefined ? undefined : toRfc3339(record.lifted.at as Instant),
    liftReason: record.lifted?.reason,
  });

export interface PageView {
  readonly items: readonly JsonObject[];
  readonly next?: string;
}

export const pageView = (page: PageView): JsonObject => ({ items: page.items, ...(page.next === undefined ? {} : { next: page.next }) });

/** When a grant was first and last used, and by which enforcement points: the value under `use/<grant>`. Empty when it never was. */
export const usedView = (value: JsonObject | undefined): JsonObject => {
  const { firstAt, lastAt } = value ?? {};
  if (typeof firstAt !== 'number' || typeof lastAt !== 'number') return {};
  const text = (at: number): string => toRfc3339(at as Instant);
  return { used: { firstAt: text(firstAt), lastAt: text(lastAt), peps: [...usedBy(value)].map(([pep, span]) => ({ pep, firstAt: text(span.firstAt), lastAt: text(span.lastAt) })) } };
};
