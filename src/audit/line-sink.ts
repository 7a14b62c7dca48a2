/**
 * A decision sink that appends lines to a file descriptor.
 *
 * Guaranteed: `write` never throws, never waits, and does no encoding; a line is handed to the kernel in one write together
 * with whole other lines; memory is bounded; what does not fit is counted and declared by a gap line where it is missing;
 * after `close` everything taken was written or is counted in `lost`. Not guaranteed: what a process killed by SIGKILL still
 * held (its supervisor declares that gap), and that lines longer than PIPE_BUF of several processes don't mix on one slow pipe.
 */
import { write as writeCallback, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type { DecisionSink } from '../decision/ports.ts';
import type { DecisionRecord } from '../decision/record.ts';
import { gapText, type Gap, type RecordText } from './encode-record.ts';
import { createLineBytes } from './line-bytes.ts';

const writeFd = promisify(writeCallback);
/** Encoded in one go: for so long a decision may wait. */
const BATCH_RECORDS_MAX = 64;
/** Of the queue; then what was taken is dropped from it. */
const QUEUE_TAKEN_MAX = 1_024;
const RETRY_MS_MAX = 1_000;
const NEWLINE = Buffer.from('\n');

export interface LineSink extends DecisionSink {
  /** Says that records of another process are missing. */
  declareGap(gap: Gap['gap']): void;
  flush(): Promise<void>;
  /** Writes what is left, for at most `withinMs`; then takes no more. */
  close(withinMs: number): Promise<void>;
  /** For a process that is about to die of a fault: writes what is left at once. */
  flushNow(): void;
  /** Records dropped for lack of room, and write attempts that failed. */
  stats(): { readonly dropped: number; readonly failures: number; readonly buffered: number };
}

export interface LineSinkOptions {
  readonly fd: number;
  readonly textOf: RecordText;
  readonly bufferedRecordsMax: number;
  /** Bytes a single write may have; whole lines only, a longer line goes alone. */
  readonly writeBytesMax: number;
  /** The file ends in a torn line: begin on a new one. */
  readonly beginWithNewline?: boolean;
  readonly onFailure?: (error: unknown) => void;
}

type Item = DecisionRecord | Gap;
const isGap = (item: Item): item is Gap => 'gap' in item;

export const createLineSink = (options: LineSinkOptions): LineSink => {
  let queue: Item[] = [];
  let open: { dropped: number; from: number; to: number } | undefined;
  let scheduled = false;
  let running: Promise<void> | undefined;
  let closed = false;
  let torn = options.beginWithNewline ?? false;
  const counts = { dropped: 0, failures: 0 };
  /** How much of the queue was taken. */
  let taken = 0;
  /** Lines encoded, and how many of them were written. */
  let lines = createLineBytes();
  let written = 0;

  const waiting = (): number => queue.length - taken;

  const schedule = (): void => {
    if (scheduled || running !== undefined) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      void flush();
    });
  };

  const settleGap = (): void => {
    if (open === undefined) return;
    queue.push({ version: 1, gap: { dropped: open.dropped, from: open.from, to: open.to, cause: 'buffer full', pid: process.pid } });
    open = undefined;
  };

  const textOf = (item: Item): string => {
    if (isGap(item)) return gapText(item);
    try {
      return options.textOf(item);
    } catch {
      counts.dropped += 1;
      return gapText({ version: 1, gap: { dropped: 1, from: item.now.latest, to: item.now.latest, cause: 'record could not be encoded', pid: process.pid } });
    }
  };

  const encodeMore = (): void => {
    // A write under way may still read from the old bytes.
    if (closed) lines = createLineBytes();
    const texts: string[] = [];
    const upTo = Math.min(queue.length, taken + BATCH_RECORDS_MAX);
    for (; taken < upTo; taken += 1) texts.push(textOf(queue[taken] as Item));
    lines.hold(texts);
    written = 0;
    if (taken < queue.length && taken < QUEUE_TAKEN_MAX) return;
    queue = queue.slice(taken);
    taken = 0;
  };

  /** The next bytes to write: whole lines, at least one. */
  const nextBatch = (): { readonly bytes: Buffer; readonly count: number } | undefined => {
    if (written === lines.ends.length) {
      if (waiting() === 0) settleGap();
      encodeMore();
    }
    const { ends } = lines;
    if (ends.length === 0) return undefined;
    const from = written === 0 ? 0 : (ends[written - 1] as number);
    let upTo = written + 1;
    while (upTo < ends.length && (ends[upTo] as number) - from <= options.writeBytesMax) upTo += 1;
    const bytes = lines.view(from, ends[upTo - 1] as number);
    return { bytes: torn ? Buffer.concat([NEWLINE, bytes]) : bytes, count: upTo - written };
  };

  /** Notes that `size` bytes of `batch` reached the kernel. A torn batch is written again, whole, on a new line. */
  const settle = (batch: { readonly bytes: Buffer; readonly count: number }, size: number): void => {
    torn = size > 0 && size < batch.bytes.length ? true : size === 0 ? torn : false;
    if (size === batch.bytes.length) written += batch.count;
  };

  const pump = async (): Promise<void> => {
    let retryMs = 10;
    for (let batch = nextBatch(); batch !== undefined; batch = nextBatch()) {
      try {
        const { bytesWritten } = await writeFd(options.fd, batch.bytes);
        settle(batch, bytesWritten);
        retryMs = 10;
      } catch (error) {
        const again = (error as NodeJS.ErrnoException).code === 'EAGAIN';
        if (!again) {
          counts.failures += 1;
          options.onFailure?.(error);
        }
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
      if (!closed && (waiting() > 0 || open !== undefined)) schedule();
    });
    return running;
  };

  return {
    write: (record) => {
      if (closed || waiting() >= options.bufferedRecordsMax) {
        counts.dropped += 1;
        const at = record.now.latest;
        open = { dropped: (open?.dropped ?? 0) + 1, from: open?.from ?? at, to: at };
        if (!closed) schedule();
        return;
      }
      settleGap();
      queue.push(record);
      schedule();
    },
    declareGap: (gap) => {
      queue.push({ version: 1, gap });
      schedule();
    },
    flush,
    close: async (withinMs) => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, withinMs);
      });
      await Promise.race([flush(), late]);
      clearTimeout(timer);
      closed = true;
    },
    flushNow: () => {
      closed = true;
      try {
        for (let batch = nextBatch(); batch !== undefined; batch = nextBatch()) settle(batch, writeSync(options.fd, batch.bytes));
      } catch {
        counts.failures += 1;
      }
    },
    stats: () => ({ ...counts, buffered: waiting() + lines.ends.length - written }),
  };
};
