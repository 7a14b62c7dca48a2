/** Rules of form that no linter knows. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../parts.ts';
import { read, sourceFiles, trackedFiles } from './source-files.ts';

const LINES_MAX = 250;
/** Tables, longer than code may be. */
const LONGER: readonly string[] = [];
const GENERATED = /(?:^|\/)generated\/|\.generated\.ts$/;
const BANNED_NAMES = /(?:^|\/)(?:utils?|helpers?|manager|common|misc|shared)(?:\.[a-z.]+|\/)/i;
const CLOCKS = /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bprocess\.hrtime\b|\bprocess\.uptime\b|\bos\.uptime\b/;

const code = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|[^:])\/\/.*$/gm, '$1');

describe('files', () => {
  test(`no source file has more than ${LINES_MAX} lines`, () => {
    const long = sourceFiles().filter(({ path, text }) => !LONGER.includes(path) && !GENERATED.test(path) && text.split('\n').length - 1 > LINES_MAX);
    expect(long.map(({ path, text }) => `${path}: ${text.split('\n').length - 1}`)).toEqual([]);
  });
  test('no file is called utils, helpers, manager or common', () => {
    expect(trackedFiles().filter((path) => BANNED_NAMES.test(path))).toEqual([]);
  });
  test('I9: only src/time/clock.ts reads clocks', () => {
    expect(sourceFiles().filter(({ path, text }) => path !== 'src/time/clock.ts' && CLOCKS.test(code(text))).map(({ path }) => path)).toEqual([]);
    expect(CLOCKS.test('const now = Date.now();')).toBe(true);
  });
  test('every source file begins by saying what it is for, or is short', () => {
    const bare = sourceFiles().filter(({ path, text }) => !GENERATED.test(path) && text.split('\n').length > 40 && !/^(?:#!.*\n)?\/[/*]/.test(text));
    expect(bare.map(({ path }) => path)).toEqual([]);
  });
  test('relative imports end in .ts', () => {
    const wrong = sourceFiles().flatMap(({ path, text }) => [...code(text).matchAll(/from '(\.[^']*)'/g)].filter(([, target]) => !target?.endsWith('.ts')).map(([, target]) => `${path} -> ${target}`));
    expect(wrong).toEqual([]);
  });
});

describe('nothing of one machine is in the repository', () => {
  const TEXT = /\.(?:ts|mjs|js|json|md|ya?ml|rego|sh|conf|toml|go|mod|sum)$|(?:^|\/)(?:Dockerfile|run|Caddyfile|\.npmrc|\.gitignore)$/;
  /** Hosts of registries that machines here or there are given; the public names are for documentation only. */
  const REGISTRY = /https?:\/\/[^\s"')]*(?:artifactory|nexus|\/(?:api|repository)\/(?:npm|pypi|go)|registry\.npmjs|pypi\.|files\.pythonhosted|proxy\.golang|:4873)[^\s"')]*/i;
  // Written so that this file does not contain what it looks for.
  const MACHINE = new RegExp(['/wo' + 'rk/', '/ro' + 'ot/', '/tm' + 'p/(?:cw|brief|opa|envoyvenv)'].join('|'));
  const texts = trackedFiles().filter((path) => TEXT.test(path) && statSync(join(repositoryRoot, path), { throwIfNoEntry: false })?.isFile() === true).map(read);

  test('no registry host', () => {
    expect(texts.filter(({ path, text }) => path !== 'test/tidy/files.test.ts' && REGISTRY.test(text)).map(({ path, text }) => `${path}: ${REGISTRY.exec(text)?.[0]}`)).toEqual([]);
  });
  test('no path of a machine', () => {
    expect(texts.filter(({ text }) => MACHINE.test(text)).map(({ path, text }) => `${path}: ${MACHINE.exec(text)?.[0]}`)).toEqual([]);
  });
  test('G6: package-lock.json names no hosts, and has a hash for every package', () => {
    const { packages } = JSON.parse(read('package-lock.json').text) as { packages: Record<string, { resolved?: string; integrity?: string; link?: boolean }> };
    const entries = Object.entries(packages).filter(([path]) => path !== '');
    expect(entries.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
    expect(entries.filter(([, { integrity, link }]) => integrity === undefined && link !== true).map(([path]) => path)).toEqual([]);
    expect(read('.npmrc').text).toContain('omit-lockfile-registry-resolved=true');
  });
});

describe('tests are honest', () => {
  const tests = trackedFiles().filter((path) => /^test\/.*\.ts$/.test(path)).map(read);
  test('nothing is focused, and nothing is skipped without a reason', () => {
    const found = tests.filter(({ path }) => path !== 'test/parts.ts' && path !== 'test/tidy/files.test.ts')
      .flatMap(({ path, text }) => [...code(text).matchAll(/\b(?:test|it|describe)\.(?:only|skip|todo|fails)\b/g)].map(([match]) => `${path}: ${match}`));
    expect(found).toEqual([]);
  });
  test('what polls says for how long: a second, as is usual, is not enough on a busy machine', () => {
    const found = tests.filter(({ path }) => path !== 'test/tidy/files.test.ts')
      .flatMap(({ path, text }) => code(text).split('\n').filter((line) => /\b(?:expect\.poll|vi\.waitFor|vi\.waitUntil)\(/.test(line) && !line.includes('timeout')).map((line) => `${path}: ${line.trim()}`));
    expect(found).toEqual([]);
  });
});
