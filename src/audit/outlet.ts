/** Where encoded lines of a decision log go. */
import { fdatasync, write as writeCallback, writeSync } from 'node:fs';
import { promisify } from 'node:util';

export interface Outlet {
  /** Resolves to how many of the bytes were taken; rejects when none could be. */
  write(bytes: Buffer): Promise<number>;
  /** The same at once, for a process that is about to end. */
  writeNow(bytes: Buffer): number;
  /** Bytes that were taken and wait in a file of this process; absent: none ever do. */
  readonly spilled?: () => number;
  /** Resolves when what was written survives a crash of the machine, as far as the place can promise that at all. */
  sync(): Promise<void>;
}

const writeFd = promisify(writeCallback);
const syncFd = promisify(fdatasync);
/** Pipes and devices can't be synced. */
const NOT_A_FILE = new Set(['EINVAL', 'ENOTSUP', 'EROFS']);

export const fdOutlet = (fd: number): Outlet => ({
  write: async (bytes) => (await writeFd(fd, bytes)).bytesWritten,
  writeNow: (bytes) => writeSync(fd, bytes),
  sync: async () => {
    try {
      await syncFd(fd);
    } catch (error) {
      if (!NOT_A_FILE.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  },
});
