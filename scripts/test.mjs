// The one test command (`npm test`): gets the parts, builds, lints, checks types, runs every test.
// Its last line is `N passed, N failed, N skipped`, alone on a line. Each skipped test is named above it.
//   node scripts/test.mjs [--quick] [vitest filters...]     --quick: no fetching of parts
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const ci = process.env.CI === 'true';
const quick = process.argv.includes('--quick');
const filters = process.argv.slice(2).filter((argument) => argument !== '--quick');
const bin = (name) => join(root, 'node_modules', '.bin', name);

const run = (title, command, args, options = {}) => {
  process.stdout.write(`\n== ${title}\n`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (error !== undefined) process.stdout.write(`${title}: ${error.message}\n`);
  return status === 0;
};

let failedSteps = 0;
const step = (...args) => {
  if (!run(...args)) {
    failedSteps += 1;
    process.stdout.write(`${args[0]}: failed\n`);
  }
};

if (!quick) {
  for (const script of ['get-debian-packages.mjs', 'get-envoy.mjs']) {
    const path = join(root, 'scripts', script);
    if (!existsSync(path)) continue;
    const got = run(`parts: ${script}`, process.execPath, [path]);
    if (!got) {
      process.stdout.write(`${script} could not get everything; suites that need it ${ci ? 'fail' : 'are skipped'}\n`);
      if (ci) failedSteps += 1;
    }
  }
}
// Once; the suites that need it find it in .cache.
if (!quick && (ci || spawnSync('go', ['version']).status === 0)) step('toolchain', process.execPath, [join(root, 'scripts', 'toolchain.mjs')]);
step('build', 'npm', ['run', '--silent', 'build']);
step('types', bin('tsc'), ['-p', 'tsconfig.json', '--noEmit']);
step('lint', bin('oxlint'), ['--type-aware', 'src', 'test', ...(existsSync(join(root, 'bench')) ? ['bench'] : [])]);

const folder = mkdtempSync(join(tmpdir(), 'curfew-test-'));
const report = join(folder, 'report.json');
process.stdout.write('\n== tests\n');
const status = await new Promise((resolve) => {
  const child = spawn(bin('vitest'), ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...filters], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  child.once('error', (error) => {
    process.stdout.write(`vitest: ${error.message}\n`);
    resolve(1);
  });
  child.once('exit', (code) => resolve(code ?? 1));
});

let [passed, failed, skipped] = [0, 0, 0];
try {
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
  for (const file of testResults) {
    for (const { status: outcome, fullName } of file.assertionResults) {
      if (outcome === 'passed') passed += 1;
      else if (outcome === 'failed') failed += 1;
      else {
        skipped += 1;
        process.stdout.write(`skipped: ${fullName}\n`);
      }
    }
    // A file that could not even be loaded has no tests in it, yet it failed.
    if (file.status === 'failed' && !file.assertionResults.some(({ status: outcome }) => outcome === 'failed')) {
      failed += 1;
      process.stdout.write(`failed: ${file.name}: ${String(file.message).split('\n')[0]}\n`);
    }
  }
} catch (error) {
  process.stdout.write(`no test report: ${error.message}\n`);
  failed += 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
// Unhandled errors, failed hooks and the like leave no failed test behind, only the exit status.
if (status !== 0 && failed === 0) failed += 1;
failed += failedSteps;
process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
