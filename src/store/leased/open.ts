/**
 * A store that answers facts from what this process has read, while it holds a lease. What is not remembered is read, whole and
 * strictly, and then remembered. For decisions: whoever changes something reads the store itself.
 *
 * - An answer from memory is a snapshot at one position, and says of itself whether it still may be relied on (`holds`).
 * - Without a lease every question is read strictly; the store's own rules hold then.
 */
import type { Clock } from '../../decision/ports.ts';
import { createMemoSpace } from '../embedded/memo.ts';
import { StoreUnavailable, type FactsQuery, type FactsRead, type NodeStore } from '../port.ts';
import { createLease, type Lease } from './lease.ts';
import { createRealmMemory, type RealmMemory } from './memory.ts';
import { narrow, wide } from './width.ts';

export interface LeasedOptions {
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>;
  /** Of what is remembered, about. */
  readonly bytesMax: number;
  readonly gatherMs?: number;
  readonly acknowledgesAll?: boolean;
}

const GATHER_MS = 20;
const REALMS_MAX = 1_000;

interface Realm {
  readonly memory: RealmMemory;
  readonly lease: Lease;
}

/** Closing it gives the leases back and closes `store`. */
export const openLeasedStore = (store: NodeStore, options: LeasedOptions): NodeStore => {
  const { leases, epoch } = store;
  if (leases === undefined) throw new TypeError('store: this store gives no leases');
  const { clock } = options;
  const space = createMemoSpace(options.bytesMax);
  const realms = new Map<string, Realm>();
  let closed = false;

  const realmOf = (name: string): Realm => {
    const known = realms.get(name);
    if (known !== undefined) return known;
    if (realms.size >= REALMS_MAX) throw new StoreUnavailable('too many realms');
    const memory = createRealmMemory(leases, space);
    const lease = createLease({ realm: name, leases, memory, clock, gatherMs: options.gatherMs ?? GATHER_MS, acknowledgesAll: options.acknowledgesAll ?? false });
    const realm = { memory, lease };
    realms.set(name, realm);
    return realm;
  };

  const strictly = async ({ memory, lease }: Realm, query: FactsQuery): Promise<FactsRead> => {
    const { life } = memory;
    const asked = wide(query);
    try {
      const read = await store.facts(asked);
      memory.keep(life, asked, read);
      if (memory.position !== undefined && read.position.sequence > memory.position) lease.lookSoon();
      return narrow(read, query);
    } catch (error) {
      if ((error as { readonly reason?: unknown }).reason === 'facts.regressed') lease.drop();
      throw error;
    }
  };

  const facts = (query: FactsQuery): FactsRead | Promise<FactsRead> => {
    if (closed) throw new StoreUnavailable('the store is closed');
    const realm = realmOf(query.realm);
    const { memory, lease } = realm;
    lease.touch();
    const leaseEnds = lease.ends();
    const found = leaseEnds === undefined ? undefined : memory.answer(query);
    const { life, position, endings } = memory;
    if (found === undefined || leaseEnds === undefined || position === undefined || endings === undefined) return strictly(realm, query);
    const { records, rows, ended, truncated } = found;
    // Told whole each time: V8 makes a class of its own for every object that begins with a spread and then grows.
    return {
      position: { epoch, sequence: position },
      endings, records, rows, ended, truncated, leaseEnds,
      provenMs: lease.provenMs(),
      holds: () => memory.life === life && memory.endings?.sequence === endings.sequence && lease.ends() !== undefined,
    };
  };

  return {
    ...store,
    facts,
    close: async () => {
      closed = true;
      await Promise.all([...realms.values()].map(({ lease }) => lease.stop()));
      await store.close();
    },
  };
};
