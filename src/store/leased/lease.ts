/**
 * Keeps the lease of one process on one realm, and its memory at the position that the lease rests on.
 *
 * - A renewal counts from before it was sent, on the monotonic and on the wall clock: one stands still while the machine sleeps, the
 *   other may be set. It counts only once everything that it told is applied.
 * - What was applied is acknowledged afterwards, never before.
 * - A hint that something was committed only makes it look sooner; without hints every renewal tells the same.
 * - A realm that nobody asks about any more gives its lease back.
 */
import type { Clock } from '../../decision/ports.ts';
import { plus, type Instant } from '../../domain/instant.ts';
import type { Leases } from '../leases.ts';
import type { RealmMemory } from './memory.ts';

export interface LeaseOptions {
  readonly realm: string;
  readonly leases: Leases;
  readonly memory: RealmMemory;
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>;
  /** How long commits that end nothing are gathered before they are looked at. */
  readonly gatherMs: number;
  /** Acknowledge all commits, not only those that end something. */
  readonly acknowledgesAll: boolean;
}

export interface Lease {
  /** Somebody asks: holds it from now on. */
  touch(): void;
  /** When it ends; `undefined`: there is none now. */
  ends(): Instant | undefined;
  /** Before the last question was sent whose answer is applied. */
  provenMs(): number;
  /** Something was committed that is not applied here. */
  lookSoon(): void;
  /** The store lost something, or may have: nothing that was read counts any more. */
  drop(): void;
  stop(): Promise<void>;
}

const RENEWALS_A_LEASE = 4;
const IDLE_MS = 60_000;

type Wish = 'renew' | 'follow';

export const createLease = ({ realm, leases, memory, clock, gatherMs, acknowledgesAll }: LeaseOptions): Lease => {
  const { leaseMs } = leases;
  let held: { readonly sentMs: number; readonly sentAt: Instant } | undefined;
  let count = 0;
  let askedMs = 0;
  let provenMs = 0;
  let wish: Wish | undefined;
  let pumping = false;
  let timer: NodeJS.Timeout | undefined;
  let gathering: NodeJS.Timeout | undefined;
  let heard = false;

  let history = leases.history(realm);
  const drop = (): void => {
    held = undefined;
    memory.forget();
  };
  /** False, with nothing remembered, when the store has gone on from another history. */
  const sameHistory = (): boolean => {
    const now = leases.history(realm);
    if (now === history) return true;
    history = now;
    drop();
    return false;
  };

  const once = async (renewing: boolean): Promise<void> => {
    sameHistory();
    const { life, position: from, endings } = memory;
    const sent = { sentMs: clock.monotonicMs(), sentAt: clock.now().latest };
    if (renewing) count += 1;
    const followed = await leases.follow(realm, from, renewing ? count : undefined);
    // From here to the acknowledgement nothing waits.
    if (!sameHistory() || memory.life !== life || timer === undefined) return;
    memory.apply(followed);
    if (renewing) held = sent;
    provenMs = sent.sentMs;
    const tells = acknowledgesAll ? followed.sequence !== from : followed.endings.sequence !== endings?.sequence;
    // One that is lost is made up for by the next renewal, which says how far everything is applied.
    if (tells || !followed.whole) leases.acknowledge(realm, followed).catch(() => undefined);
  };

  const pump = async (): Promise<void> => {
    if (pumping) return;
    pumping = true;
    while (wish !== undefined) {
      const renewing = wish === 'renew';
      wish = undefined;
      try {
        await once(renewing);
      } catch (error) {
        // Anything else: the lease ends by itself.
        if ((error as { readonly reason?: unknown }).reason === 'facts.regressed') drop();
      }
    }
    pumping = false;
  };
  const want = (what: Wish): void => {
    if (timer === undefined) return;
    if (wish !== 'renew') wish = what;
    void pump();
  };
  const lookSoon = (): void => {
    gathering ??= setTimeout(() => {
      gathering = undefined;
      want('follow');
    }, gatherMs);
    gathering.unref();
  };

  const stop = async (): Promise<void> => {
    if (timer === undefined) return;
    clearInterval(timer);
    clearTimeout(gathering);
    timer = undefined;
    gathering = undefined;
    drop();
    // Answers no more: now others need not wait. Not for a lease that began since.
    await leases.release(realm, count).catch(() => undefined);
  };
  const tick = (): void => {
    if (clock.monotonicMs() - askedMs > IDLE_MS) void stop();
    else want('renew');
  };

  return {
    touch: () => {
      askedMs = clock.monotonicMs();
      if (timer !== undefined) return;
      timer = setInterval(tick, leaseMs / RENEWALS_A_LEASE);
      timer.unref();
      if (!heard) leases.hear(realm, (ending) => (ending ? want('follow') : lookSoon()));
      heard = true;
      want('renew');
    },
    ends: () => {
      if (!sameHistory() || held === undefined || memory.position === undefined) return undefined;
      const lasts = clock.monotonicMs() - held.sentMs < leaseMs && clock.now().latest - held.sentAt < leaseMs;
      return lasts ? plus(held.sentAt, leaseMs) : undefined;
    },
    provenMs: () => provenMs,
    lookSoon, drop, stop,
  };
};
