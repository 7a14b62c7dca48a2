/** From sources to the archive that is loaded: with OPA's own compiler, and what is refused with which words. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import type { Instant } from '../../src/domain/instant.ts';
import { BUNDLE_LIMITS } from '../../src/policy/bundle/limits.ts';
import { readManifest } from '../../src/policy/bundle/manifest.ts';
import { readBundle } from '../../src/policy/bundle/read-bundle.ts';
import { writeArchive } from '../../src/policy/bundle/write-archive.ts';
import { loadPolicy } from '../../src/policy/load-policy.ts';
import { archiveBundle } from '../../src/policy/source/archive-bundle.ts';
import type { SourceBundle } from '../../src/policy/source/bundle-source.ts';
import { contentKey, prepareBundle } from '../../src/policy/source/prepare-bundle.ts';
import { ToolchainMissing, type SourcesRefused } from '../../src/policy/toolchain/fault.ts';
import { openToolchain } from '../../src/policy/toolchain/open-toolchain.ts';
import { buildBundle } from '../../src/policy/toolchain/pack-bundle.ts';
import { readSources } from '../../src/policy/toolchain/read-sources.ts';
import type { Toolchain } from '../../src/policy/toolchain/toolchain.ts';
import { describeWith, repositoryRoot } from '../parts.ts';

const NOW = 1_764_000_000_000 as Instant;
type Texts = Readonly<Record<string, string | Uint8Array>>;

const bytesOf = (files: Texts): Map<string, Uint8Array> => new Map(Object.entries(files).map(([name, text]) => [name, typeof text === 'string' ? Buffer.from(text) : text]));
const folder = (name: string, files: Texts): SourceBundle => {
  const bytes = bytesOf(files);
  return { name, where: `policies/${name}`, files: bytes, manifest: readManifest(bytes.get('.manifest'), BUNDLE_LIMITS), verified: false };
};
const archive = (name: string, files: Texts): Promise<SourceBundle> => archiveBundle({ name, where: `${name}.tar.gz` }, writeArchive([...bytesOf(files)]));
const roots = (...names: readonly string[]): string => JSON.stringify({ roots: names });

const RULES = 'package a\n\np := {"allow": input.x == data.limits.most}\n';

describeWith(['go'], 'preparing bundles', () => {
  let toolchain: Toolchain;
  let asked = 0;
  beforeAll(async () => {
    buildToolchain();
    toolchain = await openToolchain();
  }, 600_000);
  afterAll(() => toolchain.close());

  const prepare = (bundles: readonly SourceBundle[], entrypoint = 'a/p') => {
    const open = (): Promise<Toolchain> => {
      asked += 1;
      return Promise.resolve(toolchain);
    };
    return prepareBundle(bundles, { entrypoints: [entrypoint], toolchain: open });
  };
  const refusal = async (bundles: readonly SourceBundle[], entrypoint?: string): Promise<SourcesRefused> => {
    const error = await prepare(bundles, entrypoint).then(() => undefined, (cause: unknown) => cause);
    expect(error).toBeInstanceOf(Error);
    return error as SourcesRefused;
  };
  const answers = async (bundles: readonly SourceBundle[], input: Readonly<Record<string, number>>): Promise<unknown> => {
    const policy = await loadPolicy((await prepare(bundles)).archive, { entrypoints: ['a/p'] });
    const outcome = policy.evaluate('a/p', input, NOW);
    return outcome.kind === 'value' ? outcome.value : outcome;
  };

  test('a folder gives the very bytes that `curfew policy build` writes', async () => {
    const sources = readSources(join(repositoryRoot, 'policies/curfew'));
    const { archive: made } = await prepare([{ ...folder('curfew', sources), where: join(repositoryRoot, 'policies/curfew') }], 'curfew/access/decision');
    expect(Buffer.from(made).equals(readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz')))).toBe(true);
  });

  test('Rego of the first version is compiled where the manifest says so: of all, of one file, of one bundle among several; nowhere else', async () => {
    const old = 'package old\n\np {\n\tinput.x > 1\n}\n';
    const asks = async (bundles: readonly SourceBundle[], entrypoint: string): Promise<unknown> => {
      const policy = await loadPolicy((await prepare(bundles, entrypoint)).archive, { entrypoints: [entrypoint] });
      return [1, 2].map((x) => policy.evaluate(entrypoint, { x }, NOW)).map((outcome) => (outcome.kind === 'value' ? outcome.value : outcome.kind));
    };
    expect(await asks([folder('one', { 'old.rego': old, '.manifest': '{"rego_version": 0}' })], 'old/p')).toEqual(['undefined', true]);
    expect(await asks([folder('one', { 'old.rego': old, 'a.rego': 'package a\n\nq if input.x == 1\n', '.manifest': '{"file_rego_versions": {"/old.rego": 0}}' })], 'a/q')).toEqual([true, 'undefined']);
    const several = [folder('older', { 'old.rego': old, '.manifest': '{"roots": ["old"], "rego_version": 0}' }), folder('newer', { 'a.rego': 'package a\n\nq if data.old.p\n', '.manifest': '{"roots": ["a"]}' })];
    expect(await asks(several, 'a/q')).toEqual(['undefined', true]);
    expect((await refusal([folder('one', { 'old.rego': old })])).message).toContain('`if` keyword is required');
    expect((await refusal([folder('one', { 'old.rego': old, 'b.rego': old.replace('old', 'b'), '.manifest': '{"file_rego_versions": {"/old.rego": 0}}' })])).message).toContain('b.rego');
    expect((await refusal([folder('one', { 'old.rego': old, '.manifest': '{"roots": ["old"], "file_rego_versions": {"/old.rego": 0}}' }), several[1] as SourceBundle])).message).toContain('only where there is one bundle');
    expect(() => folder('one', { 'old.rego': old, '.manifest': '{"rego_version": 7}' })).toThrow('rego_version');
  });

  test('an archive of plain Rego is compiled, and keeps the revision of its manifest', async () => {
    const bundle = await archive('plain', { 'a.rego': RULES, 'data.json': '{"limits": {"most": 7}}', '.manifest': '{"revision": "v7", "roots": ["a", "limits"]}' });
    expect(await readBundle((await prepare([bundle])).archive)).toMatchObject({ revision: 'v7', data: { limits: { most: 7 } }, entrypoints: ['a/p'] });
    expect(await answers([bundle], { x: 7 })).toEqual({ allow: true });
  });

  test('a compiled one is used as it is, byte for byte, and needs no toolchain', async () => {
    const compiled = readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz'));
    const before = asked;
    expect((await prepare([await archiveBundle({ name: 'bundle', where: 'x' }, compiled)])).archive).toBe(compiled);
    expect(asked).toBe(before);
  });

  test('plain Rego without a toolchain is refused with what to install', async () => {
    const missing = (): Promise<never> => Promise.reject(new ToolchainMissing('no Rego toolchain: install Go'));
    await expect(prepareBundle([folder('a', { 'a.rego': RULES })], { entrypoints: ['a/p'], toolchain: missing })).rejects.toThrow('install Go');
  });

  test.each([
    ['syntax', { 'sub/x.rego': 'package a\n\np if {\n\tinput.x ==\n}\n' }, 'sub/x.rego', 5],
    ['types', { 'a.rego': 'package a\n\np := nope(1)\n' }, 'a.rego', 3],
    ['v0', { 'a.rego': 'package a\n\np { input.x }\n' }, 'a.rego', 3],
    ['JSON', { 'a.rego': RULES, 'limits/data.json': '{"most": 7,\n  "least": }' }, 'limits/data.json', 2],
    ['YAML', { 'a.rego': RULES, 'data.yaml': 'limits:\n  most: ]' }, 'data.yaml', 2],
    ['JSON that ends', { 'a.rego': RULES, 'data.json': '{"limits": {\n"a": ["x\\n", 1.5e3, null],\n"b": tru' }, 'data.json', 3],
    ['JSON after its end', { 'a.rego': RULES, 'data.json': '{"limits": {}}\n\n}' }, 'data.json', 3],
    ['JSON that is crooked', { 'a.rego': RULES, 'data.json': '{"limits": [1, 2\n}' }, 'data.json', 2],
  ])('faults are told with file and line: %s', async (_, files, file, row) => {
    const error = await refusal([folder('mine', files)]);
    expect(error.faults[0]).toMatchObject({ file: `policies/mine/${file}`, row });
    expect(error.message).toMatch(new RegExp(`^policies/mine/${file}:${row}:\\d+: `));
  });

  test('faults in an archive name the archive too', async () => {
    expect((await refusal([await archive('plain', { 'x.rego': 'package a\n\np := }' })])).message).toMatch(/^plain\.tar\.gz: x\.rego:3:\d+: /);
  });

  test('tests of the bundle must pass; one that fails is told with its place, all of them at once', async () => {
    const tests = 'package a_test\n\nimport data.a\n\ntest_fine if a.p.allow with input.x as 7 with data.limits.most as 7\n\ntest_bad if not a.p.allow with input.x as 7 with data.limits.most as 7\n\ntest_worse if false\n';
    const bad = await prepare([folder('mine', { 'a.rego': RULES, 'a_test.rego': tests })]);
    const error = (await bad.test?.().catch((cause: unknown) => cause)) as SourcesRefused;
    expect(error.faults).toEqual([
      { code: 'test_failed', message: 'test a_test.test_bad: failed', file: 'policies/mine/a_test.rego', row: 7, col: 1 },
      { code: 'test_failed', message: 'test a_test.test_worse: failed', file: 'policies/mine/a_test.rego', row: 9, col: 1 },
    ]);
    const good = await prepare([folder('mine', { 'a.rego': RULES, 'a_test.rego': tests.slice(0, tests.indexOf('test_bad')) })]);
    await good.test?.();
    expect((await readBundle(good.archive)).entrypoints).toEqual(['a/p']);
  });

  test('a missing entrypoint, bytes that are no text and a folder with nothing to decide are refused by name', async () => {
    expect((await refusal([folder('mine', { 'a.rego': 'package a\n\nq := 1\n' })])).message).toContain('entrypoint "a/p" does not refer to a rule');
    expect((await refusal([folder('mine', { 'a.rego': new Uint8Array([0x70, 0xff]) })])).message).toContain('policies/mine/a.rego:1:1: is not UTF-8');
    expect((await refusal([folder('mine', { 'data.json': '{}' })])).message).toContain('has neither Rego nor policy.wasm');
    expect((await refusal([folder('mine', { 'a.rego': RULES, '.manifest': roots('b') })])).message).toContain("do not permit 'package a'");
  });

  test('several bundles become one policy: Rego of each, data of each at its place, numbers with all digits', async () => {
    const bundles = [
      folder('rules', { 'a.rego': 'package a\n\nimport data.lib\n\np := {"allow": lib.most(input.x), "big": data.big}\n', '.manifest': roots('a') }),
      folder('lib', { 'a.rego': 'package lib\n\nmost(x) if x <= data.team.limits.most\n', '.manifest': roots('lib') }),
      await archive('facts', { 'team/limits/data.yaml': 'most: 7\n', '.manifest': roots('team/limits') }),
      folder('others', { 'data.json': '{"team": {"x": 1}}', 'big/data.json': '{"n": 9007199254740991}', '.manifest': roots('team/x', 'big') }),
    ];
    expect(await answers(bundles, { x: 7 })).toEqual({ allow: true, big: { n: 9007199254740991 } });
    const digits = [bundles[0], bundles[1], bundles[2], folder('others', { 'big/data.json': '{"n": 12345678901234567890123}', '.manifest': roots('big') })] as SourceBundle[];
    expect((await readBundle((await prepare(digits)).archive)).dataText).toContain('12345678901234567890123');
  });

  test('a compiled bundle takes the data of others', async () => {
    const compiled = await archiveBundle({ name: 'rules', where: 'rules.tar.gz' }, (await buildBundle(toolchain, { 'a.rego': RULES, '.manifest': roots('a') }, 'rules', { entrypoints: ['a/p'] })).archive);
    const facts = (most: number): SourceBundle => folder('facts', { 'limits/data.json': `{"most": ${most}}`, '.manifest': roots('limits') });
    expect(await answers([compiled, facts(7)], { x: 7 })).toEqual({ allow: true });
    expect(await answers([facts(8), compiled], { x: 7 })).toEqual({ allow: false });
    expect((await refusal([compiled, folder('more', { 'b.rego': 'package b\n\nq := 1\n', '.manifest': roots('b') })])).message).toBe(
      'bundle refused: bundle "more" has Rego, which can not be added to "rules", since that is compiled already',
    );
    expect((await refusal([compiled, { ...compiled, name: 'twice', manifest: { ...compiled.manifest, roots: ['z'] } }])).message).toContain('"rules" and "twice" are both compiled');
  });

  test.each([
    ['the same root', ['a'], ['a'], '"a"'],
    ['one in the other', ['a/b'], ['a'], '"a/b"'],
    ['no manifest', ['a'], [''], '"a"'],
  ])('bundles whose roots overlap are refused by name: %s', async (_, one, two, root) => {
    const error = await refusal([folder('one', { 'data.json': '{}', '.manifest': roots(...one) }), folder('two', { 'data.json': '{}', '.manifest': roots(...two) })]);
    expect(error.message).toBe(`bundle refused: bundles "one" and "two" both own ${root}; say in each .manifest which roots it has`);
  });

  test('a segment that only begins like a root is another one', async () => {
    const bundles = [folder('rules', { 'a.rego': 'package a\n\np := data.ab\n', '.manifest': roots('a') }), folder('facts', { 'ab/data.json': '{"x": 1}', '.manifest': roots('ab') })];
    expect(await answers(bundles, {})).toEqual({ x: 1 });
  });

  test.each([
    ['a package', { 'b.rego': '# what\n# ever\n\npackage a.hidden["x-y"]\n\nq := 1\n' }, 'b.rego has package "a/hidden/x-y", which is not under its roots "b"'],
    ['data', { 'data.json': '{"b": 1, "c": 2}' }, 'bundle "facts" has members outside the roots'],
    ['data twice', { 'data.json': '{"b": {"c": 1}}', 'b/data.yaml': 'c: 2\n' }, 'facts: b/data.yaml has "b/c", which another data file has too'],
    ['data that is a list', { 'b/data.json': '[1]' }, 'facts: b/data.json is not an object'],
  ])('what lies outside of its bundle, or twice in it, is refused: %s', async (_, files, message) => {
    expect((await refusal([folder('rules', { 'a.rego': RULES, '.manifest': roots('a') }), folder('facts', { ...files, '.manifest': roots('b') })])).message).toContain(message);
  });

  test('the same content has the same key, other content another one', () => {
    const one = folder('a', { 'a.rego': RULES, 'data.json': '{}' });
    expect(contentKey([folder('a', { 'data.json': '{}', 'a.rego': RULES })])).toBe(contentKey([one]));
    for (const other of [folder('b', { 'a.rego': RULES, 'data.json': '{}' }), folder('a', { 'a.rego': RULES, 'data.json': '{ }' }), folder('a', { 'a.rego': RULES })]) {
      expect(contentKey([other])).not.toBe(contentKey([one]));
    }
  });
});
