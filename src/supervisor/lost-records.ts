/** Declares what ended processes still held of the decision log, as far as the log itself tells. */
import type { LineSink } from '../audit/line-sink.ts';
import { drainLeft, leftSpills, type LeftSpill } from '../audit/left-spills.ts';
import { openEnds } from '../audit/open-ends.ts';
import type { Config } from '../config/schema.ts';

/**
 * At most what was reserved, where decisions waited for that; otherwise of unknown size. `pid`: of that process; absent: of all whose chains are open. A process without an open chain has lost nothing; where the log can't be
 * read, a gap of unknown size is declared for a `pid`. Never rejects.
 */
const declareEnds = async (sink: LineSink, { decisionLog: { to, path } }: Config, cause: string, pid: number | undefined, asked: (chain: string) => boolean): Promise<void> => {
  const unknown = (): void => {
    if (pid !== undefined) sink.declareGap({ dropped: null, cause, pid });
  };
  if (to !== 'file' || path === undefined) return unknown();
  try {
    const ends = (await openEnds(path)).filter((end) => (pid === undefined || end.pid === pid) && asked(end.chain));
    for (const { chain, pid: whose, after, to: reserved, ahead } of ends) {
      sink.declareGap({ dropped: null, cause, pid: whose, chain, after, ...(ahead ? {} : { droppedMax: Math.max(0, reserved - after) }) });
    }
    if (ends.length === 0) unknown();
  } catch {
    unknown();
  }
};

let spills: Promise<void> = Promise.resolve();
/** One after another: each file has one reader. */
const inTurn = (what: () => Promise<void>): Promise<void> => {
  spills = spills.then(what);
  return spills;
};

/**
 * What an ended process left in its spill file is handed on first, which takes as long as the log takes nothing; only without such files does this
 * wait for the declaration. At the start, without a `pid`, call it before any worker begins. Never rejects.
 */
export const declareLost = async (sink: LineSink, config: Config, cause: string, onFailure: (error: unknown) => void, pid?: number): Promise<void> => {
  const { spill } = config.decisionLog;
  const left = leftSpills(spill?.path, pid);
  const chains = new Set(left.map(({ chain }) => chain));
  if (pid === undefined || left.length === 0) await declareEnds(sink, config, cause, pid, (chain) => !chains.has(chain));
  if (left.length > 0) void handOn(config, onFailure, pid, left).then(() => declareEnds(sink, config, cause, pid, (chain) => pid !== undefined || chains.has(chain)));
};

/** Of a process that ended as it should, too. Never rejects. */
export const handOn = (config: Config, onFailure: (error: unknown) => void, pid?: number, left?: readonly LeftSpill[]): Promise<void> =>
  inTurn(async () => {
    try {
      // What another call has handed on meanwhile is not there any more.
      const there = leftSpills(config.decisionLog.spill?.path, pid);
      await drainLeft(config.decisionLog, there.filter(({ chain }) => left === undefined || left.some((one) => one.chain === chain)), onFailure);
    } catch (error) {
      onFailure(error);
    }
  });
