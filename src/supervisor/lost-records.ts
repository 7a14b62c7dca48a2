/** Declares what ended processes still held of the decision log, as far as the log itself tells. */
import type { LineSink } from '../audit/line-sink.ts';
import { openEnds } from '../audit/open-ends.ts';
import type { Config } from '../config/schema.ts';

/**
 * At most what was reserved, where decisions waited for that; otherwise of unknown size. `pid`: of that process; absent: of all whose chains are open. A process without an open chain has lost nothing; where the log can't be
 * read, a gap of unknown size is declared for a `pid`. Never rejects.
 */
export const declareLost = async (sink: LineSink, { decisionLog: { to, path } }: Config, cause: string, pid?: number): Promise<void> => {
  const unknown = (): void => {
    if (pid !== undefined) sink.declareGap({ dropped: null, cause, pid });
  };
  if (to !== 'file' || path === undefined) return unknown();
  try {
    const ends = (await openEnds(path)).filter((end) => pid === undefined || end.pid === pid);
    for (const { chain, pid: whose, after, to: reserved, ahead } of ends) {
      sink.declareGap({ dropped: null, cause, pid: whose, chain, after, ...(ahead ? {} : { droppedMax: Math.max(0, reserved - after) }) });
    }
    if (ends.length === 0) unknown();
  } catch {
    unknown();
  }
};
