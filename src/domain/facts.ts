/** Facts: what the store knew, at one position, of everything that one decision relies on. Later rows are added, not methods. */
import type { Ending } from './ending.ts';
import type { Grant } from './grant.ts';
import type { Instant } from './instant.ts';
import type { Position } from './position.ts';
import type { Reason } from './reasons.ts';
import type { Task } from './task.ts';

export interface GrantFact {
  readonly grant: Grant;
  /** Version of the record that was read. */
  readonly version: number;
  /** `grant.root`, or the sequence of its own commit. */
  readonly root: number;
  readonly usesLeft?: number;
  /** Break-glass: its first use was recorded. */
  readonly used?: boolean;
  /** Ids of ancestors whose record is there. */
  readonly ancestorsPresent: ReadonlySet<string>;
}

export interface TaskFact {
  readonly task: Task;
  readonly version: number;
}

/** A point in time from which something of `grant` no longer holds, whatever else is true. */
export interface Deadline {
  readonly grant: string;
  readonly at: Instant;
  readonly reason: Reason;
}

export interface Facts {
  readonly epoch: string;
  readonly position: Position;
  readonly endingsMark: { readonly sequence: number; readonly hash: string };
  readonly grants: readonly GrantFact[];
  readonly tasks: ReadonlyMap<string, TaskFact>;
  /** By selector key; absent means that nothing was ever recorded for it. */
  readonly endings: ReadonlyMap<string, Ending>;
  readonly deadlines: readonly Deadline[];
  /** Grants that ended already: they explain a denial and never allow. */
  readonly ended: readonly GrantFact[];
  /** Grant records of this workload that could not be understood. */
  readonly malformed: number;
}
