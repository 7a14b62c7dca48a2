/**
 * Waits until an ending is enforced everywhere, whoever answered by whichever limits. Where the processes that decide can be asked: until whatever they re-checked before it has left
 * them. Else until facts that were read before it are too old, leases of replaced primaries are over, and every process that may answer from memory
 * has said that it knows, or may not any more. Then, until nothing of that is left in a PEP's cache. A process that did not say so is told of by
 * an alert, also where nobody waits for the answer; nothing is said to be enforced while it may still write an answer.
 */
import type { Clock } from '../decision/ports.ts';
import { raise } from '../domain/alert.ts';
import { toRfc3339 } from '../domain/instant.ts';
import { raiseOnce } from '../domain/lifecycle/review-rules.ts';
import { untilOver, type Holders } from '../store/leases.ts';
import type { Store } from '../store/port.ts';
import type { Deciders } from './deciders.ts';
import type { Done, EnforcedBy, Executed } from './execute.ts';
import type { Run } from './run.ts';
import type { Settle } from './settle.ts';

export interface EnforceDeps {
  readonly store: Pick<Store, 'enforced' | 'fenceMs'>;
  readonly clock: Pick<Clock, 'monotonicMs' | 'now'>;
  readonly run: Run;
  readonly settle: Settle;
  /** For facts that were read strictly, and PEPs; may grow while a command runs. */
  readonly enforcedMs: () => number;
  readonly pepCacheMs: () => number;
  /** Absent: they can't be asked, and it is time that is waited for. */
  readonly deciders?: Deciders | undefined;
}

const ACTOR = { kind: 'system', id: 'system:enforcement' } as const;

/** For answers by the limits that a commit found, from facts that were read strictly. */
const byLimitsMs = (store: Pick<Store, 'fenceMs'>, longest: Holders['longest']): number => (longest === undefined ? 0 : longest.factsAgeMs + longest.pepCacheMs + (store.fenceMs?.() ?? 0));

/** How long it may take at most, by the leases and limits there are, until nobody may answer otherwise; 0 where nobody says any. No read may keep an ending back. */
export const leasesMs = async (store: Pick<Store, 'holders' | 'fenceMs'>, realm: string): Promise<number> => {
  try {
    const { all, longest } = (await store.holders?.(realm)) ?? { all: [] };
    return Math.max(byLimitsMs(store, longest), ...all.map(({ leaseMs }) => untilOver(leaseMs) + (longest?.pepCacheMs ?? 0)));
  } catch {
    return 0;
  }
};

/** `least`: what was to be waited for before. Without `waits` the command is only carried out. */
export const createEnforce = ({ store, clock, run, settle, enforcedMs, pepCacheMs, deciders }: EnforceDeps) => {
  /** Ends no later for it. An alert that can't be written is in the answer all the same. */
  const tell = async (realm: string, { position, at }: Done, by: readonly EnforcedBy[]): Promise<void> => {
    for (const { node, holder, state } of by.filter((one) => one.state !== 'acknowledged')) {
      const data = { node, holder, state, since: toRfc3339(at), position: position.sequence };
      await run({ realm, actor: ACTOR }, 'alert.raise', 'alert', raiseOnce((now) => raise('revocation.unconfirmed', `${holder}:${position.sequence}`, now, data), ACTOR)).catch(() => undefined);
    }
  };
  const enforcedBy = async (realm: string, done: Done): Promise<readonly EnforcedBy[]> => {
    const by = deciders === undefined ? ((await store.enforced?.(realm, done.position.sequence, done.holders)) ?? []) : await deciders.left();
    await tell(realm, done, by);
    return by;
  };
  /** What is watched in the background, by realm, and the latest ending that was committed meanwhile: who knows a later one knows this one. */
  const watched = new Map<string, Done | undefined>();
  const watch = async (realm: string, done: Done): Promise<void> => {
    if (watched.has(realm)) return void watched.set(realm, done);
    watched.set(realm, undefined);
    for (let next: Done | undefined = done; next !== undefined; ) {
      await enforcedBy(realm, next);
      next = watched.get(realm);
      watched.set(realm, undefined);
    }
    watched.delete(realm);
  };
  return async (realm: string, least: number, waits: boolean, command: () => Promise<Executed>): Promise<Executed> => {
    const startMs = clock.monotonicMs();
    const executed = await command();
    if (!executed.ok) return executed;
    if (!waits) {
      if (store.enforced !== undefined || deciders !== undefined) void watch(realm, executed);
      return executed;
    }
    if (deciders !== undefined) {
      const by = await enforcedBy(realm, executed);
      await settle(pepCacheMs());
      return { ...executed, enforced: { by, tookMs: clock.monotonicMs() - startMs, at: clock.now().latest } };
    }
    const inMemory = async () => {
      const by = await enforcedBy(realm, executed);
      if (by.length > 0) await settle(Math.max(pepCacheMs(), executed.holders?.longest?.pepCacheMs ?? 0));
      return by;
    };
    // It may have been committed over a connection that is newer than the one that was there.
    const [by] = await Promise.all([inMemory(), settle(Math.max(least, enforcedMs(), byLimitsMs(store, executed.holders?.longest)))]);
    return store.enforced === undefined ? executed : { ...executed, enforced: { by, tookMs: clock.monotonicMs() - startMs } };
  };
};
