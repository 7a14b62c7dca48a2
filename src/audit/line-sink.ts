/**
 * A decision sink that appends lines to an outlet.
 *
 * Guaranteed: `write` never throws, never waits, and does no encoding; a line is handed on in one write together with whole other
 * lines; memory is bounded; what does not fit is counted and declared by a gap line where it is missing; with a chain, every
 * line is linked, and what is reserved is synced before it counts; after `close` everything taken was written or is counted. Not
 * guaranteed: what a process killed by SIGKILL still held (the chain's last segment declares that gap), and that lines longer
 * than PIPE_BUF of several processes don't mix on one slow pipe.
 */
import type { DecisionSink } from '../decision/ports.ts';
import type { DecisionChain } from './decision-chain.ts';
import type { Gap } from './encode-record.ts';
import { createLineQueue, type Batch, type LineText } from './line-queue.ts';
import type { Outlet } from './outlet.ts';
import { createPlaces } from './places.ts';

const RETRY_MS_MAX = 1_000;
const TICK_MS = 1_000;
const SEAL_TICKS = 5;
const NEWLINE = Buffer.from('\n');

export interface LineSink extends DecisionSink {
  place(): Promise<boolean> | undefined;
  notEmitted(decision: string): void;
  /** Says that records of another process are missing. */
  declareGap(gap: Gap['gap']): void;
  flush(): Promise<void>;
  /** Writes what is left, for at most `withinMs`; then takes no more. */
  close(withinMs: number): Promise<void>;
  /** For a process that is about to die of a fault: writes what is left at once. */
  flushNow(): void;
  /** Records dropped for lack of room, write attempts that failed, records that wait in memory, and bytes that wait in a spill file. */
  stats(): { readonly dropped: number; readonly failures: number; readonly buffered: number; readonly spilledBytes: number };
}

export interface LineSinkOptions {
  readonly outlet: Outlet;
  readonly textOf: LineText;
  readonly bufferedRecordsMax: number;
  /** Bytes a single write may have; whole lines only, a longer line goes alone. */
  readonly writeBytesMax: number;
  readonly chain?: DecisionChain;
  /** Absent: what does not fit is dropped and counted. Decisions wait so long for a place. */
  readonly blockMs?: number;
  /** So many decisions are reserved already; absent: none are made here. */
  readonly reserved?: number;
  /** The file ends in a torn line: begin on a new one. */
  readonly beginWithNewline?: boolean;
  readonly onFailure?: (error: unknown) => void;
}

