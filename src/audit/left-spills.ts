/** Hands on what ended processes left in their spill files, once each, in order; a file is removed when all of it is in the log. */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DecisionLogConfig } from './config.ts';
import { openLogFile } from './open-log-file.ts';
import { fdOutlet } from './outlet.ts';
import { drain, openSpillFile, type SpillFile } from './spill-file.ts';

export interface LeftSpill {
  readonly path: string;
  readonly pid: number;
  readonly chain: string;
}

const NAME = /^(\d{1,10})\.([0-9a-f]{16})\.spill$/;
const TAIL_BYTES_MAX = 16 * 1_048_576;
const LAST_LINES = 4;
const NEWLINE = 0x0a;
/** A process whose supervisor was killed ends by itself; longer than this its number is another's. */
const GONE_TRIES = 100;
const GONE_PAUSE_MS = 50;

export const spillPath = (folder: string, pid: number, chain: string): string => join(folder, `${pid}.${chain}.spill`);

/** `pid`: only of that process. Without the folder there are none. */
export const leftSpills = (folder: string | undefined, pid?: number): readonly LeftSpill[] => {
  if (folder === undefined) return [];
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const [, whose, chain] = NAME.exec(name) ?? [];
    return whose === undefined || chain === undefined || (pid !== undefined && Number(whose) !== pid) ? [] : [{ path: join(folder, name), pid: Number(whose), chain }];
  });
};

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** The last lines of a chain in the end of a log, the last first, with their newlines: the very last may be torn. */
const lastLinesOf = (path: string, chain: string): readonly Buffer[] => {
  const { size } = statSync(path);
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES_MAX));
    readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    const lines: Buffer[] = [];
    let rest = bytes;
    while (lines.length < LAST_LINES) {
      const link = rest.lastIndexOf(`,"link":"${chain}:`);
      if (link === -1) break;
      const start = rest.lastIndexOf(NEWLINE, link) + 1;
      const end = rest.indexOf(NEWLINE, link);
      lines.push(Buffer.concat([rest.subarray(start, end === -1 ? rest.length : end), Buffer.of(NEWLINE)]));
      rest = rest.subarray(0, start);
    }
    return lines;
  } finally {
    closeSync(fd);
  }
};

/** What was written and could not be noted as passed on before a kill is one write at most. */
const passTaken = (file: SpillFile, path: string, chain: string, writeBytesMax: number): void => {
  const bytes = file.next(2 * writeBytesMax);
  if (bytes === undefined) return;
  for (const line of lastLinesOf(path, chain)) {
    const at = bytes.lastIndexOf(line);
    if (at === 0 || (at > 0 && bytes[at - 1] === NEWLINE)) return file.passed(at + line.length);
  }
};

/** Takes as long as the log is slow or refuses. Rejects when a file or the log can't be opened. */
export const drainLeft = async (config: DecisionLogConfig, left: readonly LeftSpill[], onFailure: (error: unknown) => void): Promise<void> => {
  for (const { path, pid, chain } of left) {
    for (let tries = 0; tries < GONE_TRIES && isAlive(pid); tries += 1) await new Promise((resolve) => setTimeout(resolve, GONE_PAUSE_MS).unref());
    const { fd, isFile, torn, writeBytesMax, close } = openLogFile(config);
    try {
      const file = openSpillFile(path, 0, true);
      if (isFile && config.path !== undefined) passTaken(file, config.path, chain, writeBytesMax);
      await drain({ file, outlet: fdOutlet(fd), writeBytesMax, torn, onFailure, onEmpty: file.remove });
    } finally {
      close();
    }
  }
};
