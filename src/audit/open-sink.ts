/** Opens the configured decision log: a file that is only appended to, or standard output. */
import { fdatasyncSync, fstatSync, mkdirSync, writeSync } from 'node:fs';
import type { DecisionLogConfig } from './config.ts';
import { createDecisionChain, type DecisionChain } from './decision-chain.ts';
import { createRecordText } from './encode-record.ts';
import type { LogRules } from './log-rules.ts';
import { spillPath } from './left-spills.ts';
import { createLineSink, type LineSink } from './line-sink.ts';
import { openLogFile } from './open-log-file.ts';
import { fdOutlet, type Outlet } from './outlet.ts';
import { RANGE_MIN } from './places.ts';
import { createSpillOutlet } from './spill-outlet.ts';

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

const spilling = (outlet: Outlet, chain: string, { spill, pressure }: DecisionLogConfig, writeBytesMax: number, onFailure: (error: unknown) => void): Outlet => {
  if (pressure !== 'spill' || spill === undefined) return outlet;
  mkdirSync(spill.path, { recursive: true, mode: 0o700 });
  return createSpillOutlet({ outlet, path: spillPath(spill.path, process.pid, chain), bytesMax: spill.bytesMax, writeBytesMax, onFailure });
};

/** Throws when the file can't be opened; a process without its decision log does not start. */
export const openDecisionSink = (config: DecisionLogConfig, { decides = true, waitMs = 0, onFailure, rules }: OpenOptions = {}): LineSink => {
  const { fd, torn, writeBytesMax } = openLogFile(config);
  const blocks = config.pressure === 'block';
  const begun = decides ? begin(fd, torn, blocks) : undefined;
  const chain = begun?.chain ?? createDecisionChain();
  return createLineSink({
    outlet: decides ? spilling(fdOutlet(fd), chain.id, config, writeBytesMax, onFailure ?? (() => undefined)) : fdOutlet(fd),
    chain,
    textOf: createRecordText({ ...config, ...(rules === undefined ? {} : { rules }) }),
    bufferedRecordsMax: config.bufferedRecordsMax,
    writeBytesMax,
    beginWithNewline: torn && begun?.reserved !== RANGE_MIN,
    ...(begun === undefined ? {} : { reserved: begun.reserved }),
    ...(blocks && decides ? { blockMs: waitMs } : {}),
    ...(onFailure === undefined ? {} : { onFailure }),
  });
};
