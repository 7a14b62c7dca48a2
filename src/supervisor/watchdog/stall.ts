/**
 * Judges from a row of readings whether the deciding thread stands still. Time is counted in the watchdog's own ticks: a process
 * that was stopped or a machine that slept counts as one tick. And it is only the processor time that the thread really took
 * which uses up the budget, so that an overloaded machine doesn't end innocents.
 */
export interface StallReading {
  /** Counts turns of the loop. */
  readonly loopTurns: number;
  /** Odd while an evaluation is under way. */
  readonly evaluation: number;
}

export type Stall = 'evaluation' | 'loop' | 'stuck';

export interface StallLimits {
  readonly tickMs: number;
  /** For one evaluation. */
  readonly evaluationBudgetMs: number;
}

/** Work outside of evaluations (start of a policy, collection of garbage) may take this many budgets. */
export const LOOP_BUDGETS = 10;
/** A loop that stands this many budgets without taking processor time waits for something that does not come. */
export const STUCK_BUDGETS = 300;

/** `cpuMs`: processor time of the deciding thread so far; asked only when something stands still. */
export const createStallJudge = (limits: StallLimits, cpuMs: () => number): ((reading: StallReading) => Stall | undefined) => {
  const { tickMs, evaluationBudgetMs } = limits;
  interface Standing {
    readonly value: number;
    ticks: number;
    cpuAtStart: number | undefined;
  }
  let evaluation: Standing = { value: -1, ticks: 0, cpuAtStart: undefined };
  let loop: Standing = { value: -1, ticks: 0, cpuAtStart: undefined };

  const follow = (before: Standing, value: number): Standing => {
    if (before.value !== value) return { value, ticks: 0, cpuAtStart: undefined };
    before.ticks += 1;
    before.cpuAtStart ??= cpuMs();
    return before;
  };
  const spent = (standing: Standing, budgetMs: number): boolean =>
    standing.cpuAtStart !== undefined && standing.ticks * tickMs >= budgetMs && cpuMs() - standing.cpuAtStart >= budgetMs;

  return (reading) => {
    loop = follow(loop, reading.loopTurns);
    evaluation = reading.evaluation % 2 === 1 ? follow(evaluation, reading.evaluation) : { value: -1, ticks: 0, cpuAtStart: undefined };
    if (spent(evaluation, evaluationBudgetMs)) return 'evaluation';
    if (spent(loop, LOOP_BUDGETS * evaluationBudgetMs)) return 'loop';
    if (loop.ticks * tickMs >= STUCK_BUDGETS * evaluationBudgetMs) return 'stuck';
    return undefined;
  };
};
