/**
 * Waits until nobody can rely any more on what was read from memory before an ending: until each holder has acknowledged it, or its
 * lease, as the commit saw it, is over on our own clock. A row that is not there any more proves nothing and is waited for.
 */
import type { Clock } from '../../decision/ports.ts';
import { untilOver, type Enforcement, type Holder, type Holders } from '../leases.ts';

export interface EnforceParts {
  /** All holders of a realm; `over`: those that are gone first, if they did not renew since. */
  readonly holders: (realm: string, over?: readonly Holder[]) => Promise<Holders>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Longest lease that a holder nobody could ask about may have. */
  readonly leaseMs: number;
}

const POLL_MS = 5;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

export const createEnforced = ({ holders, clock, leaseMs }: EnforceParts) =>
  async (realm: string, sequence: number, seen?: Holders): Promise<readonly Enforcement[]> => {
    const startMs = clock.monotonicMs();
    const passed = (): number => clock.monotonicMs() - startMs;
    const pending = new Map<string, Holder>();
    const done: Enforcement[] = [];
    let known = false;
    let endings = Number.POSITIVE_INFINITY;
    // Both: after a loss a sequence may mean something else, and so many endings of this history never do.
    const knows = ({ applied, appliedEndings }: Holder): boolean => applied >= sequence && appliedEndings >= endings;
    const learn = (rows: Holders): void => {
      known = true;
      ({ endings } = rows);
      for (const row of rows.all) if (!knows(row)) pending.set(row.holder, row);
      else done.push({ holder: row.holder, node: row.node, state: 'acknowledged' });
    };
    const heed = (rows: Holders): void => {
      if (!known) return learn(rows);
      for (const row of rows.all) {
        const { holder, node } = row;
        if (knows(row) && pending.delete(holder)) done.push({ holder, node, state: 'acknowledged' });
      }
    };
    if (seen !== undefined) learn(seen);
    let asking: Promise<void> | undefined;
    while (!known || pending.size > 0) {
      // An answer that takes long must not hold up what time alone ends.
      asking ??= holders(realm).then(heed, () => undefined).finally(() => { asking = undefined; });
      await Promise.race([asking, sleep(POLL_MS)]);
      if (!known && passed() >= untilOver(leaseMs)) break;
      const over = [...pending.values()].filter((row) => passed() >= untilOver(row.leaseMs));
      for (const { holder, node } of over) {
        pending.delete(holder);
        done.push({ holder, node, state: 'lapsed' });
      }
      // They were watched for their whole lease; those that renewed meanwhile have another count and stay.
      if (over.length > 0) void holders(realm, over).catch(() => undefined);
      if (pending.size > 0) await sleep(POLL_MS);
    }
    return done;
  };
