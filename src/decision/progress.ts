/** What the pipeline knows on its way; the record is made of it whatever the outcome. */
import type { Facts } from '../domain/facts.ts';
import type { Instant, TimeInterval } from '../domain/instant.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';
import type { Identity, Shaping } from './evaluation.ts';
import type { FactsAnswer } from './gather.ts';
import type { LiveGrant } from './input.ts';
import type { Policy, StepWatch } from './ports.ts';
import type { StandingEntry } from './standing.ts';
import type { Verdict } from './verdict.ts';

export interface Progress {
  now: TimeInterval;
  /** Absent: not watched. */
  watch?: StepWatch;
  /** Before facts were gathered: what is written then does not leave with the read any more. */
  waited?: true;
  policy?: Policy;
  identity?: Identity;
  facts?: Facts;
  /** On the monotonic clock: when the facts were asked for, and when they were last known to be the truth. */
  factsReadMs?: number;
  checkedMs?: number;
  /** When they were asked for, on the clock, where their age counts. */
  factsReadAt?: Instant;
  /** What their answer says of itself, where it came from memory. */
  lease?: Pick<FactsAnswer, 'holds' | 'leaseEnds' | 'provenMs'>;
  faults: Map<string, Reason>;
  live: readonly LiveGrant[];
  input?: JsonObject;
  /** What the policy said about `input`, or why it said nothing. */
  result?: JsonValue | undefined;
  policyFault?: Reason | undefined;
  /** What the policy asked for a denial; used when it said no. */
  denial: Shaping;
  standing?: StandingEntry;
  nearest?: string;
  detail?: string | undefined;
}

/** What an allow rests on. */
export interface Conclusion {
  readonly relied?: LiveGrant;
  readonly standing?: StandingEntry;
  readonly validUntil: Instant;
  readonly verdict: Verdict;
  /** `observe` lets it through; this is why it would have been denied. */
  readonly wouldDeny?: Reason;
}
