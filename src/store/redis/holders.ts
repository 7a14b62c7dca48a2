/** Rows of a realm's holders as the scripts write them: `count lease applied endings node`. */
import type { DurationMs } from '../../domain/instant.ts';
import type { Holder, Holders } from '../leases.ts';
import { StoreUnavailable } from '../port.ts';
import { longestOfRows } from './limits.ts';

const ROW = /^(\d{1,15}) (\d{1,15}) (\d{1,15}) (\d{1,15}) (.*)$/;

/** From the number of endings, an answer to `HGETALL`, and names of rows of limits. A row that can't be understood is one that can't be waited for: it throws. */
export const holdersOf = (endings: unknown, reply: unknown, limits: unknown): Holders => {
  const flat = (Array.isArray(reply) ? reply : []).map(String);
  const all = flat.flatMap((text, index): readonly Holder[] => {
    if (index % 2 === 0) return [];
    const [, count, leaseMs, applied, appliedEndings, node] = ROW.exec(text) ?? [];
    if (node === undefined) throw new StoreUnavailable('the row of a lease is damaged: it is not known how long it lasts');
    return [{ holder: flat[index - 1] as string, node, leaseMs: Number(leaseMs) as DurationMs, count: Number(count), applied: Number(applied), appliedEndings: Number(appliedEndings) }];
  });
  const longest = longestOfRows(Array.isArray(limits) ? limits.map(String) : []);
  return { endings: Number(String(endings)), all, ...(longest === undefined ? {} : { longest }) };
};
