/** For deciding: a store that remembers what it has read, in the way that it can. */
import type { NodeStore } from '../port.ts';
import { openLeasedStore, type LeasedOptions } from './open.ts';
import { openProvenStore } from './proven.ts';

/** Closing it closes `store`. */
export const openRememberingStore = (store: NodeStore, options: LeasedOptions): NodeStore =>
  store.leases === undefined ? openProvenStore(store, options) : openLeasedStore(store, options);
