/**
 * Is a name that is to answer for access anybody? Where a people source says who there is, only persons that it (or an operator, in the directory)
 * has named, teams that somebody of them is or was in, and names that the configuration uses; elsewhere every well-formed name, for nobody could tell.
 * Whoever has left answers for nothing, in either case.
 */
import type { RecordRef } from '../grant-refs.ts';
import type { Loaded } from './change.ts';
import { isGone, personRef } from './directory.ts';

/** Persons and teams that the configuration names; absent: no people source says who there is. */
export type KnownOwners = ReadonlySet<string> | undefined;

/** There from the first person on that was in it. */
export const teamRef = (id: string): RecordRef => ({ kind: 'team', id });

const recordOf = (owner: string): RecordRef => (owner.startsWith('team:') ? teamRef(owner) : personRef(owner));

/** What `ownerFault` reads. */
export const ownerRefs = (owner: string): readonly RecordRef[] => [...new Set([personRef(owner), recordOf(owner)])];

/** Why this well-formed name can't be an owner now, or `undefined`. */
export const ownerFault = (loaded: Loaded, owner: string, known: KnownOwners): string | undefined => {
  if (isGone(loaded, owner)) return 'has left';
  return known === undefined || known.has(owner) || loaded.record(recordOf(owner)) !== undefined ? undefined : 'is nobody whom the people source or the configuration knows';
};
