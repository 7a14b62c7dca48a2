/**
 * The part of the store's port that a process needs to answer from what it has read. A holder is one process; it may do so while
 * its lease lasts, which counts from before the renewal was sent, and only once everything that the renewal told is applied.
 */
import type { DurationMs } from '../domain/instant.ts';
import type { Longest } from './longest.ts';
import type { EndingsMark, RecordKey } from './port.ts';

/** One who may answer from memory: one process since its start. */
export interface Holder {
  /** Random, never used again. */
  readonly holder: string;
  /** Which process of which machine, for people. */
  readonly node: string;
  readonly leaseMs: DurationMs;
  /** Of its renewals: another one, another number. */
  readonly count: number;
  /** It has applied every event up to this sequence, and so many endings: of the history that the store has, else none. */
  readonly applied: number;
  readonly appliedEndings: number;
}

export interface Holders {
  /** How many endings there were when they were looked at. */
  readonly endings: number;
  readonly all: readonly Holder[];
  /** By which answers may be in use, whoever gave them. Absent: nobody says. */
  readonly longest?: Longest;
}

/** What became of one holder after an ending. `lapsed`: it did not say that it applied it; its lease is over. */
export interface Enforcement {
  readonly holder: string;
  readonly node: string;
  readonly state: 'acknowledged' | 'lapsed';
}

export interface ChangedNames {
  readonly sequence: number;
  /** As `nameOf` gives them. */
  readonly records: readonly string[];
  /** As `ownerNameOf` gives them: a row came or went. */
  readonly owners: readonly string[];
}

export interface Followed {
  readonly sequence: number;
  readonly endings: EndingsMark;
  /** False: what happened since can't be told any more; nothing that was read before may be used. */
  readonly whole: boolean;
  readonly changes: readonly ChangedNames[];
}

/** Of a store that tells what changed. */
export interface Changes {
  nameOf(key: RecordKey): string;
  ownerNameOf(owner: string): string;
  /** What happened after `from` (`undefined`: nothing is remembered), as of a moment after the call. Rejects like `facts`. */
  follow(realm: string, from: number | undefined): Promise<Followed>;
  /** Another number when the store has, or may have, gone on from another history: nothing that was read before may be used. */
  history(realm: string): number;
}

export interface Leases extends Changes {
  readonly leaseMs: number;
  /**
   * What happened after `from` (`undefined`: nothing is remembered). With `count` it is a renewal: when it resolves, and all it
   * tells is applied, the lease holds for `leaseMs` from before the call. Rejects like `facts`.
   */
  follow(realm: string, from: number | undefined, count?: number): Promise<Followed>;
  /** Everything up to this is applied. */
  acknowledge(realm: string, applied: Pick<Followed, 'sequence' | 'endings'>): Promise<void>;
  /** Gives back the lease of this renewal, and no later one. */
  release(realm: string, count: number): Promise<void>;
  /** Calls `heard` soon after commits; it may miss some. */
  hear(realm: string, heard: (ending: boolean) => void): void;
}

/** Clocks may run 1 % wrong, one too slow and the other too fast. */
const DRIFT = 1.025;

/** After so long on one's own clock, a lease that another one holds is over on the other's. */
export const untilOver = (leaseMs: number): number => Math.ceil(leaseMs * DRIFT);
