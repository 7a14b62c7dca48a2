/** The test command itself: its closing line, its exit code, and what becomes of suites whose parts are missing. It is run whole, in a folder with a few tests and without compiler. */
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { repositoryRoot } from '../parts.ts';

const PARTS = JSON.stringify(join(repositoryRoot, 'test/parts.ts'));
const PASSES = `import { test } from 'vitest'; test('one', () => {}); test('two', () => {});`;
const FAILS = `import { test } from 'vitest'; test('no', () => { throw new Error('no'); });`;
const BROKEN = `import './is-not-there.ts';`;
const NEEDS = `import { test } from 'vitest'; import { describeWith } from ${PARTS}; describeWith(['strace'], 'suite', () => { test('three', () => {}); test('four', () => {}); });`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-test-command-'));
  for (const name of ['scripts', 'bin', 'node_modules/.bin']) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(join(repositoryRoot, 'scripts/test.mjs'), join(folder, 'scripts/test.mjs'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  symlinkSync(join(repositoryRoot, 'node_modules/vitest'), join(folder, 'node_modules/vitest'));
  symlinkSync(join(repositoryRoot, 'node_modules/.bin/vitest'), join(folder, 'node_modules/.bin/vitest'));
  symlinkSync(process.execPath, join(folder, 'bin/node'));
  for (const name of ['bin/npm', 'node_modules/.bin/tsc', 'node_modules/.bin/oxlint']) {
    writeFileSync(join(folder, name), '#!/bin/sh\nexit 0\n');
    chmodSync(join(folder, name), 0o755);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** With nothing on PATH but node and what stands for npm. */
const run = async (files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}): Promise<{ readonly code: number | null; readonly lines: readonly string[] }> => {
  rmSync(join(folder, 'test'), { recursive: true, force: true });
  mkdirSync(join(folder, 'test'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `test/${name}.test.ts`), text);
  const child = spawn(process.execPath, ['scripts/test.mjs', '--quick'], { cwd: folder, env: { PATH: join(folder, 'bin'), HOME: folder, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => { output += chunk; });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, lines: output.trimEnd().split('\n') };
};

test.each<[string, Readonly<Record<string, string>>, Readonly<Record<string, string>>, number, string]>([
  ['all pass', { a: PASSES }, {}, 0, '2 passed, 0 failed, 0 skipped'],
  ['one fails', { a: PASSES, b: FAILS }, {}, 1, '2 passed, 1 failed, 0 skipped'],
  ['a file can not be loaded', { a: PASSES, b: BROKEN }, {}, 1, '2 passed, 1 failed, 0 skipped'],
  ['there is nothing to run', {}, {}, 1, '0 passed, 1 failed, 0 skipped'],
  ['a part is missing on a machine of one\'s own', { a: PASSES, b: NEEDS }, {}, 0, '2 passed, 0 failed, 2 skipped'],
  ['a part is missing with CI=true', { a: PASSES, b: NEEDS }, { CI: 'true' }, 1, '2 passed, 1 failed, 0 skipped'],
])('the closing line when %s', { timeout: 120_000 }, async (_when, files, env, code, closing) => {
  const ended = await run(files, env);
  expect([ended.code, ended.lines.at(-1)], ended.lines.join('\n')).toEqual([code, closing]);
  // What was left out is named above it.
  const skipped = Number(/(\d+) skipped$/.exec(closing)?.[1]);
  expect(ended.lines.filter((line) => line.startsWith('skipped: suite [strace is missing ('))).toHaveLength(skipped);
});
