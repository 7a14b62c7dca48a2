/** OPA's own tools, in a thread of Node: what they answer, and that whatever goes wrong is data. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPA_VERSION as pinned } from '../../scripts/opa.mjs';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import type { Instant } from '../../src/domain/instant.ts';
import { loadPolicy } from '../../src/policy/load-policy.ts';
import { SourcesRefused, ToolchainMissing } from '../../src/policy/toolchain/fault.ts';
import { locateToolchain, OPA_VERSION } from '../../src/policy/toolchain/locate.ts';
import { openToolchain } from '../../src/policy/toolchain/open-toolchain.ts';
import { buildBundle } from '../../src/policy/toolchain/pack-bundle.ts';
import { readSources } from '../../src/policy/toolchain/read-sources.ts';
import { startThread } from '../../src/policy/toolchain/thread.ts';
import type { Toolchain } from '../../src/policy/toolchain/toolchain.ts';
import { describeWith, repositoryRoot } from '../parts.ts';

const pack = (): ReturnType<typeof readSources> => readSources(join(repositoryRoot, 'policies/curfew'));
const faultsOf = async (work: Promise<unknown>): Promise<readonly unknown[]> => {
  const error = await work.then(() => undefined, (cause: unknown) => cause);
  expect(error).toBeInstanceOf(SourcesRefused);
  return (error as SourcesRefused).faults;
};

describeWith(['go'], 'the toolchain', () => {
  let toolchain: Toolchain;
  beforeAll(async () => {
    buildToolchain();
    toolchain = await openToolchain();
  }, 600_000);
  afterAll(() => toolchain.close());

  test('the default pack checks, strictly, and builds to the committed bundle byte for byte', async () => {
    await toolchain.check(pack());
    const { revision, archive } = await buildBundle(toolchain, pack(), 'curfew', { entrypoints: ['curfew/access/decision', 'curfew/admin/decision', 'curfew/lifecycle/decision'] });
    expect(revision).toMatch(/^curfew-[0-9a-f]{12}$/);
    expect(Buffer.from(archive).equals(readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz')))).toBe(true);
  });

  test.skipIf(process.platform !== 'linux')('its thread steps back behind those that decide', async () => {
    await toolchain.format('a.rego', 'package a\n');
    const priorities = readdirSync('/proc/self/task').map((thread) => readFileSync(`/proc/self/task/${thread}/stat`, 'utf8').split(') ')[1]?.split(' ')[16]);
    const behind = Math.min(19, getPriority() + 5);
    expect(priorities.filter((nice) => Number(nice) === behind).length).toBe(behind === getPriority() ? priorities.length : 1);
  });

  test('faults carry file, line and column, all files at once', async () => {
    expect(await faultsOf(toolchain.check({ 'a.rego': 'package a\n\np if {', 'b/b.rego': 'package b\n\nq := }' }))).toEqual(expect.arrayContaining([
      expect.objectContaining({ code: 'rego_parse_error', file: 'a.rego', row: 3 }),
      expect.objectContaining({ code: 'rego_parse_error', file: 'b/b.rego', row: 3 }),
    ]));
    expect(await faultsOf(toolchain.check({ 'a.rego': 'package a\n\np := x\n\nq if 1 + "a" == 2' }))).toMatchObject([{ code: 'rego_unsafe_var_error', file: 'a.rego', row: 3, col: 6 }]);
  });

  test('strict: an unused variable is refused, unless it is asked not to be strict', async () => {
    const sources = { 'a.rego': 'package a\n\np if {\n\tx := 1\n\tinput.y\n}\n' };
    expect(await faultsOf(toolchain.check(sources))).toMatchObject([{ file: 'a.rego', row: 4 }]);
    await toolchain.check(sources, { strict: false });
  });

  test('schemas by annotation find fields that are not there', async () => {
    const schema = { type: 'object', properties: { curfew: { type: 'object', properties: { now_ms: { type: 'integer' } } } } };
    const rule = (field: string) => ({ 'a.rego': `# METADATA\n# scope: package\n# schemas:\n#   - input: schema["facts"]\npackage a\n\np if input.curfew.${field} > 0\n` });
    await toolchain.check(rule('now_ms'), { schemas: { facts: schema } });
    expect(await faultsOf(toolchain.check(rule('now'), { schemas: { facts: schema } }))).toMatchObject([{ code: 'rego_type_error', file: 'a.rego', row: 7, col: 6 }]);
  });

  test('what is formatted stays as it is', async () => {
    expect(await toolchain.format('a.rego', 'package a\np  :=  1')).toBe('package a\n\np := 1\n');
    expect(await toolchain.format('a.rego', 'package a\n\np := 1\n')).toBe('package a\n\np := 1\n');
    expect(await faultsOf(toolchain.format('a.rego', 'package'))).toMatchObject([{ file: 'a.rego', row: 1 }]);
  });

  test('every rule becomes an entrypoint, and the engine serves what was compiled', async () => {
    const sources = { 'a.rego': 'package a.b\n\np := input.x + 1\n\nf(x) := x + p\n\nq contains f(1)\n', 'data.json': '{"a":{"c":7}}' };
    const { archive } = await buildBundle(toolchain, sources, 'x', { entrypoints: ['a/b/p'], everyRule: true });
    const policy = await loadPolicy(archive, { entrypoints: ['a/b/p'] });
    expect(policy.entrypoints.toSorted()).toEqual(['a/b', 'a/b/p', 'a/b/q']);
    expect(policy.evaluate('a/b/q', { x: 1 }, 0 as Instant)).toEqual({ kind: 'value', value: [3] });
  });

  test('an entrypoint that does not exist is refused by name', async () => {
    expect(await faultsOf(toolchain.compile(pack(), { entrypoints: ['curfew/acess/decision'] }))).toMatchObject([{ message: expect.stringContaining('curfew/acess/decision') as string }]);
  });

  test('tests run in OPA, with coverage of every line of the default pack', async () => {
    const { tests, coverage } = await toolchain.test(pack(), { coverage: true });
    expect(tests.length).toBeGreaterThan(15);
    expect(tests.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(coverage?.coverage).toBe(100);
  });

  test('a test that fails says where, what it printed, and why', async () => {
    const sources = { 'a_test.rego': 'package a_test\n\ntest_no if {\n\tprint("seen", 1)\n\t1 == 2\n}\n\ntest_error := 1 / 0\n\ntodo_test_later if 1 == 2\n\ntest_cases[note] if {\n\tsome note, x in {"good": 1, "bad": 2}\n\tx == 1\n}\n' };
    const { tests } = await toolchain.test(sources, { trace: true });
    expect(tests).toMatchObject([
      { name: 'test_no', outcome: 'failed', file: 'a_test.rego', row: 3, output: 'seen 1\n', path: 'a_test/test_no' },
      { name: 'test_error', outcome: 'failed' },
      { name: 'todo_test_later', outcome: 'skipped' },
      { name: 'test_cases', outcome: 'failed', failed: ['bad'] },
    ]);
    expect(tests[0]?.trace).toContain('Fail 1 == 2'.slice(0, 4));
  });

  test('a policy is evaluated with a trace, at the time it is given', async () => {
    const { result, trace } = await toolchain.evaluate({ 'a.rego': 'package a\n\np := [time.now_ns(), input.x]\n' }, { query: 'data.a.p', input: { x: 'é' }, nowMs: 1_700_000_000_000, explain: 'full' });
    expect(result).toEqual([1_700_000_000_000_000_000, 'é']);
    expect(trace).toContain('a.rego:3');
    expect(await toolchain.evaluate({ 'a.rego': 'package a\n\np if input.x\n' }, { query: 'data.a.p' })).toEqual({ printed: '' });
  });

  test('an endless evaluation ends at its time', async () => {
    const endless = { 'a.rego': 'package a\n\np := count([1 | some i in numbers.range(1, 30000); some j in numbers.range(1, 30000); i == j + 40000])\n' };
    expect(await faultsOf(toolchain.evaluate(endless, { query: 'data.a.p', timeoutMs: 300 }))).toMatchObject([{ code: 'toolchain_timeout' }]);
    // The next call has a thread of its own.
    expect(await toolchain.format('a.rego', 'package a')).toBe('package a\n');
  });

  test('any builtin of OPA, with sets and digits kept; errors are undefined, what is not pure is refused', async () => {
    expect(await toolchain.builtin('array.concat', ['[{1,2}, set()]', '[12345678901234567890, {[1]: "\\u0000é"}]'])).toBe('[{1,2},set(),12345678901234567890,{[1]:"\\u0000é"}]');
    expect(await toolchain.builtin('time.now_ns', [], 1_700_000_000_000)).toBe('1700000000000000000');
    expect(await toolchain.builtin('graphql.is_valid', ['"{a}"', '"type Query {a: Int}"'])).toBe('true');
    expect(await toolchain.builtin('crypto.x509.parse_certificates', ['"x"'])).toBeUndefined();
    expect(await faultsOf(toolchain.builtin('http.send', ['{}']))).toMatchObject([{ message: expect.stringContaining('http.send') as string }]);
    expect(await faultsOf(toolchain.builtin('no.such', []))).toHaveLength(1);
  });

  test('it works off the loop: a compile leaves the caller free', async () => {
    let beats = 0;
    const timer = setInterval(() => (beats += 1), 1);
    await toolchain.compile(pack(), { entrypoints: ['curfew/access/decision'] });
    clearInterval(timer);
    expect(beats).toBeGreaterThan(5);
  });
});

describe('finding a toolchain', () => {
  test('is of the version that toolchain/go.mod pins', () => expect(OPA_VERSION).toBe(pinned));

  test('with none, the error says what to install', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'curfew-none-'));
    const { PATH } = process.env;
    process.env['PATH'] = folder;
    try {
      const missing = locateToolchain([pathToFileURL(`${folder}/`)]);
      await expect(missing).rejects.toBeInstanceOf(ToolchainMissing);
      await expect(missing).rejects.toThrow(/npm run toolchain.*opa 1\.22/);
    } finally {
      process.env['PATH'] = PATH;
      rmSync(folder, { recursive: true });
    }
  });

  test('a thread that can not start fails its calls, and does not hang', async () => {
    await expect(startThread('/nonexistent/worker.mjs').call('version', {})).rejects.toBeInstanceOf(ToolchainMissing);
  });
});
