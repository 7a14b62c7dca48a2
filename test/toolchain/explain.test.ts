/** `curfew policy explain` on sources and inputs: which rules held, where the others stopped, which were left out. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { runCli, type CliDeps } from '../../src/cli/program.ts';
import { openToolchain } from '../../src/policy/toolchain/open-toolchain.ts';
import type { Toolchain } from '../../src/policy/toolchain/toolchain.ts';
import { describeWith } from '../parts.ts';

const none = { run: () => Promise.resolve(0) };

const POLICY = `package curfew.access

default decision := {"allow": false}

decision := {"allow": true, "grant": usable[0].id} if {
	count(refusals) == 0
	count(usable) > 0
}

usable := [grant | some grant in input.curfew.grants; not objected(grant)]

objected(grant) if {
	grant.model == "break-glass"
	not grant.reference
}

refusals contains "frozen" if {
	data.frozen
}

refusals contains "delete" if input.curfew.action == "DELETE"

refusals contains path if {
	some path in input.curfew.paths
	startswith(path, "/admin")
}
`;

describeWith(['go'], 'curfew policy explain', () => {
  let root: string;
  let toolchain: Toolchain;
  beforeAll(async () => {
    buildToolchain();
    toolchain = await openToolchain();
    root = mkdtempSync(join(tmpdir(), 'curfew-explain-'));
    mkdirSync(join(root, 'policy/sub'), { recursive: true });
    writeFileSync(join(root, 'policy/sub/access.rego'), POLICY);
    writeFileSync(join(root, 'policy/data.json'), '{"frozen": false}');
  }, 600_000);
  afterAll(async () => {
    await toolchain.close();
    rmSync(root, { recursive: true, force: true });
  });

  const explain = async (input: unknown, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
    writeFileSync(join(root, 'input.json'), JSON.stringify(input));
    let [out, err] = ['', ''];
    const deps = {
      version: '0', env: {}, local: { serve: none, dev: none, 'config check': none, 'dev-token': none }, stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text),
      readFile: (path: string) => readFileSync(path, 'utf8'), readStdin: () => Promise.resolve(''), openToolchain: () => Promise.resolve({ ...toolchain, close: () => Promise.resolve() }), fetch: globalThis.fetch,
    } as unknown as CliDeps;
    const code = await runCli(['policy', 'explain', join(root, 'policy'), '--input', join(root, 'input.json'), ...args], deps);
    return { code, out, err };
  };
  const asked = (action: string, grants: readonly object[], paths: readonly string[] = []) =>
    ({ curfew: { now_ms: 1_764_000_000_000, action, resource: { type: 'http', id: 'shop.local/1' }, grants, paths } });

  test('a yes: the rules that held, the one that was left out, the one that stopped, each with its place', async () => {
    const { code, out, err } = await explain(asked('GET', [{ id: 'g1', model: 'jit', task: 't1' }]));
    expect([code, err]).toEqual([0, '']);
    expect(out).toBe(`an input, no decision
  asked      GET http:shop.local/1
grants
  yes  g1  jit, task t1
policy
  rule       curfew/access/decision
  here       {"allow":true,"grant":"g1"}
rules of ${join(root, 'policy')}
  yes  decision  sub/access.rego:5  decision := {"allow": true, "grant": usable[0].id} if {
    no   refusals  sub/access.rego:17  refusals contains "frozen" if {
      stops at line 18: data.frozen
    no   refusals  sub/access.rego:23  refusals contains path if {
      stops at line 24: some path in input.curfew.paths
    yes  usable  sub/access.rego:10  usable := [grant | some grant in input.curfew.grants; not objected(grant)]
      no   objected  sub/access.rego:12  objected(grant) if {
        stops at line 13: grant.model == "break-glass"
    no   refusals  sub/access.rego:21  refusals contains "delete" if input.curfew.action == "DELETE"
      left out: one of its comparisons with the input can not hold
`);
  });

  test('a no: what held is what denies; a set says how many values it got and where others stopped', async () => {
    const { out } = await explain(asked('DELETE', [{ id: 'g1', model: 'break-glass' }], ['/admin/a', '/b', '/admin/c']));
    expect(out).toContain('here       {"allow":false}');
    expect(out).toMatch(/ {2}no {3}decision {2}sub\/access\.rego:5 .*\n {4}stops at line 6: count\(refusals\) == 0\n/);
    expect(out).toMatch(/ {4}yes {2}refusals {2}sub\/access\.rego:21 .*DELETE"\n/);
    expect(out).toMatch(/ {4}yes {2}refusals, 2 times {2}sub\/access\.rego:23 .*\n {6}not always at line 25: startswith\(path, "\/admin"\)\n/);
    expect(out).not.toContain('left out');
  });

  test('no line is wider than 120 columns, whatever the input, also with the trace; nothing invisible gets out', async () => {
    const { out } = await explain(asked('GET', [{ id: `g\u001b[31m${'x'.repeat(500)}`, model: 'jit' }], [`/admin\u202e${'y'.repeat(500)}`]), '--trace');
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
    // eslint-disable-next-line no-control-regex
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    expect(out).toContain('\ntrace\nquery:1  Enter data.curfew.access.decision');
  });

  test('secrets of the input are replaced before anything is evaluated', async () => {
    const canary = 'canary-77ab31';
    const input = { ...asked('GET', [{ id: 'g1', model: 'jit' }], [`/admin?token=${canary}`]), attributes: { request: { http: { headers: { authorization: canary, 'x-own': canary } } } } };
    for (const args of [['--trace'], ['--trace', '--json']]) {
      const { out } = await explain(input, '--redact-header', 'X-Own', ...args);
      expect(out).not.toContain(canary);
      expect(out).toContain('/attributes/request/http/headers/authorization');
    }
  });

  test('as JSON: result, masked places, the tree', async () => {
    const { out } = await explain(asked('DELETE', []), '--json');
    const json = JSON.parse(out) as { rules: { rule: string; held: number; failed: unknown[]; children: { rule: string; row: number; held: number }[] }[] };
    expect(json).toMatchObject({ entrypoint: 'curfew/access/decision', result: { allow: false }, masked: [], rules: [{ rule: 'curfew.access.decision', held: 0, failed: [{ row: 6, line: 'count(refusals) == 0' }] }, {}] });
    expect(json.rules[0]?.children.find(({ row }) => row === 21)).toMatchObject({ rule: 'curfew.access.refusals', held: 1 });
  });

  test.each([
    ['nothing to explain', [], ['--action', 'GET'], 'belong together'],
    ['sources that are broken', ['broken'], [], 'broken/a.rego:3:1: '],
    ['an input that is not JSON', [], ['-i', 'nowhere'], 'nowhere can not be read'],
  ])('%s', async (_, folder, args, message) => {
    mkdirSync(join(root, 'broken'), { recursive: true });
    writeFileSync(join(root, 'broken/a.rego'), 'package a\np := \n');
    let err = '';
    const deps = {
      version: '0', env: {}, local: { serve: none, dev: none, 'config check': none, 'dev-token': none }, stdout: () => undefined, stderr: (text: string) => void (err += text),
      readFile: (path: string) => readFileSync(path, 'utf8'), readStdin: () => Promise.resolve('{}'), openToolchain: () => Promise.resolve({ ...toolchain, close: () => Promise.resolve() }), fetch: globalThis.fetch,
    } as unknown as CliDeps;
    expect(await runCli(['policy', 'explain', ...folder.map((name) => join(root, name)), ...(args.length === 0 ? ['-i', '-'] : args)], deps)).toBe(1);
    expect(err).toContain(message);
  });
});
