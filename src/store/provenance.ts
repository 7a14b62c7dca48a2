/**
 * What else than its epoch a store says about where it comes from. A store that says anything of this has format 2, which versions
 * that don't understand it refuse. `loading`: it is being filled and is nobody's yet. `restored`: it is yesterday's, and what has
 * ended since is not known: everything is denied. `moved`: these realms live elsewhere now.
 */
import { z } from 'zod';
import { StoreUnavailable } from './port.ts';

const mark = z.strictObject({ sequence: z.int().min(0), hash: z.string().regex(/^[0-9a-f]{64}$/) });
const position = z.strictObject({ sequence: z.int().min(0), at: z.number(), endings: mark });

export const provenanceSchema = z.strictObject({
  /** Names what it is filled from: the same again goes on, something else is refused. */
  loading: z.string().optional(),
  restored: z.strictObject({ epoch: z.string(), realms: z.record(z.string(), position) }).optional(),
  /** Earlier epochs, by realm: how far their endings are known here; `null`: an operator accepted the loss. */
  succeeds: z.record(z.string(), z.record(z.string(), z.int().min(0).nullable())).default({}),
  /** Realm to what it was moved to. */
  moved: z.record(z.string(), z.string()).default({}),
});
export type Provenance = z.output<typeof provenanceSchema>;
export type Restored = NonNullable<Provenance['restored']>;

export const PLAIN: Provenance = { moved: {}, succeeds: {} };
export const isPlain = ({ loading, restored, moved, succeeds }: Provenance): boolean =>
  loading === undefined && restored === undefined && Object.keys(moved).length === 0 && Object.keys(succeeds).length === 0;

/** Everything is denied until an operator says what has ended since the backup. */
export class StoreRestored extends StoreUnavailable {
  readonly reason = 'facts.restored';
}

export const restoredFault = (): StoreRestored =>
  new StoreRestored('the store was restored from a backup: what has ended since is not known. Say it with `curfew endings import`, or accept the loss with `curfew endings accept-loss`');

/** Why a store can't be copied. */
export const unreadyFault = ({ loading, restored }: Provenance): StoreUnavailable | undefined => {
  if (loading !== undefined) return new StoreUnavailable('the store is not whole: finish the restore or the move that fills it');
  return restored === undefined ? undefined : restoredFault();
};

/** Throws `StoreUnavailable` when a service must not open this store for these realms. */
export const refuseUnlessWhole = ({ loading, moved }: Provenance, realms: readonly string[]): void => {
  if (loading !== undefined) throw new StoreUnavailable('the store is being filled by `curfew restore` or `curfew migrate`, or a loss is being accepted, or that was interrupted: run the same command again');
  const gone = realms.filter((realm) => Object.hasOwn(moved, realm));
  if (gone.length > 0) throw new StoreUnavailable(`these realms were moved to another store: ${gone.map((realm) => `${realm} (${moved[realm]})`).join(', ')}. Point this node there, or take them out of \`realms\``);
};

/** Does the store know every ending that was seen of an earlier epoch, or was the loss accepted? While it is restored it denies anyway. */
export const knowsEndingsOf = ({ restored, succeeds }: Provenance, epoch: string, seen: ReadonlyMap<string, { readonly endings: { readonly sequence: number } }>): boolean => {
  if (restored?.epoch === epoch) return true;
  const known = succeeds[epoch];
  return known !== undefined && [...seen].every(([realm, { endings }]) => known[realm] === null || (known[realm] !== undefined && endings.sequence <= known[realm]));
};

/** Rejects while the store is restored; asks again at every question until it is not, and never again afterwards. */
export const watchRestored = (isRestored: () => Promise<boolean>): (() => Promise<void>) => {
  let restored = true;
  return async () => {
    if (!restored) return;
    restored = await isRestored();
    if (restored) throw restoredFault();
  };
};
