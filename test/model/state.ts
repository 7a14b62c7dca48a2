/** What the model of the protocol knows at one moment, and the names of its guards. */
import type { Step } from './explore.ts';

/** Ticks that facts count for, and leases. */
export const FACTS_AGE = 1;
export const LEASE = 2;

export type Grant = '0' | '1';
export const GRANTS: readonly Grant[] = ['0', '1'];
export type ServerNumber = 0 | 1;

/** The digits of both, in order. */
export const union = (one: string, other: string): string => GRANTS.filter((grant) => one.includes(grant) || other.includes(grant)).join('');

/** Since something was asked for, on both clocks of the node; not counted beyond what any check looks at. Their greater one is always right. */
export interface Age {
  readonly monotonic: number;
  readonly wall: number;
}
export const NEW: Age = { monotonic: 0, wall: 0 };

/** A question to a server and what it answered when it got there. */
export interface Asked {
  readonly server: ServerNumber;
  readonly log: string;
  readonly age: Age;
  readonly arrived: boolean;
}

export interface AskingNode {
  readonly reads: ServerNumber;
  readonly writes: ServerNumber;
  /** Endings it has heard of, in their order. */
  readonly known: string;
  /** All endings it ever heard of. */
  readonly ever: string;
  readonly lease: { readonly server: ServerNumber; readonly age: Age } | undefined;
  readonly renewal: Asked | undefined;
  readonly facts: Asked | undefined;
  /** Leased: what memory says of grant 0. */
  readonly memory: 'nothing' | 'live' | 'ended';
  /** Leased: an evaluation has read from memory and not answered yet. */
  readonly thinking: boolean;
}

export interface RevokingNode {
  readonly server: ServerNumber;
  /** Ticks since which it has held its own lease of this server; -1: it holds none. */
  readonly held: number;
  readonly command: { readonly grant: Grant; readonly at: string; readonly phase: 'confirming' | 'waiting'; readonly left: number; readonly lapse: number } | undefined;
  /** Revocations begun. */
  readonly begun: string;
}

export interface State {
  readonly logs: readonly [string, string];
  readonly promoted: boolean;
  /** Whom S2 follows. */
  readonly second: ServerNumber;
  /** Leased: A's row is at the server. */
  readonly rows: readonly [boolean, boolean];
  readonly asking: AskingNode;
  readonly revoking: RevokingNode;
  readonly clocksRight: boolean;
  readonly restarted: boolean;
  /** Revocations that have returned. */
  readonly returned: string;
}

export const GUARDS = {
  strict: [
    'an allow is written only while its facts are young',
    'facts count from before they were asked for',
    'facts count on the wall clock',
    'facts count on the monotonic clock',
    'facts need a lease',
    'a lease counts from before it was asked for',
    'a lease counts on the wall clock',
    'a lease counts on the monotonic clock',
    'every replica confirms a lease',
    'every replica confirms a commit',
    'facts come from the server of the lease',
    'revoke waits for facts in use',
    'revoke waits for leases of an earlier primary',
    'revoke waits on the monotonic clock',
    'a server that knows less is refused',
    'endings are compared by hash',
  ],
  // Not here: which server facts are of. What memory takes is held against what was applied, whoever it comes from.
  leased: [
    'an allow is written only under the lease',
    'a lease counts from before it was asked for',
    'a lease counts on the wall clock',
    'a lease counts on the monotonic clock',
    'events are applied before the lease counts',
    'an acknowledgement comes after applying',
    'every replica confirms a lease',
    'every replica confirms a commit',
    'memory takes nothing older than what it has applied',
    'revoke waits for every holder',
    'revoke waits on the monotonic clock',
    'a holder has an id of its own',
    'rows of holders have no end of their own',
    'endings are compared by hash',
  ],
} as const;

export type Mode = keyof typeof GUARDS;
export type Guard = (typeof GUARDS)[Mode][number];
/** Is this guard in place? */
export type Guarded = (guard: Guard) => boolean;

export type Steps = (state: State, has: Guarded) => Step<State>[];
