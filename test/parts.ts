/**
 * Parts that tests need and that npm does not bring: a real Envoy, nginx, Redis, a Go toolchain. `npm test` gets them first.
 * With `CI=true` a missing part fails the suites that need it; elsewhere they are skipped, and the closing line counts them.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'vitest';

export const repositoryRoot = fileURLToPath(new URL('..', import.meta.url));

const onPath = (program: string): string | undefined =>
  [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin']
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));

const inVenv = (): string | undefined => {
  const lib = join(repositoryRoot, '.cache/envoy-venv/lib');
  for (const minor of [11, 12, 13, 14, 15, 10, 9]) {
    const path = join(lib, `python3.${minor}/site-packages/envoy/_bin/envoy`);
    if (existsSync(path)) return path;
  }
  return undefined;
};

const parts = {
  envoy: { find: () => process.env['CURFEW_TEST_ENVOY'] ?? inVenv() ?? onPath('envoy'), get: 'node scripts/get-envoy.mjs' },
  nginx: { find: () => onPath('nginx'), get: 'node scripts/get-debian-packages.mjs' },
  caddy: { find: () => onPath('caddy'), get: 'node scripts/get-debian-packages.mjs' },
  haproxy: { find: () => onPath('haproxy'), get: 'node scripts/get-debian-packages.mjs' },
  // CURFEW_TEST_REDIS: another version, or Valkey.
  redis: { find: () => process.env['CURFEW_TEST_REDIS'] ?? onPath('redis-server'), get: 'node scripts/get-debian-packages.mjs' },
  strace: { find: () => onPath('strace'), get: 'node scripts/get-debian-packages.mjs' },
  go: { find: () => onPath('go'), get: 'an installation of Go' },
  promtool: { find: () => onPath('promtool'), get: 'node scripts/get-debian-packages.mjs' },
  // A C compiler: builds the small library that sets the wall clock of one process.
  cc: { find: () => onPath('cc'), get: 'node scripts/get-debian-packages.mjs' },
  openssl: { find: () => onPath('openssl'), get: 'node scripts/get-debian-packages.mjs' },
} as const;

export type Part = keyof typeof parts;

/** Path of the program, or `undefined` when this machine does not have it. */
export const findPart = (part: Part): string | undefined => parts[part].find();

/** Path of the program; throws when it is missing. Call it inside a suite made by `describeWith`. */
export const requirePart = (part: Part): string => {
  const path = findPart(part);
  if (path === undefined) throw new Error(`${part} is missing; get it with: ${parts[part].get}`);
  return path;
};

/** A suite that needs real parts. */
export const describeWith = (needed: readonly Part[], name: string, body: () => void | Promise<void>): void => {
  const missing = needed.filter((part) => findPart(part) === undefined);
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const why = missing.map((part) => `${part} is missing (${parts[part].get})`).join(', ');
  if (process.env['CI'] === 'true') {
    describe(name, () => {
      test(`needs its parts: ${why}`, () => {
        throw new Error(why);
      });
    });
    return;
  }
  // The body still runs, so that every test of the suite is counted as skipped, by name.
  describe.skip(`${name} [${why}]`, body);
};
