/**
 * Is what was gathered still the truth? A store that can be asked at once is asked for its endings once more. Facts of a store that
 * is far away count for `maxFactsAgeMs` from before they were asked for: whoever ends access waits that long before saying so.
 */
import type { Facts } from '../domain/facts.ts';
import { storeDenied } from './denied.ts';
import type { Clock } from './ports.ts';
import type { Progress } from './progress.ts';

type Mark = Facts['endingsMark'];

/** At once when the store answers at once, so that nothing comes between this and the answer. */
export const unchanged = (endings: () => Mark | Promise<Mark>, { endingsMark }: Facts): boolean | Promise<boolean> => {
  const same = (mark: Mark): boolean => mark.sequence === endingsMark.sequence && mark.hash === endingsMark.hash;
  let mark: Mark | Promise<Mark>;
  try {
    mark = endings();
  } catch (error) {
    throw storeDenied(error);
  }
  return mark instanceof Promise ? mark.then(same) : same(mark);
};

/**
 * What was answered from memory says it of itself. Else by age on both clocks: the monotonic one stands still while the machine
 * sleeps, the other may be set. `nowMs`: the monotonic one at the last check, as it is noted.
 */
export const youngEnough = ({ lease, factsReadMs, factsReadAt }: Progress, clock: Clock, nowMs: number, maxFactsAgeMs: number): boolean =>
  lease?.holds !== undefined
    ? lease.holds()
    : factsReadMs !== undefined && factsReadAt !== undefined &&
      nowMs - factsReadMs < maxFactsAgeMs && clock.now().latest - factsReadAt < maxFactsAgeMs;
