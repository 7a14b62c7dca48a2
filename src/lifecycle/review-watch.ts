/**
 * Looks after reviews. Emergency access: stops what an overdue review stops, and tells when it is used too often or was not tried for too long.
 * Recertification: warns owners before it falls due, and tells when it is overdue; that it denies is not this watch's doing.
 * Everything it tells is told once, whichever node tells it; a round that fails is done again.
 */
import type { Clock } from '../decision/ports.ts';
import { raise } from '../domain/alert.ts';
import { readRecertification, recertificationEnd, warningDue, type Recertification } from '../domain/recertification.ts';
import { toRfc3339 } from '../domain/instant.ts';
import { drillRef, readReview, reviewRecipients, reviewRef, reviewTold, type Review } from '../domain/review.ts';
import { readDrill } from '../domain/lifecycle/review-rules.ts';
import type { NodeStore } from '../store/port.ts';
import type { EmergencyConfig } from './config.ts';
import type { Lifecycle } from './lifecycle.ts';
import { newId } from './new-id.ts';
import { createRounds, type Rounds } from './rounds.ts';

export interface ReviewWatchDeps {
  readonly store: Pick<NodeStore, 'list' | 'read' | 'takeTurn'>;
  readonly clock: Clock;
  readonly lifecycle: Pick<Lifecycle, 'stopOverdue' | 'raiseOnce' | 'noteEntitlement'>;
  readonly realms: readonly string[];
  readonly config: EmergencyConfig;
  /** Entitlements for emergencies of the active bundle. */
  readonly entitlements: () => readonly string[];
  /** Owner, fallback owner and whom to alert, of an entitlement of the active bundle. */
  readonly answerable?: (entitlement: string) => readonly string[];
  /** Does the grant still count, or would, were it confirmed? What was revoked needs nobody's word. */
  readonly holds?: (realm: string, grant: string) => Promise<boolean>;
  readonly intervalMs: number;
  readonly onError: (error: unknown) => void;
}

export interface ReviewWatch extends Rounds {
  look(): Promise<void>;
}

const PAGE = 200;
const TURN_INTERVALS = 5;
const ACTOR = { kind: 'system', id: 'system:reviews' } as const;

export const createReviewWatch = (deps: ReviewWatchDeps): ReviewWatch => {
  const { store, clock, lifecycle, config } = deps;
  const holder = newId(clock.now().latest);

  const pages = async function* (realm: string, kind: string) {
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind, limit: PAGE, ...(after === undefined ? {} : { after }) });
      yield page.items;
      if (page.next === undefined) return;
      after = page.next;
    }
  };

  /** Reviews that were looked at for how often access is used. */
  const counted = new Set<string>();
  const kindOf = ({ entitlement, workload }: Review): string => entitlement ?? workload;

  /** How often was the same used, up to this one? */
  const countUses = async (realm: string, fresh: readonly Review[]): Promise<void> => {
    if (fresh.length === 0) return;
    const uses = new Map<string, number[]>();
    for await (const items of pages(realm, 'review')) {
      for (const { value } of items) {
        const review = readReview(value);
        if (review !== undefined && review.outcome !== 'drill') uses.set(kindOf(review), [...(uses.get(kindOf(review)) ?? []), review.usedAt]);
      }
    }
    for (const review of fresh) {
      const kind = kindOf(review);
      const within = (uses.get(kind) ?? []).filter((at) => review.usedAt - config.frequentWithinMs < at && at <= review.usedAt).length;
      if (within < config.frequentUses) continue;
      const data = { ...reviewTold(review), uses: within, withinMs: config.frequentWithinMs };
      await lifecycle.raiseOnce({ realm, actor: ACTOR }, (now) => raise('break-glass.frequent', review.grant, now, data, reviewRecipients(review)));
    }
  };

  const lookAtReviews = async (realm: string): Promise<void> => {
    for await (const items of pages(realm, 'open-review')) {
      const records = await store.read(realm, items.map(({ key }) => reviewRef(key.id)));
      const open = records.flatMap((record) => readReview(record?.value) ?? []);
      for (const review of open) {
        if (review.stopped !== undefined || clock.now().latest < review.dueAt) continue;
        const executed = await lifecycle.stopOverdue({ realm, actor: ACTOR }, review.grant);
        if (!executed.ok && executed.failure.code !== 'state') throw new Error(executed.failure.detail);
      }
      const fresh = open.filter(({ grant }) => !counted.has(`${realm}/${grant}`));
      await countUses(realm, fresh);
      for (const { grant } of fresh) counted.add(`${realm}/${grant}`);
    }
  };

  const lookAtDrills = async (realm: string): Promise<void> => {
    const ids = deps.entitlements();
    const records = await store.read(realm, ids.map(drillRef));
    for (const [index, id] of ids.entries()) {
      const drill = readDrill(records[index]?.value);
      if (drill === undefined) {
        await lifecycle.noteEntitlement({ realm, actor: ACTOR }, id);
        continue;
      }
      const last = drill.lastAt ?? drill.since ?? 0;
      if (clock.now().latest < last + config.drillEveryMs) continue;
      const data = { entitlement: id, everyMs: config.drillEveryMs, ...(drill.lastAt === undefined ? {} : { lastAt: drill.lastAt }) };
      await lifecycle.raiseOnce({ realm, actor: ACTOR }, (now) => raise('break-glass.drill-overdue', `${id}:${last}`, now, data));
    }
  };

  /** Warnings and overdue confirmations that were told, or are nobody's matter any more. */
  const told = new Set<string>();

  const tellOf = async (realm: string, held: Recertification): Promise<void> => {
    const now = clock.now().latest;
    if (!(now < held.expiresAt)) return;
    const end = recertificationEnd(held);
    const overdue = !(now < end);
    const days = overdue ? undefined : warningDue(held, now);
    if (!overdue && days === undefined) return;
    const cause = `${held.grant}:${held.dueAt}:${days ?? (held.grace === undefined ? 'overdue' : 'overdue-after-grace')}`;
    if (told.has(`${realm}/${cause}`)) return;
    if ((await deps.holds?.(realm, held.grant)) !== false) {
      const data = { grant: held.grant, workload: held.workload, entitlement: held.entitlement, owner: held.owner, dueAt: toRfc3339(held.dueAt), ...(days === undefined ? { deniesSince: toRfc3339(end) } : { days }) };
      const recipients = [...new Set([held.owner, ...(deps.answerable?.(held.entitlement) ?? [])])];
      const executed = await lifecycle.raiseOnce({ realm, actor: ACTOR }, (at) => raise(overdue ? 'recertification.overdue' : 'recertification.due', cause, at, data, recipients));
      if (!executed.ok) throw new Error(executed.failure.detail);
    }
    told.add(`${realm}/${cause}`);
  };

  const lookAtRecertifications = async (realm: string): Promise<void> => {
    for await (const items of pages(realm, 'recertification')) {
      for (const { value } of items) {
        const held = readRecertification(value);
        if (held !== undefined) await tellOf(realm, held);
      }
    }
  };

  const look = async (): Promise<void> => {
    if (!clock.now().trusted || (await store.takeTurn?.('reviews', holder, deps.intervalMs * TURN_INTERVALS)) === false) return;
    for (const realm of deps.realms) {
      await lookAtReviews(realm);
      await lookAtDrills(realm);
      await lookAtRecertifications(realm);
    }
  };
  return { look, ...createRounds({ round: look, pauseMs: () => deps.intervalMs, monotonicMs: clock.monotonicMs, onError: deps.onError }) };
};
