/** `curfew policy ...` on real folders, with the real toolchain, which the commands share here; each on its own in proofs.slow.ts. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { runCli, type CliDeps } from '../../src/cli/program.ts';
import { openToolchain } from '../../src/policy/toolchain/open-toolchain.ts';
import type { Toolchain } from '../../src/policy/toolchain/toolchain.ts';
import { runTimeline } from '../../src/timeline/run-timeline.ts';
import { describeWith, repositoryRoot } from '../parts.ts';

const none = { run: () => Promise.resolve(0) };
const PACK = join(repositoryRoot, 'policies/curfew');

describeWith(['go'], 'curfew policy', () => {
  let root: string;
  let toolchain: Toolchain;
  beforeAll(async () => {
    buildToolchain();
    toolchain = await openToolchain();
    root = mkdtempSync(join(tmpdir(), 'curfew-policy-'));
  }, 600_000);
  afterAll(async () => {
    await toolchain.close();
    rmSync(root, { recursive: true, force: true });
  });

  const curfew = async (...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
    let [out, err] = ['', ''];
    const deps = {
      version: '0', env: {}, local: { serve: none, dev: none, 'config check': none, 'dev-token': none }, stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text),
      readFile: (path: string) => readFileSync(path, 'utf8'), readStdin: () => Promise.resolve(''), openToolchain: () => Promise.resolve({ ...toolchain, close: () => Promise.resolve() }), fetch: globalThis.fetch, timelines: () => Promise.resolve(runTimeline),
    } satisfies CliDeps;
    const code = await runCli(['policy', ...args], deps);
    return { code, out, err };
  };
  let folders = 0;
  const folder = (files: Readonly<Record<string, string>>): string => {
    const path = join(root, String((folders += 1)));
    mkdirSync(path);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
    return path;
  };

  test('build: the default pack comes out as it is committed', async () => {
    const out = join(root, 'bundle.tar.gz');
    expect(await curfew('build', PACK, '--out', out)).toMatchObject({ code: 0, err: '' });
    expect(readFileSync(out).equals(readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz')))).toBe(true);
  });

  test('build: what can not be loaded is not written, and the message names the builtin or the entrypoint', async () => {
    const out = join(root, 'none.tar.gz');
    const path = folder({ 'a.rego': 'package a\n\np := http.send({"url": "x", "method": "get"})\n' });
    expect(await curfew('build', path, '--out', out, '-e', 'a/p')).toMatchObject({ code: 1, err: expect.stringContaining('http.send') as string });
    expect(await curfew('build', path, '--out', out, '-e', 'a/q')).toMatchObject({ code: 1, err: expect.stringContaining('a/q') as string });
    expect(existsSync(out)).toBe(false);
  });

  test('check: the default pack has no faults', async () => {
    expect(await curfew('check', PACK)).toMatchObject({ code: 0, out: '6 files, no faults\n' });
  });

  test.each([
    ['access', 'input.curfew.grant', 'input.curfew.grants'],
    ['access', 'input.curfew.subject.name', 'input.curfew.subject.id'],
    ['admin', 'input.curfew.operator.role', 'input.curfew.operator.roles'],
  ])('check: in package %s, %s is an error with file, line and column, %s is not', async (name, wrong, right) => {
    const pack = readFileSync(join(PACK, `${name}.rego`), 'utf8');
    const with_ = (field: string) => folder({ [`${name}.rego`]: pack, 'own.rego': `package curfew.${name}\n\nrefusals contains "x" if ${field} == 1\n` });
    const path = with_(wrong);
    const { code, err } = await curfew('check', path);
    expect(code).toBe(1);
    expect(err).toMatch(new RegExp(`${join(path, 'own.rego')}:3:\\d+: undefined ref: ${wrong.replaceAll('.', '\\.')}`));
    expect((await curfew('check', with_(right))).err).not.toContain('undefined ref');
  });

  test('fmt: says what is not formatted, formats it, then is content', async () => {
    const path = folder({ 'a.rego': 'package a\np  :=  1' });
    expect(await curfew('fmt', '--check', path)).toMatchObject({ code: 1, err: expect.stringContaining(join(path, 'a.rego')) as string });
    expect(await curfew('fmt', path)).toEqual({ code: 0, out: `${join(path, 'a.rego')}\n`, err: '' });
    expect(await curfew('fmt', '--check', path)).toEqual({ code: 0, out: '', err: '' });
    expect((await curfew('fmt', '--check', PACK)).code).toBe(0);
  });

  test('test: the default pack passes in both engines, every line covered', async () => {
    const { code, out } = await curfew('test', '--coverage', PACK);
    expect(out).toMatch(/^coverage: 100 %\n\d+ passed, 0 failed, 0 skipped\n$/);
    expect(code).toBe(0);
  });

  test('test: a failure is told with its place, in text, JSON and JUnit', async () => {
    const path = folder({ 'a_test.rego': 'package a_test\n\ntest_good if 1 == 1\n\ntest_bad if 1 == 2\n\ntest_cases[x] if {\n\tsome x, y in {"<one>": 1, "two": 2}\n\ty == 1\n}\n' });
    const { code, out } = await curfew('test', path);
    expect(code).toBe(1);
    expect(out).toBe(`${join(path, 'a_test.rego')}:5:1: a_test.test_bad: failed\n${join(path, 'a_test.rego')}:7:1: a_test.test_cases: failed for two\n1 passed, 2 failed, 0 skipped\n`);
    const junit = join(root, 'junit.xml');
    expect(JSON.parse((await curfew('test', path, '--junit', junit, '--json')).out)).toMatchObject({ passed: 1, failed: 2, tests: [{ name: 'test_good', outcome: 'passed' }, { name: 'test_bad' }, {}] });
    expect(readFileSync(junit, 'utf8')).toMatch(/tests="3" failures="2" skipped="0"[\s\S]*name="test_bad" file="a_test\.rego" line="5"[^>]*><failure message="failed">/);
  });

  test('test and build: builtins that only OPA has work here as they do where decisions are made', async () => {
    const path = folder({
      'a.rego': 'package a\n\np := strings.render_template("{{.a}}", {"a": input.x})\n',
      'a_test.rego': 'package a_test\n\nimport data.a\n\ntest_made if a.p == "7" with input.x as 7\n\ntest_many if count({made | some x in numbers.range(1, 300); made := a.p with input.x as x}) == 300\n',
    });
    expect(await curfew('test', path)).toMatchObject({ code: 0, out: expect.stringContaining('2 passed, 0 failed') as string });
    expect(await curfew('build', path, '--out', join(root, 'made.tar.gz'), '-e', 'a/p')).toMatchObject({ code: 0 });
  });

  test('test: what only OPA passes is a difference, and a failure', async () => {
    // The engine has no such builtin, and refuses it by name.
    const path = folder({ 'a_test.rego': 'package a_test\n\ntest_good if 1 == 1\n\ntest_runtime if is_object(opa.runtime())\n' });
    const { code, out } = await curfew('test', path);
    expect(code).toBe(1);
    expect(out).toContain("a_test.test_runtime: can not run in Curfew's engine");
    expect(out).toContain('opa.runtime');
    const twice = folder({ 'a_test.rego': 'package a_test\n\ntest_a if 1 == 1\n\ntest_a if 1 == 1\n' });
    expect(await curfew('test', twice)).toMatchObject({ code: 1, out: expect.stringContaining('the name of another test') as string });
  });

  test('test: cases are compared one by one', async () => {
    const path = folder({ 'a_test.rego': 'package a_test\n\ntest_cases[x] if {\n\tsome x, y in {"one": 1, "two": 2}\n\ty > 0\n}\n' });
    expect(await curfew('test', path)).toMatchObject({ code: 0, out: '1 passed, 0 failed, 0 skipped\n' });
  });

  test('eval: the result for an input, its trace, undefined', async () => {
    const path = folder({ 'a.rego': 'package curfew.access\n\ndecision := {"allow": true, "ns": time.now_ns()} if input.x == 1\n', 'input.json': '{"x": 1}' });
    const input = ['--input', join(path, 'input.json')];
    expect(JSON.parse((await curfew('eval', path, ...input, '--at', '1970-01-01T00:00:01Z')).out)).toEqual({ allow: true, ns: 1_000_000_000 });
    expect((await curfew('eval', path, ...input, '--trace', 'full')).out).toContain('Eval input.x = 1');
    expect(await curfew('eval', path)).toMatchObject({ code: 0, out: 'undefined\n' });
  });

  test('init: a starter pack that checks, is formatted and passes its tests; never over what is there', async () => {
    const path = join(root, 'mine');
    expect((await curfew('init', path)).code).toBe(0);
    expect(await curfew('check', path)).toMatchObject({ code: 0 });
    expect(await curfew('fmt', '--check', path)).toMatchObject({ code: 0 });
    expect(await curfew('test', path)).toMatchObject({ code: 0 });
    expect(await curfew('init', path)).toMatchObject({ code: 1 });
  });

  test('bad input: no folder, no Rego, broken data, data outside the roots', async () => {
    expect(await curfew('check', join(root, 'nowhere'))).toMatchObject({ code: 1, err: expect.stringContaining('is not a folder') as string });
    expect(await curfew('check', folder({ 'data.json': '{}' }))).toMatchObject({ code: 1, err: expect.stringContaining('no .rego file') as string });
    expect(await curfew('check', folder({ 'a.rego': 'package a\n', 'data.json': '{' }))).toMatchObject({ code: 1, err: expect.stringContaining('data.json') as string });
    expect(await curfew('check', folder({ 'a.rego': 'package a\n', '.manifest': '{"roots":["b"]}' }))).toMatchObject({ code: 1, err: expect.stringContaining('a.rego') as string });
    expect(await curfew('check', folder({ 'a.rego': 'package a\n\np := 1\n', 'data.json': '{"a":{"p":2}}' }))).toMatchObject({ code: 1, err: expect.stringContaining('a.rego:3:1') as string });
  });
});
