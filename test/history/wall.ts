/** The wall clock of a process under test, set by libfaketime or a library of our own: its monotonic clock goes on as it is. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
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
  const set = (seconds: number): void => {
    writeFileSync(`${file}.next`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    // All at once: a process that reads it meanwhile must not find it empty.
    renameSync(`${file}.next`, file);
  };
  set(0);
  return {
    env: { LD_PRELOAD: requirePart('libfaketime'), FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', DONT_FAKE_MONOTONIC: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
    set,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
};

/**
 * The same by a library of our own (`server-wall.c`); `undefined` where there is no C compiler to build it. Of Redis servers, and rather of nodes too:
 * once a process of a node under libfaketime read a wall that was off by seconds as it began, and told no time that could be trusted.
 */
export const createBuiltWall = (): Wall | undefined => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-server-wall-'));
  const [library, file] = [join(folder, 'wall.so'), join(folder, 'ahead')];
  const set = (seconds: number): void => {
    const micros = Buffer.alloc(8);
    micros.writeBigInt64LE(BigInt(Math.round(seconds * 1_000_000)));
    // In place: the server has it mapped.
    const open = openSync(file, 'r+');
    writeSync(open, micros, 0, 8, 0);
    closeSync(open);
  };
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  writeFileSync(file, Buffer.alloc(8));
  if (spawnSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, join(import.meta.dirname, 'server-wall.c')]).status !== 0) {
    remove();
    return undefined;
  }
  return { env: { LD_PRELOAD: library, SERVER_WALL: file }, set, remove };
};
