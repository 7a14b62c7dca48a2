/** What is built from source is what is committed, and the policies pass their own tests. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ZONE_NAMES } from '../../src/policy/builtins/time/zone-names.ts';
import { describeWith, repositoryRoot } from '../parts.ts';
import { buildFixtures } from './fixtures/build.mjs';
import { findOpa, OPA_VERSION, runOpa } from '../../scripts/opa.mjs';
import { buildPack } from '../../scripts/policy-build.mjs';

const committed = (path: string): Buffer => readFileSync(join(repositoryRoot, path));

describeWith(['go'], 'the Rego toolchain', () => {
  test('builds with the pinned OPA', () => {
    expect(runOpa(findOpa(), ['version'])).toContain(`Version: ${OPA_VERSION}\n`);
  }, 600_000);

  test('the committed bundle is what policies/curfew builds to, byte for byte, and twice the same', () => {
    const first = buildPack();
    expect(first.archive.equals(committed('bundles/curfew.tar.gz')), 'run npm run policy:build').toBe(true);
    expect(buildPack().archive.equals(first.archive)).toBe(true);
  }, 300_000);

  test('the fixtures are what their sources build to', () => {
    const differing = buildFixtures().filter(([name, archive]) => !archive.equals(committed(`test/policy/fixtures/${name}.tar.gz`)));
    expect(differing.map(([name]) => name), 'run node test/policy/fixtures/build.mjs').toEqual([]);
  }, 300_000);

  test('the policies pass their tests, every line of them covered', () => {
    const output = execFileSync(process.execPath, [join(repositoryRoot, 'scripts/policy-test.mjs')], { encoding: 'utf8', cwd: repositoryRoot });
    expect(output).toMatch(/PASS: (\d+)\/\1\n/);
    expect(output).toContain('coverage: 100 %');
  }, 300_000);

  test('no time zone has a name here that Go does not know', () => {
    const root = execFileSync('go', ['env', 'GOROOT'], { encoding: 'utf8' }).trim();
    const zip = readFileSync(join(root, 'lib/time/zoneinfo.zip')).toString('latin1');
    expect([...ZONE_NAMES].filter((name) => !zip.includes(name))).toEqual([]);
    expect(ZONE_NAMES.size).toBeGreaterThan(590);
  });
});
