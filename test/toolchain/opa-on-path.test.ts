/** A Curfew without the built toolchain: an `opa` on PATH does the work, and with neither the error says what to install. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findOpa, OPA_VERSION } from '../../scripts/opa.mjs';
import { describeWith, repositoryRoot } from '../parts.ts';

describeWith(['go'], 'a Curfew without the built toolchain', () => {
  let root: string;
  let opa: string;
  const at = (name: string): string => join(root, name);
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'curfew-opa-'));
    for (const name of ['bin', 'empty', 'old']) mkdirSync(at(name));
    const found = findOpa();
    opa = found === 'opa' ? spawnSync('which', ['opa'], { encoding: 'utf8' }).stdout.trim() : found;
    symlinkSync(opa, at('bin/opa'));
    writeFileSync(at('old/opa'), '#!/bin/sh\necho "Version: 0.60.0"\n');
    chmodSync(at('old/opa'), 0o755);
    // As the repository without what `npm run toolchain` builds.
    for (const name of ['bundles', 'policies', 'package.json', 'node_modules']) symlinkSync(join(repositoryRoot, name), at(name));
    cpSync(join(repositoryRoot, 'dist'), at('dist'), { recursive: true, filter: (path) => !path.startsWith(join(repositoryRoot, 'dist/toolchain')) });
  }, 600_000);
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const curfew = (path: string, ...args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [at('dist/main.js'), 'policy', ...args], { cwd: root, encoding: 'utf8', env: { PATH: at(path), XDG_CACHE_HOME: at('cache') } });
    return { status, stdout, stderr };
  };

  test('an opa on PATH of the same minor version does it all, the bundle being the same bytes', () => {
    expect(curfew('bin', 'init', 'mine')).toMatchObject({ status: 0 });
    expect(curfew('bin', 'check', 'mine')).toMatchObject({ status: 0, stdout: expect.stringContaining('no faults') as string });
    expect(curfew('bin', 'fmt', '--check', 'mine')).toMatchObject({ status: 0 });
    expect(curfew('bin', 'test', '--coverage', 'mine')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^coverage: [\d.]+ %\n[\s\S]*\d\d passed, 0 failed, 0 skipped\n$/) as string });
    expect(curfew('bin', 'build', 'policies/curfew', '--out', 'pack.tar.gz')).toMatchObject({ status: 0 });
    expect(spawnSync('cmp', [at('pack.tar.gz'), join(repositoryRoot, 'bundles/curfew.tar.gz')]).status).toBe(0);
    writeFileSync(at('input.json'), '{"curfew":{"grants":[],"now_ms":0}}');
    expect(curfew('bin', 'eval', 'mine', '--input', 'input.json', '--trace', 'full')).toMatchObject({ status: 0, stdout: expect.stringContaining('"allow": false') as string });
    writeFileSync(at('mine/own.rego'), 'package curfew.access\n\nrefusals contains "x" if {\n');
    const broken = curfew('bin', 'test', 'mine');
    expect(broken).toMatchObject({ status: 1, stderr: expect.stringMatching(/^mine\/own\.rego:\d+:\d+: /) as string });
  }, 300_000);

  test.each(['empty', 'old'])('with none (%s) the error says what to install, and with which version', (path) => {
    for (const command of [['check'], ['fmt', '--check'], ['test'], ['build', '--out', 'x.tar.gz'], ['eval']]) {
      const told = curfew(path, command[0] ?? '', 'policies/curfew', ...command.slice(1));
      expect(told).toMatchObject({ status: 2, stdout: '' });
      expect(told.stderr).toMatch(/no Rego toolchain.*Go \(https:\/\/go\.dev\/dl\) and run "npm run toolchain"; or put opa 1\.22 on PATH/);
      expect(told.stderr).toContain(OPA_VERSION.split('.').slice(0, 2).join('.'));
    }
  });

  test('stories about the default pack need neither', () => {
    expect(curfew('empty', 'test', 'policies/scenarios/ci-deploy', 'policies/scenarios/legacy-exception')).toMatchObject({ status: 0, stdout: '3 passed, 0 failed, 0 skipped\n' });
  });
});
