/** No decision begins without a place for its record: who gets none in time is denied. */
import type { Decider } from './decide.ts';
import type { Evaluation } from './evaluation.ts';
import type { Clock, DecisionSink } from './ports.ts';

export const recorded = (sink: DecisionSink, clock: Pick<Clock, 'monotonicMs'>, decider: Decider): Decider => {
  const { place } = sink;
  if (place === undefined) return decider;
  return {
    ...decider,
    decide: (evaluation, write) => {
      const coming = place();
      if (coming === undefined) return decider.decide(evaluation, write);
      // The time in line counts.
      const arrivedMs = evaluation.arrivedMs ?? clock.monotonicMs();
      const late: Evaluation = evaluation.sentWith === undefined ? { ...evaluation, arrivedMs } : { ...evaluation, arrivedMs, sentWith: 'another' };
      return coming.then((got) => decider.decide(got ? late : { ...late, refused: 'decision.unrecorded' }, write));
    },
  };
};
