/**
 * With replicas another server may have become the primary while this one, cut off, still answers reads. So a process reads only
 * from a server that it holds a lease of: it writes a number, and every replica confirms that it followed then. One that is promoted
 * later follows no more, so whatever this process reads under the lease is over `leaseMs` after the promotion.
 *
 * - The lease counts from before it was asked for, on a clock that neither sleep nor a frozen process stops.
 * - Facts bring the number that their server has: reads and renewals may go to different servers.
 * - An ending waits until leases of whatever was primary before this one are over: until this process has held its own, without a
 *   gap, for as long as one lasts.
 *
 * Not covered: a replica that no commit waits for (`n` must be all of them); a clock that is more than 1 % too slow.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../decision/ports.ts';
import { StoreUnavailable } from '../port.ts';
import type { Connection } from './connection.ts';
import { FENCE_PREFIX, realmFencePrefix, realmKeys } from './keys.ts';
import type { Witness } from './witness.ts';

export interface Lease {
  readonly number: number;
  /** When it was asked for. */
  readonly at: number;
  /** Of the connection that it was asked for on. */
  readonly generation: number;
}

export interface Fence {
  /** Holds this process's number at the server. */
  readonly key: string;
  /** To be taken before facts are asked for; throws when there is none. */
  held(): Lease;
  /** Throws unless the facts come from the server of the lease, and it still lasts. `number`: what that server has under `key`. */
  check(lease: Lease, number: string): void;
  /** How much longer than by their age alone facts that an ending makes wrong may be in use, when it is committed now. */
  settleMs(): number;
  /** Resolves when the first lease is held; rejects when the replicas don't confirm it. */
  ready(): Promise<void>;
  stop(): void;
}

export interface FenceOptions {
  /** On which commits go too. */
  readonly connection: Connection;
  readonly replicas: number;
  readonly leaseMs: number;
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, 'now'>;
  /** There is no lease, for longer than renewals explain: this may not be the primary any more, or reads and renewals go to different servers. */
  readonly onLost?: () => void;
  /** On a cluster: the one whose primary it is. */
  readonly realm?: string;
  /** What was told before a number was written is confirmed with it. */
  readonly witness?: () => Pick<Witness, 'turn' | 'confirmed'> | undefined;
}

const RENEWALS_A_LEASE = 4;
/** So many renewals in a row without a lease: three leases. */
const LOST_AFTER = 3 * RENEWALS_A_LEASE;
/** Clocks may differ in rate by 1 %. */
const DRIFT = 1.01;
/** For the server only to forget processes that are gone. */
const ROW_LIVES_MS = 600_000;

export const startFence = ({ connection, replicas, leaseMs, timeoutMs, clock, onLost, realm, witness }: FenceOptions): Fence => {
  const key = `${realm === undefined ? FENCE_PREFIX : realmFencePrefix(realm)}${randomBytes(12).toString('base64url')}`;
  let confirmed: Lease | undefined;
  /** Since when leases followed one another on one connection. */
  let heldSince = 0;
  let count = 0;
  let renewing: Promise<void> | undefined;
  /** Facts came from a server that does not have our number. */
  let strange = false;

  const none = (): StoreUnavailable => new StoreUnavailable('redis: no lease of the primary: its replicas do not confirm that they follow it, another server may have taken its place');
  const lasts = (lease: Lease | undefined): lease is Lease =>
    lease !== undefined && lease.generation === connection.generation() && clock.now().latest - lease.at < leaseMs;

  const once = async (): Promise<void> => {
    count += 1;
    const told = witness?.();
    const turn = told?.turn() ?? 0;
    const lease = { number: count, at: clock.now().latest, generation: connection.generation() };
    const [, reached] = await Promise.all([
      connection.command(timeoutMs, 'SET', key, lease.number, 'PX', ROW_LIVES_MS),
      connection.command(timeoutMs, 'WAIT', replicas, leaseMs),
    ]);
    if (!(Number(reached) >= replicas) || lease.generation !== connection.generation()) throw none();
    if (confirmed?.generation !== lease.generation || !(lease.at - confirmed.at < leaseMs)) heldSince = lease.at;
    confirmed = lease;
    told?.confirmed(turn, lease.generation, realm);
  };
  const renew = (): Promise<void> => (renewing ??= once().finally(() => { renewing = undefined; }));
  let without = 0;
  // A renewal that fails says so when the lease is over.
  const timer = setInterval(() => {
    without = lasts(confirmed) && !strange ? 0 : without + 1;
    strange = false;
    if (without >= LOST_AFTER) {
      without = 0;
      onLost?.();
    }
    void renew().catch(() => undefined);
  }, leaseMs / RENEWALS_A_LEASE);
  timer.unref();
  return {
    key,
    held: () => {
      if (!lasts(confirmed)) throw none();
      return confirmed;
    },
    check: (lease, number) => {
      const same = Number(number) >= lease.number;
      if (!same) strange = true;
      if (lease.generation !== connection.generation() || !lasts(confirmed) || !same) throw none();
    },
    settleMs: () => {
      const waitMs = Math.ceil(leaseMs * DRIFT);
      return lasts(confirmed) ? Math.max(0, waitMs - (clock.now().latest - heldSince)) : waitMs;
    },
    ready: async () => {
      // One that took long to be confirmed is over already; a replica that has just begun to follow confirms late.
      for (let attempt = 1; attempt <= RENEWALS_A_LEASE && !lasts(confirmed); attempt += 1) {
        await renew().catch((error: unknown) => {
          if (attempt === RENEWALS_A_LEASE) throw error;
        });
      }
    },
    stop: () => clearInterval(timer),
  };
};

/** The fences of all realms: one for all of them, or on a cluster one for each. */
export interface Fences {
  of(realm: string): Fence;
  /** The longest of them. */
  settleMs(): number;
  ready(): Promise<void>;
  stop(): void;
}

const FENCES_MAX = 1_000;

/** `realms`: those that hold leases from the start; others begin with their first question, which fails. */
export const startFences = (options: Omit<FenceOptions, 'realm'>, realms: readonly string[]): Fences => {
  const { connection } = options;
  if (!connection.sharded) {
    const one = startFence(options);
    return { of: () => one, settleMs: one.settleMs, ready: one.ready, stop: one.stop };
  }
  const fences = new Map<string, Fence>();
  const of = (realm: string): Fence => {
    const known = fences.get(realm);
    if (known !== undefined) return known;
    if (fences.size >= FENCES_MAX) throw new StoreUnavailable(`redis: leases of ${FENCES_MAX} realms are held already`);
    const fence = startFence({ ...options, connection: connection.at(realmKeys(realm).state), realm });
    fences.set(realm, fence);
    return fence;
  };
  for (const realm of realms) of(realm);
  const all = (): readonly Fence[] => [...fences.values()];
  return {
    of,
    settleMs: () => Math.max(0, ...all().map((fence) => fence.settleMs())),
    ready: async () => void (await Promise.all(all().map((fence) => fence.ready()))),
    stop: () => all().forEach((fence) => fence.stop()),
  };
};
