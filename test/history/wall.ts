/** The wall clock of a process under test, set by a preloaded library: its monotonic clock goes on as it is. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
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

/** By a library of our own (`server-wall.c`): libfaketime does not go together with Redis's memory allocator. */
export const createWall = (): Wall => {
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
  const built = spawnSync(requirePart('cc'), ['-O2', '-shared', '-fPIC', '-o', library, join(import.meta.dirname, 'server-wall.c')], { encoding: 'utf8' });
  if (built.status !== 0) {
    remove();
    throw new Error(`server-wall.c can not be built: ${built.error?.message ?? built.stderr}`);
  }
  return { env: { LD_PRELOAD: library, SERVER_WALL: file }, set, remove };
};
