/** The wall clock of a process under test, set by libfaketime: its monotonic clock goes on as it is. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requirePart } from '../parts.ts';

export interface Wall {
  /** For the process and its children. */
  readonly env: Readonly<Record<string, string>>;
  /** From now on it is ahead by this many seconds; negative: behind. */
  set(seconds: number): void;
  remove(): void;
}

export const createWall = (): Wall => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-wall-'));
  const file = join(folder, 'offset');
  const set = (seconds: number): void => writeFileSync(file, `${seconds < 0 ? '' : '+'}${seconds}\n`);
  set(0);
  return {
    env: { LD_PRELOAD: requirePart('libfaketime'), FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', DONT_FAKE_MONOTONIC: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
    set,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
};
