// Gets the Debian packages whose programs the tests start for themselves: nginx, Caddy, HAProxy, Redis, strace, OpenSSL, promtool, a C compiler.
// Installs what is missing when run as root on Debian or Ubuntu; otherwise prints the command that does. Services are not wanted
// and not started where the system honours that. Run: node scripts/get-debian-packages.mjs
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAMS = new Map([['nginx', 'nginx'], ['caddy', 'caddy'], ['haproxy', 'haproxy'], ['redis-server', 'redis-server'], ['strace', 'strace'], ['openssl', 'openssl'], ['promtool', 'prometheus'], ['cc', 'gcc libc6-dev']]);

const isThere = (program) =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin'].some((folder) => existsSync(join(folder, program)));

export const missingPackages = () => [...PROGRAMS].filter(([program]) => !isThere(program)).flatMap(([, names]) => names.split(' '));

export const installCommand = (packages) => `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;

const aptGet = (args) => {
  const { status, stderr, error } = spawnSync('apt-get', args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    // RUNLEVEL 1 keeps packages from starting their services (invoke-rc.d).
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  });
  if (status !== 0) throw new Error(`apt-get ${args[0]} failed: ${(error?.message ?? stderr ?? '').trim().split('\n').at(-1)}`);
};

/** Gives the packages that are still missing; empty when all is there. */
export const getDebianPackages = (say = (line) => process.stdout.write(`${line}\n`)) => {
  const missing = missingPackages();
  if (missing.length === 0) {
    say(`${[...PROGRAMS.values()].join(', ')}: there`);
    return [];
  }
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) {
    say(`missing: ${missing.join(', ')}; as root on Debian or Ubuntu: ${installCommand(missing)}`);
    return missing;
  }
  say(`installing ${missing.join(', ')}`);
  try {
    aptGet(['update', '-qq']);
    aptGet(['install', '-y', '-qq', '--no-install-recommends', ...missing]);
  } catch (error) {
    say(error.message);
  }
  const left = missingPackages();
  say(left.length === 0 ? 'installed' : `still missing: ${left.join(', ')}; try: ${installCommand(left)}`);
  return left;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = getDebianPackages().length === 0 ? 0 : 1;
