/**
 * A bounded file of lines on their way to a decision log that can't take them now. Guaranteed: what `append` took is there, whole, after a kill;
 * it goes on in its order; how far stands in the file's head, so that whoever goes on after a kill begins where it ended, or one write before.
 */
import { closeSync, constants, fdatasync, fstatSync, ftruncateSync, openSync, readSync, unlinkSync, write as writeCallback, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Outlet } from './outlet.ts';

const HEAD_BYTES = 16;
const NEWLINE = 0x0a;
const RETRY_MS_MAX = 1_000;
const writeFd = promisify(writeCallback);
const syncFd = promisify(fdatasync);

export interface SpillFile {
  /** Rejects, and takes nothing, beyond the bound or when the disk has no room for all of it. */
  append(bytes: Buffer): Promise<void>;
  /** The same at once, for a process that is about to end. */
  appendNow(bytes: Buffer): void;
  sync(): Promise<void>;
  /** Whole lines that have not gone on, about as many bytes or one line; `undefined` when there are none. */
  next(bytesMax: number): Buffer | undefined;
  /** So many bytes went on. */
  passed(count: number): void;
  /** Bytes of lines that have not gone on. */
  readonly waiting: number;
  /** Nothing is left, and nothing is being added. */
  readonly empty: boolean;
  /** Removes the file. */
  remove(): void;
}

const headOf = (at: number): string => `${String(at).padStart(HEAD_BYTES - 1, '0')}\n`;

/** Opens what another process left, up to its last whole line, or makes a new file, which must not be there. Throws when it can't. */
export const openSpillFile = (path: string, bytesMax: number, left = false): SpillFile => {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;
  const fd = openSync(path, O_RDWR | O_NOFOLLOW | (left ? 0 : O_CREAT | O_EXCL), 0o600);
  let at = HEAD_BYTES;
  let size = HEAD_BYTES;
  let adding = 0;

  const readAt = (from: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, from));
  };
  const mark = (): void => void writeSync(fd, headOf(at), 0, 'latin1');
  const room = (length: number): void => {
    if (size - HEAD_BYTES + length > bytesMax) throw new Error('the spill file of the decision log is full');
  };
  /** Parts of lines are taken back: the disk is full. */
  const settle = (taken: number, length: number): void => {
    if (taken === length) size += length;
    else {
      ftruncateSync(fd, size);
      throw new Error('the disk of the spill file is full');
    }
  };
  /** Lines are searched for their end from the end. */
  const lastLine = (end: number): number => {
    for (let to = end; to > HEAD_BYTES; to -= 65_536) {
      const from = Math.max(HEAD_BYTES, to - 65_536);
      const found = readAt(from, to - from).lastIndexOf(NEWLINE);
      if (found !== -1) return from + found + 1;
    }
    return HEAD_BYTES;
  };

  try {
    if (left) {
      size = lastLine(fstatSync(fd).size);
      const said = Number(readAt(0, HEAD_BYTES - 1).toString('latin1'));
      // A head that was never written: from the start.
      at = Number.isSafeInteger(said) && said >= HEAD_BYTES && said <= size ? said : HEAD_BYTES;
    } else mark();
  } catch (error) {
    closeSync(fd);
    throw error;
  }

  return {
    append: async (bytes) => {
      room(bytes.length);
      adding += 1;
      try {
        settle((await writeFd(fd, bytes, 0, bytes.length, size)).bytesWritten, bytes.length);
      } finally {
        adding -= 1;
      }
    },
    appendNow: (bytes) => {
      room(bytes.length);
      settle(writeSync(fd, bytes, 0, bytes.length, size), bytes.length);
    },
    sync: () => syncFd(fd),
    next: (bytesMaxNow) => {
      for (let length = bytesMaxNow; at < size; length *= 2) {
        const bytes = readAt(at, Math.min(length, size - at));
        const end = bytes.lastIndexOf(NEWLINE) + 1;
        if (end > 0) return bytes.subarray(0, end);
        if (bytes.length < length) throw new Error('the spill file of the decision log was cut off');
      }
      return undefined;
    },
    passed: (count) => {
      at += count;
      mark();
    },
    get waiting() {
      return size - at;
    },
    get empty() {
      return at === size && adding === 0;
    },
    remove: () => {
      closeSync(fd);
      unlinkSync(path);
    },
  };
};

export interface DrainOptions {
  readonly file: SpillFile;
  readonly outlet: Outlet;
  readonly writeBytesMax: number;
  /** The outlet ends in a torn line. */
  readonly torn?: boolean;
  /** The first bytes of the file are being written already. */
  readonly begun?: { readonly bytes: Buffer; readonly taken: Promise<number> } | undefined;
  readonly onFailure: (error: unknown) => void;
  /** In the same turn as the file is found empty, so that nothing is added between. */
  readonly onEmpty: () => void;
}

/** Hands everything on, in order, however long that takes; of a torn line the whole comes again on a new one. Resolves with nothing left, synced; never rejects. */
export const drain = async ({ file, outlet, writeBytesMax, torn: tornBefore = false, begun, onFailure, onEmpty }: DrainOptions): Promise<void> => {
  let torn = tornBefore;
  let retryMs = 10;
  let first = begun;
  for (;;) {
    try {
      const bytes = first?.bytes ?? file.next(writeBytesMax);
      if (bytes === undefined) {
        // On disk there before it is gone here.
        await outlet.sync();
        if (torn && (await outlet.write(Buffer.of(NEWLINE))) === 0) continue;
        torn = false;
        if (file.empty) {
          onEmpty();
          return;
        }
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      const taking = first?.taken ?? outlet.write(torn ? Buffer.concat([Buffer.of(NEWLINE), bytes]) : bytes);
      const prefix = torn && first === undefined ? 1 : 0;
      first = undefined;
      const written = await taking;
      if (written === 0) continue;
      const reached = written - prefix;
      // A line that lacks its newline alone is not to come again.
      const whole = reached === 0 ? 0 : bytes[reached] === NEWLINE ? reached + 1 : bytes.lastIndexOf(NEWLINE, reached - 1) + 1;
      torn = reached !== whole;
      file.passed(whole);
      retryMs = 10;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') onFailure(error);
      const wait = retryMs;
      await new Promise((resolve) => setTimeout(resolve, wait).unref());
      retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
    }
  }
};
