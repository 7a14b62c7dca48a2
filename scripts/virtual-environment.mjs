// Makes a virtual environment with one pinned package from PyPI in it, whole or not at all.
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** `venv` takes the place of what was there; throws with the command that failed. */
export const makeVirtualEnvironment = (venv, requirement, options = []) => {
  // Made beside its place and moved there whole, so that an interrupted run leaves nothing half done.
  const half = `${venv}.${process.pid}`;
  mkdirSync(dirname(venv), { recursive: true });
  try {
    const steps = [
      ['python3', ['-m', 'venv', '--copies', half]],
      [join(half, 'bin', 'python3'), ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--only-binary', ':all:', ...options, requirement]],
    ];
    for (const [command, args] of steps) {
      const { status, stderr, error } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
      if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${(error?.message ?? stderr ?? '').trim().split('\n').at(-1)}`);
    }
    rmSync(venv, { recursive: true, force: true });
    renameSync(half, venv);
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
};
