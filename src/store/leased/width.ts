/** A question as it is asked so that its answer serves later ones too, and such an answer as the question wanted it. */
import type { FactsQuery, FactsRead } from '../port.ts';
import { LOOK_BACK } from './memory.ts';

/** Enough for any later question: rows whatever is wanted, where they stand, and ended ones. */
export const wide = (query: FactsQuery): FactsQuery =>
  query.index === undefined
    ? query
    : { ...query, index: { ...query.index, wanted: () => false, lookBack: Math.max(LOOK_BACK, query.index.lookBack ?? 0), places: true } };

export const narrow = ({ places: _places, ...read }: FactsRead, { index }: FactsQuery): FactsRead => {
  const wanted = index?.wanted;
  const anyWanted = read.rows.some((row) => wanted === undefined || wanted(row));
  return { ...read, ended: anyWanted ? [] : read.ended.slice(0, index?.lookBack ?? 0) };
};
