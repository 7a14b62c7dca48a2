/** An operator accepts the wall clock: recorded first, then every process of this node accepts it. */
import type { ResetClock } from '../admin/clock.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { AdjustableClock } from '../time/clock.ts';

export interface ClockResetDeps {
  readonly lifecycle: Pick<Lifecycle, 'resetClock'>;
  readonly clock: Pick<AdjustableClock, 'reset' | 'behindMs'>;
  readonly tellWorkers: () => void;
}

export const createResetClock = ({ lifecycle, clock, tellWorkers }: ClockResetDeps): ResetClock => async (call, reason) => {
  const executed = await lifecycle.resetClock(call, { reason, behindMs: clock.behindMs() });
  // A repeated command is the same act: a step that came after it takes another one.
  if (executed.ok && !executed.replayed) {
    clock.reset();
    tellWorkers();
  }
  return executed;
};
