/** Opens where decision records go: a file that is only appended to and that only its owner can read, or standard output. */
import { closeSync, constants, fchmodSync, fstatSync, openSync, readSync } from 'node:fs';
import type { DecisionLogConfig } from './config.ts';

const FILE_WRITE_BYTES_MAX = 1_048_576;
/** POSIX: a write of at most PIPE_BUF bytes to a pipe is not mixed with others'. */
const PIPE_WRITE_BYTES_MAX = 4_096;

const endsTorn = (fd: number, path: string): boolean => {
  const { size } = fstatSync(fd);
  if (size === 0) return false;
  const reader = openSync(path, constants.O_RDONLY);
  try {
    const last = Buffer.alloc(1);
    readSync(reader, last, 0, 1, size - 1);
    return last[0] !== 0x0a;
  } finally {
    closeSync(reader);
  }
};

export interface LogFile {
  readonly fd: number;
  readonly isFile: boolean;
  /** It ends in a part of a line. */
  readonly torn: boolean;
  readonly writeBytesMax: number;
  /** Standard output stays open. */
  close(): void;
}

/** Throws when it can't be opened. */
export const openLogFile = (config: DecisionLogConfig): LogFile => {
  const path = config.to === 'file' ? config.path : undefined;
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = constants;
  const fd = path === undefined ? 1 : openSync(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
  const isFile = fstatSync(fd).isFile();
  // A device or pipe that the log was pointed at belongs to everybody: closing /dev/null to others would break the machine.
  if (path !== undefined && isFile) fchmodSync(fd, 0o600);
  return {
    fd, isFile,
    torn: path !== undefined && isFile && endsTorn(fd, path),
    writeBytesMax: isFile ? FILE_WRITE_BYTES_MAX : PIPE_WRITE_BYTES_MAX,
    close: () => { if (path !== undefined) closeSync(fd); },
  };
};
