// Builds the previous version from this repository's history and runs it beside this one: npm run test:rolling [-- <commit or tag>]
// Without a name it is the last tag, or where there is none yet the commit before fleets could be backed up and answer from memory.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const BEFORE_THE_FIRST_TAG = 'd79dd32';

const run = (command, args, cwd = root, env = process.env) => {
  const { status, error } = spawnSync(command, args, { cwd, env, stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) {
    process.exitCode = status ?? 1;
    throw new Error(`${command} ${args.join(' ')} failed`);
  }
};

const tag = spawnSync('git', ['describe', '--tags', '--abbrev=0'], { cwd: root, encoding: 'utf8' });
const name = process.argv[2] ?? (tag.status === 0 ? tag.stdout.trim() : BEFORE_THE_FIRST_TAG);
const folder = join(root, '.cache', `previous-${name.replaceAll('/', '-')}`);
if (!existsSync(join(folder, 'dist', 'main.js'))) {
  mkdirSync(join(root, '.cache'), { recursive: true });
  if (!existsSync(folder)) run('git', ['worktree', 'add', '--detach', folder, name]);
  if (!existsSync(join(folder, 'node_modules'))) symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.build.json'], folder);
}
run(join(root, 'node_modules', '.bin', 'vitest'), ['run', '--config', 'vitest.slow.config.ts', 'test/fleet/rolling.slow.ts'], root, { ...process.env, CURFEW_TEST_PREVIOUS: join(folder, 'dist', 'main.js') });