export const createLineSink = (options: LineSinkOptions): LineSink => {
  const { outlet, chain, bufferedRecordsMax } = options;
  let open: { dropped: number; from: number; to: number } | undefined;
  let scheduled = false;
  let running: Promise<void> | undefined;
  let closed = false;
  let torn = options.beginWithNewline ?? false;
  const counts = { dropped: 0, failures: 0 };
  /** The batch under way, how many of its lines were written, and what it reserves that is not synced yet. */
  let batch: Batch | undefined;
  let written = 0;
  let reserving: number | undefined;
  let segmentQueued = false;

  const schedule = (): void => {
    if (scheduled || running !== undefined) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      void flush();
    });
  };
  const failed = (error: unknown): void => {
    counts.failures += 1;
    options.onFailure?.(error);
  };

  const queueSegment = (isLast = false): void => {
    if (chain === undefined || (segmentQueued && !isLast)) return;
    segmentQueued = true;
    queue.push({ segment: { closed: isLast } });
    schedule();
  };
  const places = createPlaces({ blocks: options.blockMs !== undefined, max: bufferedRecordsMax, waitMs: options.blockMs ?? 0, onWant: () => queueSegment() });
  if (options.reserved !== undefined) places.reserved(options.reserved);
  const queue = createLineQueue({
    textOf: options.textOf, chain,
    wanted: () => (options.reserved === undefined ? 0 : places.wanted()),
    onUnencoded: () => { counts.dropped += 1; },
  });
  let ticks = 0;
  const timer = chain && setInterval(() => {
    ticks += 1;
    places.measure();
    if (chain.open && ticks % SEAL_TICKS === 0) queueSegment();
  }, TICK_MS).unref();

  const settleGap = (): void => {
    if (open === undefined) return;
    queue.push({ version: 1, gap: { dropped: open.dropped, from: open.from, to: open.to, cause: 'buffer full', pid: process.pid } });
    open = undefined;
  };

  const startOf = (line: number): number => (line === 0 ? 0 : (batch?.lines.ends[line - 1] as number));

  /** The next bytes to write: whole lines, at least one. */
  const nextBytes = (): Buffer | undefined => {
    if (batch === undefined || written === batch.lines.ends.length) {
      if (queue.waiting === 0) settleGap();
      // A write under way may still read from the old bytes.
      batch = queue.encode(closed);
      written = 0;
      if (batch.reserves !== undefined) {
        segmentQueued = false;
        reserving = batch.reserves;
      }
    }
    const { ends } = batch.lines;
    if (ends.length === 0) return undefined;
    const from = startOf(written);
    let upTo = written + 1;
    while (upTo < ends.length && (ends[upTo] as number) - from <= options.writeBytesMax) upTo += 1;
    const bytes = batch.lines.view(from, ends[upTo - 1] as number);
    return torn ? Buffer.concat([NEWLINE, bytes]) : bytes;
  };

  /** Notes that `size` bytes got there. Of what was torn the rest is written again, from the line that was torn, on a new line. */
  const settle = (size: number): void => {
    if (batch === undefined || size === 0) return;
    const reached = startOf(written) + size - (torn ? 1 : 0);
    let finished = 0;
    // A line that lacks its newline alone is not to come again: the newline is what comes next.
    for (; written < batch.lines.ends.length && startOf(written + 1) <= reached + 1; written += 1) finished += batch.finishes[written] as number;
    torn = reached !== startOf(written);
    if (finished > 0) places.done(finished);
  };

  /** What is reserved counts once it is on disk. */
  const reserve = (): void => {
    if (reserving === undefined || written === 0) return;
    const to = reserving;
    reserving = undefined;
    outlet.sync().then(() => places.reserved(to), (error: unknown) => {
      failed(error);
      if (!closed) setTimeout(queueSegment, RETRY_MS_MAX).unref();
    });
  };

  const pump = async (): Promise<void> => {
    let retryMs = 10;
    for (let bytes = nextBytes(); bytes !== undefined; bytes = nextBytes()) {
      try {
        settle(await outlet.write(bytes));
        reserve();
        retryMs = 10;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') failed(error);
        const wait = retryMs;
        await new Promise((resolve) => setTimeout(resolve, wait).unref());
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
        // The descriptor may belong to someone else by now.
        if (closed) return;
      }
    }
  };

  const flush = (): Promise<void> => {
    running ??= pump().finally(() => {
      running = undefined;
      if (!closed && (queue.waiting > 0 || open !== undefined)) schedule();
    });
    return running;
  };
  let ended = false;
  /** Nothing more is taken but what stands here. */
  const end = (): void => {
    if (ended) return;
    ended = true;
    clearInterval(timer);
    settleGap();
    if (chain !== undefined && (chain.open || chain.through > 0 || queue.waiting > 0)) queueSegment(true);
  };

  return {
    place: places.take,
    write: (record) => {
      const unplaced = record.result.reason === 'decision.unrecorded';
      if (closed || unplaced || queue.waiting >= bufferedRecordsMax) {
        counts.dropped += 1;
        const at = record.now.latest;
        open = { dropped: (open?.dropped ?? 0) + 1, from: open?.from ?? at, to: at };
        if (!unplaced) places.done(1);
        if (!closed) schedule();
        return;
      }
      settleGap();
      queue.push(record);
      schedule();
    },
    notEmitted: (decision) => {
      if (closed || queue.waiting >= 2 * bufferedRecordsMax) return;
      queue.push({ version: 1, not_emitted: { decision } });
      schedule();
    },
    declareGap: (gap) => {
      if (chain !== undefined && !chain.open) queueSegment();
      queue.push({ version: 1, gap });
      schedule();
    },
    flush,
    close: async (withinMs) => {
      end();
      let late: NodeJS.Timeout | undefined;
      const expired = new Promise<void>((resolve) => {
        late = setTimeout(resolve, withinMs);
      });
      await Promise.race([flush(), expired]);
      clearTimeout(late);
      closed = true;
    },
    flushNow: () => {
      if (closed) return;
      end();
      closed = true;
      try {
        for (let bytes = nextBytes(); bytes !== undefined; bytes = nextBytes()) settle(outlet.writeNow(bytes));
      } catch {
        counts.failures += 1;
      }
    },
    stats: () => ({ ...counts, buffered: queue.waiting + (batch === undefined ? 0 : batch.lines.ends.length - written), spilledBytes: outlet.spilled?.() ?? 0 }),
  };
};
