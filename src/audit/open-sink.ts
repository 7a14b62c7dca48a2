/** Opens the configured decision log: a file that is only appended to, or standard output. */
import { closeSync, constants, fchmodSync, fstatSync, openSync, readSync } from 'node:fs';
import type { DecisionLogConfig } from './config.ts';
import { createRecordText } from './encode-record.ts';
import { createLineSink, type LineSink } from './line-sink.ts';

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

/** Throws when the file can't be opened; a process without its decision log does not start. */
export const openDecisionSink = (config: DecisionLogConfig, onFailure?: (error: unknown) => void): LineSink => {
  const common = {
    textOf: createRecordText(config),
    bufferedRecordsMax: config.bufferedRecordsMax,
    ...(onFailure === undefined ? {} : { onFailure }),
  };
  if (config.to === 'stdout' || config.path === undefined) {
    return createLineSink({ ...common, fd: 1, writeBytesMax: fstatSync(1).isFile() ? FILE_WRITE_BYTES_MAX : PIPE_WRITE_BYTES_MAX });
  }
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = constants;
  const fd = openSync(config.path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
  // A device or pipe that the log was pointed at belongs to everybody: closing /dev/null to others would break the machine.
  if (fstatSync(fd).isFile()) fchmodSync(fd, 0o600);
  return createLineSink({ ...common, fd, writeBytesMax: FILE_WRITE_BYTES_MAX, beginWithNewline: endsTorn(fd, config.path) });
};
