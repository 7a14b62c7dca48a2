/** Finds OPA in the one version this project builds with: on PATH, or through Go as the tool that toolchain/go.mod pins. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const root = dirname(import.meta.dirname);
export const OPA_VERSION = /github\.com\/open-policy-agent\/opa v(\S+)/.exec(readFileSync(join(root, 'toolchain', 'go.mod'), 'utf8'))[1];

const output = (command, args, options) => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options });

const onPath = () => {
  try {
    return output('opa', ['version']).startsWith(`Version: ${OPA_VERSION}\n`) ? 'opa' : undefined;
  } catch {
    return undefined;
  }
};

/** The path of the tool that Go built and cached; building it takes a minute the first time. */
const fromGo = () => {
  try {
    return output('go', ['tool', '-n', 'opa'], { cwd: join(root, 'toolchain') }).trim();
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw new Error(`go could not build OPA ${OPA_VERSION}:\n${error.stderr ?? error.message}`, { cause: error });
  }
};

/** Command to run; throws with what to install when there is none. */
export const findOpa = () => {
  const found = onPath() ?? fromGo();
  if (found !== undefined) return found;
  throw new Error(`needs OPA ${OPA_VERSION}: install Go (https://go.dev/dl) or put that version of opa on PATH`);
};

/** Runs OPA; its own message when it fails. */
export const runOpa = (opa, args, cwd) => {
  try {
    return output(opa, args, { cwd, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    throw new Error(`opa ${args[0]} failed:\n${error.stdout ?? ''}${error.stderr ?? ''}`, { cause: error });
  }
};
