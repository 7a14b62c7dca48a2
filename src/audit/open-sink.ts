/** Opens the configured decision log: a file that is only appended to, or standard output. */
import { closeSync, constants, fchmodSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import type { DecisionLogConfig } from './config.ts';
import { createDecisionChain, type DecisionChain } from './decision-chain.ts';
import { createRecordText } from './encode-record.ts';
import type { LogRules } from './log-rules.ts';
import { createLineSink, type LineSink } from './line-sink.ts';
import { fdOutlet } from './outlet.ts';
import { RANGE_MIN } from './places.ts';

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

export interface OpenOptions {
  /** Decisions are made by this process; otherwise it only declares what others lost. Default true. */
  readonly decides?: boolean;
  /** How long a decision may wait for a place. */
  readonly waitMs?: number;
  readonly onFailure?: (error: unknown) => void;
  /** What the bundle says of the log. */
  readonly rules?: LogRules;
}

interface Begun {
  readonly chain: DecisionChain;
  readonly reserved: number;
}

/** Writes and syncs the chain's first segment at once, so that decisions may begin. Where they wait for nothing anyhow, it may come later. */
const begin = (fd: number, torn: boolean, blocks: boolean): Begun => {
  const chain = createDecisionChain(undefined, !blocks);
  const line = Buffer.from(`${torn ? '\n' : ''}${chain.segment(RANGE_MIN)}\n`);
  try {
    if (writeSync(fd, line) !== line.length) throw new Error('the decision log took only a part of its first line');
    if (fstatSync(fd).isFile()) fdatasyncSync(fd);
    chain.took(torn ? line.subarray(1) : line);
    return { chain, reserved: RANGE_MIN };
  } catch (error) {
    if (blocks) throw error;
    return { chain: createDecisionChain(undefined, !blocks), reserved: 0 };
  }
};

/** Throws when the file can't be opened; a process without its decision log does not start. */
export const openDecisionSink = (config: DecisionLogConfig, { decides = true, waitMs = 0, onFailure, rules }: OpenOptions = {}): LineSink => {
  const path = config.to === 'file' ? config.path : undefined;
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = constants;
  const fd = path === undefined ? 1 : openSync(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
  const isFile = fstatSync(fd).isFile();
  // A device or pipe that the log was pointed at belongs to everybody: closing /dev/null to others would break the machine.
  if (path !== undefined && isFile) fchmodSync(fd, 0o600);
  const torn = path !== undefined && isFile && endsTorn(fd, path);
  const blocks = config.pressure === 'block';
  const begun = decides ? begin(fd, torn, blocks) : undefined;
  return createLineSink({
    outlet: fdOutlet(fd),
    chain: begun?.chain ?? createDecisionChain(),
    textOf: createRecordText({ ...config, ...(rules === undefined ? {} : { rules }) }),
    bufferedRecordsMax: config.bufferedRecordsMax,
    writeBytesMax: isFile ? FILE_WRITE_BYTES_MAX : PIPE_WRITE_BYTES_MAX,
    beginWithNewline: torn && begun?.reserved !== RANGE_MIN,
    ...(begun === undefined ? {} : { reserved: begun.reserved }),
    ...(blocks && decides ? { blockMs: waitMs } : {}),
    ...(onFailure === undefined ? {} : { onFailure }),
  });
};
