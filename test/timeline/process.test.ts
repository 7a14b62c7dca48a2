/** `curfew policy test` as a process: exit codes, --watch on real files, two commands after one another. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { describeWith, repositoryRoot } from '../parts.ts';
import { until } from '../support/until.ts';
import { ASK, story } from './tell.ts';

const MAIN = join(repositoryRoot, 'dist/main.js');
const PASSING = story(`  - { at: +10m, ${ASK}, expect: { deny: grant.expired } }`);
const FAILING = story(`  - { at: +10m, ${ASK}, expect: allow }`);
const RULE = 'package curfew.access\n\ndecision := {"allow": true, "grant": input.curfew.grants[0].id}\n';

describeWith(['go'], 'curfew policy test, as a process', () => {
  let root: string;
  let folder: string;
  let environment: NodeJS.ProcessEnv;
  let child: ChildProcess | undefined;
  let said = '';
  beforeAll(() => {
    buildToolchain();
    root = mkdtempSync(join(tmpdir(), 'curfew-watch-'));
    environment = { PATH: process.env['PATH'], XDG_CACHE_HOME: join(root, 'cache') };
  }, 600_000);
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  beforeEach(() => {
    folder = mkdtempSync(join(root, 'folder-'));
  });
  afterEach(async () => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const gone = new Promise((resolve) => void running.once('exit', resolve));
    running.kill('SIGTERM');
    await gone;
  });

  /** All at once: who watches never finds half of it, and says something of that. */
  const write = (name: string, text: string): void => {
    const beside = join(root, 'being-written');
    writeFileSync(beside, text);
    renameSync(beside, join(folder, name));
  };
  const once = (...args: readonly string[]) => spawnSync(process.execPath, [MAIN, 'policy', 'test', folder, ...args], { encoding: 'utf8', env: environment });
  const watching = (): void => {
    said = '';
    child = spawn(process.execPath, [MAIN, 'policy', 'test', '--watch', folder], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  };
  /** Until it has said this after what it said before; then all of that is past. */
  const heard = async (pattern: RegExp): Promise<string> => {
    await until(`it to say ${String(pattern)}`, () => {
      if (child?.exitCode !== null) throw new Error(`it ended with ${String(child?.exitCode)}: ${said}`);
      return pattern.test(said);
    }, 60_000);
    const text = said;
    said = '';
    return text;
  };

  test('a story that fails exits with 1 and says where; one that passes with 0; without a toolchain where it needs none', () => {
    write('a.timeline.yaml', FAILING);
    const failed = once();
    expect(failed.status).toBe(1);
    expect(failed.stdout).toContain(`${join(folder, 'a.timeline.yaml')}:16: +10m: expected allow; got deny grant.expired`);
    expect(failed.stdout).toMatch(/0 passed, 1 failed, 0 skipped\n$/);
    write('a.timeline.yaml', PASSING);
    expect(once()).toMatchObject({ status: 0, stdout: '1 passed, 0 failed, 0 skipped\n', stderr: '' });
  });

  test('a folder that is not there, or has nothing to test, is refused by name', () => {
    expect(once()).toMatchObject({ status: 1, stderr: `${folder} has neither .rego files nor timelines (*.timeline.yaml)\n` });
    rmSync(folder, { recursive: true });
    expect(once()).toMatchObject({ status: 1, stderr: `${folder} is not a folder\n` });
  });

  test('JSON and JUnit have stories beside Rego tests, and are the same twice but for the times of Rego tests', () => {
    write('a.timeline.yaml', FAILING);
    write('b.timeline.yaml', story(`  - { at: +10m, ${ASK}, expect: allow, nte: x }`));
    const junit = join(root, 'junit.xml');
    const runs = [1, 2].map(() => {
      const { status, stdout } = once('--json', '--junit', junit);
      return { status, stdout, xml: readFileSync(junit, 'utf8') };
    });
    expect(runs[0]).toEqual(runs[1]);
    expect(runs[0]?.status).toBe(1);
    expect(JSON.parse(runs[0]?.stdout ?? '')).toMatchObject({
      passed: 0, failed: 2, skipped: 0, tests: [],
      timelines: [
        { title: 'a story', span: '+10m', outcome: 'failed', failures: [{ line: 16, at: '+10m', expected: 'allow' }] },
        { outcome: 'error', faults: [expect.stringMatching(/b\.timeline\.yaml:16: steps\.1\.nte: unknown setting; did you mean `note`\?/) as string] },
      ],
    });
    expect(runs[0]?.xml).toMatch(/tests="2" failures="2" skipped="0"[\s\S]*name="a story" file="[^"]*a\.timeline\.yaml" line="16"><failure message="[^"]*expected allow; got deny/);
  });

  test('stories are told to the policy of the folder: its rule decides, its faults are told with file, line and column', () => {
    write('access.rego', RULE);
    write('a.timeline.yaml', PASSING);
    expect(once()).toMatchObject({ status: 0, stdout: '1 passed, 0 failed, 0 skipped\n' });
    // A rule that says yes to everything gives nothing away: the guard wants a live grant.
    write('a.timeline.yaml', FAILING);
    expect(once().stdout).toContain('expected allow; got deny grant.expired');
    write('access.rego', RULE.replace('true', 'tru'));
    const broken = once();
    expect(broken.status).toBe(1);
    expect(broken.stderr).toContain(`${join(folder, 'access.rego')}:3:`);
  });

  test('--watch: a save runs them again, a broken save is told with its place, and they recover; new files and folders count', { timeout: 180_000 }, async () => {
    write('access.rego', RULE);
    write('a.timeline.yaml', PASSING);
    watching();
    await heard(/^1 passed, 0 failed/m);
    write('a.timeline.yaml', FAILING);
    expect(await heard(/0 passed, 1 failed/)).toContain(`${join(folder, 'a.timeline.yaml')}:16: +10m`);
    write('access.rego', 'package curfew.access\n\ndecision := {\n');
    expect(await heard(/access\.rego:\d/)).toMatch(/access\.rego:[34]:\d+: /);
    // As an editor saves: beside it, then over it.
    write('saved', RULE);
    renameSync(join(folder, 'saved'), join(folder, 'access.rego'));
    await heard(/0 passed, 1 failed/);
    write('a.timeline.yaml', 'title: [');
    expect(await heard(/0 passed, 1 failed/)).toMatch(/a\.timeline\.yaml:\d+: /);
    write('a.timeline.yaml', PASSING);
    await heard(/1 passed, 0 failed/);
    mkdirSync(join(folder, 'more'));
    write('more/b.timeline.yaml', PASSING);
    await heard(/2 passed, 0 failed/);
    write('more/b_test.rego', 'package b_test\n\ntest_b if 1 == 1\n');
    await heard(/3 passed, 0 failed/);
  });

  test('what was compiled is compiled once; a cache that is not whole is not used', () => {
    write('access.rego', RULE);
    write('a.timeline.yaml', PASSING);
    const cache = join(root, 'cache/curfew/compiled');
    const files = (): readonly string[] => readdirSync(cache).map((name) => join(cache, name));
    const state = (): readonly string[] => files().map((path) => `${path} ${statSync(path).mode.toString(8)} ${statSync(path).mtimeMs}`);
    expect(once().status).toBe(0);
    const before = state();
    expect(before.length).toBeGreaterThan(0);
    expect(before.every((line) => line.includes(' 100600 '))).toBe(true);
    expect(once().status).toBe(0);
    expect(state()).toEqual(before);
    for (const path of files()) writeFileSync(path, 'not it');
    expect(once()).toMatchObject({ status: 0, stdout: '1 passed, 0 failed, 0 skipped\n' });
  });
});
