// Schemathesis (PyPI, got into .cache/) against the admin API of a real node and against what its decision listener serves, by their documents. Exit code 1 on any finding.
// Run: npm run test:schemathesis; CURFEW_TEST_EXAMPLES (30) examples an operation, CURFEW_TEST_SEED (1).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeVirtualEnvironment } from './virtual-environment.mjs';

const VERSION = '4.32.5';
const root = fileURLToPath(new URL('..', import.meta.url));
const venv = join(root, '.cache', `schemathesis-${VERSION}`);
const python = join(venv, 'bin', 'python3');

if (!existsSync(python)) makeVirtualEnvironment(venv, `schemathesis==${VERSION}`);
const { status, error } = spawnSync(join(root, 'node_modules', '.bin', 'vitest'), ['run', '--config', 'vitest.slow.config.ts', ...(process.argv.length > 2 ? process.argv.slice(2) : ['schemathesis']), '--disable-console-intercept'], {
  cwd: root, stdio: 'inherit', env: { ...process.env, CURFEW_TEST_SCHEMATHESIS: python },
});
if (error !== undefined) throw error;
process.exitCode = status ?? 1;
