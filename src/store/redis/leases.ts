/**
 * Leases on a Redis server: one row a holder and realm, written by renewals, four a lease. With replicas a renewal counts when all
 * of them confirmed it, so that whoever is promoted knows every lease that counts.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Followed, Holder, Holders, Leases } from '../leases.ts';
import { StoreUnavailable } from '../port.ts';
import { CHANGES_MAX, followedOf, RENEW, type OnRealm } from './changes.ts';
import { scriptOf, type Connection, type Listener } from './connection.ts';
import { holdersOf } from './holders.ts';
import { ownerPrefix, realmChannel, realmKeys, recordField } from './keys.ts';
import { acknowledgeLua } from './scripts/acknowledge.ts';
import type { Watch } from './watch.ts';
import type { Witness } from './witness.ts';

const ACKNOWLEDGE = scriptOf(acknowledgeLua);
const HOLDERS_MAX = 1_000;

export interface LeaseParts {
  /** The one that commits go over: replicas confirm what one connection wrote. */
  readonly connection: Connection;
  readonly epoch: string;
  readonly replicas: number;
  readonly timeoutMs: number;
  readonly watch: Watch;
  readonly witness: Witness;
  readonly onRealm: OnRealm;
  /** Fails while the store may not be asked. */
  readonly ready: () => Promise<void> | undefined;
  /** As in `ChangesParts`. */
  readonly limits: string;
}

export interface Rows {
  /** All rows; `over`: those that are dropped first, if they are as they were. */
  read(realm: string, over?: readonly Holder[]): Promise<Holders>;
}

const acknowledging = ({ connection, epoch, timeoutMs, onRealm }: LeaseParts) => async (realm: string, args: readonly (string | number)[]): Promise<Holders> => {
  const { state, endings, holders } = realmKeys(realm);
  const answer = await onRealm(connection, timeoutMs, ACKNOWLEDGE, realm, [state, endings, holders], [epoch, ...args]);
  return holdersOf(answer[1], answer[2], answer[3]);
};

export const createRows = (parts: LeaseParts): Rows => {
  const acknowledge = acknowledging(parts);
  return { read: (realm, over = []) => acknowledge(realm, [0, '', '', '', ...over.flatMap(({ holder, count }) => [holder, count])]) };
};

export const createLeases = (parts: LeaseParts, leaseMs: number, listen: (heard: (channel: string, message: string | undefined) => void) => Listener): Leases & { close(): void } => {
  const { connection, epoch, replicas, timeoutMs, witness, onRealm, ready, limits } = parts;
  const acknowledge = acknowledging(parts);
  const holder = randomBytes(12).toString('base64url');
  const node = `${hostname().replaceAll(/[^\w.-]/g, '_').slice(0, 128)}/${process.pid}`;
  const hearers = new Map<string, (ending: boolean) => void>();
  let listener: Listener | undefined;

  const follow = async (realm: string, from: number | undefined, count?: number): Promise<Followed> => {
    const looking = ready();
    if (looking !== undefined) await looking;
    const { state, endings, changes, holders } = realmKeys(realm);
    const known = witness.known(realm);
    const there = connection.at(state);
    const generation = there.generation();
    const own = count === undefined ? [] : [holder, count, leaseMs, node, HOLDERS_MAX, known?.endings.hash ?? ''];
    const answer = await onRealm(connection, timeoutMs, RENEW, realm, [state, endings, changes, holders], [epoch, known?.endings.sequence ?? 0, limits, from ?? '', CHANGES_MAX, ...own]);
    if (String(answer[0]) === 'full') throw new StoreUnavailable(`redis: ${HOLDERS_MAX} processes hold leases already`);
    if (count !== undefined && replicas > 0) {
      const reached = await there.command(timeoutMs, 'WAIT', replicas, leaseMs);
      if (!(Number(reached) >= replicas) || there.generation() !== generation) throw new StoreUnavailable('redis: the replicas do not confirm the lease');
    }
    return followedOf(parts, realm, known, answer);
  };
  return {
    leaseMs, follow,
    // Behind every new connection may be another primary, or one that was put back, with other commits under the positions that were read.
    history: (realm) => witness.life(realm) + connection.at(realmKeys(realm).state).generation(),
    nameOf: recordField,
    ownerNameOf: ownerPrefix,
    acknowledge: async (realm, { sequence, endings }) => void (await acknowledge(realm, [endings.sequence, endings.hash, holder, sequence])),
    release: async (realm, count) => void (await acknowledge(realm, [0, '', '', '', holder, count])),
    hear: (realm, heard) => {
      const channel = realmChannel(realm);
      hearers.set(channel, heard);
      listener ??= listen((name, message) => hearers.get(name)?.(message !== '0'));
      listener.hear(channel);
    },
    close: () => listener?.close(),
  };
};
