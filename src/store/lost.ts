/** The part of the store's port for putting back what a shared store lost. */
import type { Store, StoredEvent } from './port.ts';

/** What a shared store lost, as far as this node knows. */
export interface Lost {
  /** Oldest first. */
  readonly endings: readonly StoredEvent[];
  /** There are none that this node can not name. */
  readonly whole: boolean;
}

/** For putting back what a shared store lost. */
export interface Regress {
  /** `undefined`: nothing, as far as this process has seen. */
  lost(realm: string): Promise<Lost | undefined>;
  /** The store as it is, whatever was known of it. */
  readonly asItIs: Pick<Store, 'facts' | 'commit'>;
  /** All of it is there again: everybody may go on. False: an operator must decide. */
  accept(realm: string): Promise<boolean>;
}
