/** What was done and seen in one history, with bounds in real time. All instants are of the test's own monotonic clock, told as milliseconds since 1970. */
export const instant = (): number => performance.timeOrigin + performance.now();

export interface Ask {
  readonly node: number;
  /** Name of the grant that covers what is asked. */
  readonly grant: string;
  readonly started: number;
  readonly ended: number;
  /** 0: there was no answer. */
  readonly status: number;
  readonly decision: string | undefined;
}

export type Ending = 'revoke' | 'suspend' | 'close' | 'pause';

export interface Command {
  readonly what: 'issue' | 'approve' | Ending;
  readonly node: number;
  readonly grant: string;
  readonly started: number;
  readonly ended: number;
  readonly status: number;
  /** `unknown`: it was not confirmed and not refused. */
  readonly outcome: 'done' | 'refused' | 'unknown';
}

/** What a node wrote down of one allow. */
export interface Written {
  readonly node: number;
  readonly decision: string;
  /** Id of the grant that it relied on. */
  readonly grant: string;
  /** It was judged no earlier than this. */
  readonly earliest: number;
  readonly factsAgeMs: number | undefined;
}

export interface IssuedGrant {
  readonly name: string;
  readonly id: string;
  readonly expiresAt: number;
}

export interface History {
  readonly world: string;
  readonly seed: number;
  readonly fault: string;
  /** Whatever is asked and answered in this time must be denied. */
  readonly mustDeny: { readonly since: number; readonly until: number; readonly why: string } | undefined;
  readonly maxFactsAgeMs: number;
  readonly grants: readonly IssuedGrant[];
  readonly asks: readonly Ask[];
  readonly commands: readonly Command[];
  readonly written: readonly Written[];
  /** Nodes whose wall clock was set; what they wrote down says nothing about time. */
  readonly wrongClocks: readonly number[];
  /** Once all was well again: the state of each grant by name; `undefined`: there is no such grant. */
  readonly finally: Readonly<Record<string, string | undefined>>;
  /** Instants at which the fault was over and at which each node allowed again; `undefined`: not in time. */
  readonly healed: { readonly at: number; readonly allowed: readonly (number | undefined)[] } | undefined;
  /** Why access was denied after that: node, reason, and how often. For whoever looks for the cause; the checker does not. */
  readonly denied?: readonly { readonly node: number; readonly reason: string; readonly count: number; readonly last: number }[];
}
