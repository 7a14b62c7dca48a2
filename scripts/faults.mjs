// Plays histories of a real fleet under faults and checks them: npm run test:faults -- [--histories 200] [--seed N] [--world strict,embedded,...] [--fault 'its name'] [--promptly] [--planted]
// --promptly: what ends access comes while something is wrong.
// --planted: instead shows that builds with one mistake each are found out.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({ options: { histories: { type: 'string' }, seed: { type: 'string' }, world: { type: 'string' }, fault: { type: 'string' }, promptly: { type: 'boolean', default: false }, planted: { type: 'boolean', default: false } } });
for (const name of ['histories', 'seed']) {
  if (values[name] !== undefined && !/^\d{1,10}$/.test(values[name])) {
    process.stderr.write(`--${name} must be a whole number\n`);
    process.exit(2);
  }
}
const named = { CURFEW_TEST_HISTORIES: values.histories, CURFEW_TEST_SEED: values.seed, CURFEW_TEST_WORLDS: values.world, CURFEW_TEST_FAULT: values.fault, CURFEW_TEST_PROMPTLY: values.promptly ? '1' : undefined };
const env = { ...process.env, ...Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)) };
const { status } = spawnSync(join(root, 'node_modules/.bin/vitest'), ['run', '--config', 'vitest.slow.config.ts', `test/history/${values.planted ? 'planted' : 'histories'}.slow.ts`], { cwd: root, env, stdio: 'inherit' });
process.exitCode = status ?? 1;
