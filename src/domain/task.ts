/** Tasks: the reason why access exists. A task is open, paused or closed; closed and missed heartbeats are final. */
import type { DurationMs, Instant, TimeInterval } from './instant.ts';
import type { Reason } from './reasons.ts';

export const OVER_BY_TIME = ['task.heartbeat', 'task.deadline'] as const;

export interface Task {
  readonly version: 1;
  readonly id: string;
  readonly kind: string;
  readonly owner: string;
  readonly reference?: string;
  readonly openedBy: string;
  readonly openedAt: Instant;
  readonly state: 'open' | 'paused' | 'closed';
  /** Last instant (excluded) of the task; every task has one. */
  readonly deadline: Instant;
  /** A beat must come within this span of the last one (or of opening, or of resuming). */
  readonly heartbeatMs?: DurationMs;
  readonly lastBeatAt?: Instant;
  readonly closedAt?: Instant;
  readonly closedBy?: string;
  /** It was over by time before it was closed. */
  readonly closedBecause?: (typeof OVER_BY_TIME)[number];
}

/** Until when the task holds by time alone: the deadline, or the next missed beat if that is earlier. */
export const taskHoldsUntil = (task: Task): Instant => {
  if (task.heartbeatMs === undefined) return task.deadline;
  const beatDue = (task.lastBeatAt ?? task.openedAt) + task.heartbeatMs;
  return (beatDue < task.deadline ? beatDue : task.deadline) as Instant;
};

/** `undefined` when the task is open and in time; otherwise why not. */
export const taskFault = (task: Task, now: TimeInterval): Reason | undefined => {
  if (task.state === 'closed') return task.closedBecause ?? 'task.closed';
  if (!(now.latest < task.deadline)) return 'task.deadline';
  if (task.state === 'paused') return 'task.paused';
  if (task.state !== 'open') return 'task.missing';
  if (now.latest < taskHoldsUntil(task)) return undefined;
  return 'task.heartbeat';
};
