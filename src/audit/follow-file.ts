/** Follows a file of lines, also when it is renamed and begun anew: what was renamed is read to its end first. Memory is bounded by one read. */
import { open, readFile, rename, stat, writeFile, type FileHandle } from 'node:fs/promises';

const NEWLINE = 0x0a;
/** So long processes may go on writing into a file that was renamed: they drain. */
const ROTATED_MS = 15_000;

export interface FollowOptions {
  readonly path: string;
  /** Where it is kept how far the file was read; absent: nowhere. */
  readonly markPath?: string;
  /** Without a mark for this file, only so much of its end is read; absent: all of it. */
  readonly tailBytes?: number;
  readonly readBytesMax: number;
  readonly linesMax: number;
  readonly monotonicMs: () => number;
  readonly rotatedMs?: number | undefined;
  /** A line is longer than what is read at once, and passed over. */
  readonly onTooLong: () => void;
}

export interface FileFollower {
  /** The next whole lines, `undefined` when there are none now; they come again until `done`. */
  next(): Promise<readonly Buffer[] | undefined>;
  done(): Promise<void>;
  close(): Promise<void>;
}

export const followFile = (options: FollowOptions): FileFollower => {
  const { path, markPath, readBytesMax, linesMax, monotonicMs } = options;
  let file: { readonly handle: FileHandle; readonly inode: number } | undefined;
  let offset = 0;
  let read = 0;
  /** Since when there is nothing more in a file that was renamed. */
  let restSinceMs: number | undefined;

  const readMark = async (inode: number, size: number): Promise<number | undefined> => {
    if (markPath === undefined) return undefined;
    try {
      const mark = JSON.parse(await readFile(markPath, 'utf8')) as { readonly inode?: unknown; readonly offset?: unknown };
      return mark.inode === inode && typeof mark.offset === 'number' && mark.offset >= 0 && mark.offset <= size ? mark.offset : undefined;
    } catch {
      return undefined;
    }
  };
  const opened = async (first: boolean): Promise<boolean> => {
    if (file !== undefined) return true;
    const handle = await open(path, 'r').catch(() => undefined);
    if (handle === undefined) return false;
    const { ino, size } = await handle.stat();
    file = { handle, inode: ino };
    offset = (await readMark(ino, size)) ?? (first && options.tailBytes !== undefined ? Math.max(0, size - options.tailBytes) : 0);
    return true;
  };
  let first = true;

  const next = async (): Promise<readonly Buffer[] | undefined> => {
    while (await opened(first)) {
      first = false;
      const { handle, inode } = file as { handle: FileHandle; inode: number };
      // A look at a file that has nothing new costs no buffer.
      const bytes = Buffer.alloc(Math.min(readBytesMax, Math.max(0, (await handle.stat()).size - offset)));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
      const lines: Buffer[] = [];
      read = 0;
      for (let at = bytes.indexOf(NEWLINE); at !== -1 && at < bytesRead && lines.length < linesMax; at = bytes.indexOf(NEWLINE, read)) {
        lines.push(bytes.subarray(read, at));
        read = at + 1;
      }
      if (read === 0 && bytesRead === readBytesMax) {
        options.onTooLong();
        read = bytesRead;
      }
      if (read > 0) {
        restSinceMs = undefined;
        return lines;
      }
      const there = await stat(path).catch(() => undefined);
      // Emptied where it stands.
      if (there?.ino === inode && there.size < offset) offset = 0;
      if (there === undefined || there.ino === inode) return undefined;
      restSinceMs ??= monotonicMs();
      if (monotonicMs() - restSinceMs < (options.rotatedMs ?? ROTATED_MS)) return undefined;
      restSinceMs = undefined;
      await handle.close();
      file = undefined;
    }
    return undefined;
  };
  return {
    next,
    done: async () => {
      offset += read;
      read = 0;
      if (markPath === undefined) return;
      await writeFile(`${markPath}.new`, JSON.stringify({ inode: file?.inode ?? 0, offset }), { mode: 0o600 });
      await rename(`${markPath}.new`, markPath);
    },
    close: async () => {
      await file?.handle.close();
      file = undefined;
    },
  };
};
