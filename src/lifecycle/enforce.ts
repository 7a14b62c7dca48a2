/**
 * Waits until an ending is enforced everywhere: facts that were read before it are too old, leases of replaced primaries are over,
 * and every process that may answer from memory has said that it knows, or may not any more; then, until nothing of that is left in
 * a PEP's cache.
 */
import type { Clock } from '../decision/ports.ts';
import { untilOver } from '../store/leases.ts';
import type { Store } from '../store/port.ts';
import type { Executed } from './execute.ts';
import type { Settle } from './settle.ts';

export interface EnforceDeps {
  readonly store: Pick<Store, 'enforced'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly settle: Settle;
  /** For facts that were read strictly, and PEPs; may grow while a command runs. */
  readonly enforcedMs: () => number;
  readonly pepCacheMs: number;
}

/** How long it may take at most, by the leases there are, until nobody answers from memory; 0 where nobody does. No read may keep an ending back. */
export const leasesMs = async (store: Pick<Store, 'holders'>, realm: string): Promise<number> => {
  try {
    return Math.max(0, ...((await store.holders?.(realm))?.all ?? []).map(({ leaseMs }) => untilOver(leaseMs)));
  } catch {
    return 0;
  }
};

/** `least`: what was to be waited for before. Without `waits` the command is only carried out. */
export const createEnforce = ({ store, clock, settle, enforcedMs, pepCacheMs }: EnforceDeps) =>
  async (realm: string, least: number, waits: boolean, command: () => Promise<Executed>): Promise<Executed> => {
    const startMs = clock.monotonicMs();
    const executed = await command();
    if (!executed.ok || !waits) return executed;
    const inMemory = async () => {
      const by = (await store.enforced?.(realm, executed.position.sequence, executed.holders)) ?? [];
      if (by.length > 0) await settle(pepCacheMs);
      return by;
    };
    // It may have been committed over a connection that is newer than the one that was there.
    const [by] = await Promise.all([inMemory(), settle(Math.max(least, enforcedMs()))]);
    return store.enforced === undefined ? executed : { ...executed, enforced: { by, tookMs: clock.monotonicMs() - startMs } };
  };
