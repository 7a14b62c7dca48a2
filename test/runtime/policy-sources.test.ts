/** Policies as people write them, under the real program: a folder that is saved in, plain bundles, several bundles, and what is refused before it decides. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { writeArchive } from '../../src/policy/bundle/write-archive.ts';
import { openToolchain } from '../../src/policy/toolchain/open-toolchain.ts';
import { buildBundle } from '../../src/policy/toolchain/pack-bundle.ts';
import { readSources } from '../../src/policy/toolchain/read-sources.ts';
import type { Sources, Toolchain } from '../../src/policy/toolchain/toolchain.ts';
import { describeWith, repositoryRoot } from '../parts.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew, type CurfewOptions } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/ci/deployer';
const PACK = join(repositoryRoot, 'policies/curfew');
const ENTRYPOINTS = ['curfew/access/decision', 'curfew/admin/decision'];

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

interface Stage {
  readonly curfew: Curfew;
  readonly dir: string;
  /** Status and reason of one question. */
  ask(): Promise<string>;
  metric(name: string): Promise<string | undefined>;
  ready(): Promise<{ readonly status: number; readonly detail?: string }>;
}

const directory = (): string => {
  const { path, remove } = temporaryDirectory();
  ending.push(remove);
  return path;
};

const stage = async (dir: string, options: CurfewOptions): Promise<Stage> => {
  const curfew = await startCurfew({ directory: dir, ...options });
  ending.push(curfew.stop);
  await curfew.grant(WORKLOAD);
  const token = await curfew.mint(WORKLOAD);
  return {
    curfew, dir,
    ask: async () => {
      const { status, reason } = await curfew.ask(token);
      return `${status} ${reason ?? ''}`.trim();
    },
    metric: async (name) => new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(await curfew.metrics())?.[1],
    ready: async () => {
      const response = await fetch(`http://127.0.0.1:${curfew.ports.admin}/health/ready`);
      return { ...((await response.json()) as { detail?: string }), status: response.status };
    },
  };
};

const inFolder = async (): Promise<Stage> => {
  const dir = directory();
  cpSync(PACK, join(dir, 'policies'), { recursive: true });
  return stage(dir, { args: ['--policy', 'policies', '--set', 'policy.bundle.reloadIntervalMs=200'] });
};

/** As editors save: a file beside it, renamed over it. Who looks meanwhile never finds half of it. */
const save = (path: string, text: string): void => {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
};

const REFUSES = 'package curfew.access\n\nrefusals contains "closed today" if input.curfew.resource.id == "shop.local/orders/42"\n';

describeWith(['go'], 'policies under the real program', () => {
  let toolchain: Toolchain;
  const bundleOf = async (sources: Sources, name = 'test'): Promise<Uint8Array> => (await buildBundle(toolchain, sources, name, { entrypoints: ENTRYPOINTS })).archive;
  beforeAll(async () => {
    buildToolchain();
    toolchain = await openToolchain();
    return () => toolchain.close();
  }, 600_000);

  test('a folder: a save decides, a broken one does not and is told with file, line and column, and mending it counts again', async () => {
    const { curfew, dir, ask, metric, ready } = await inFolder();
    const own = join(dir, 'policies/own.rego');
    expect(await ask()).toBe('200');
    save(own, REFUSES);
    await until('the rule to decide', async () => (await ask()) === '403 policy.denied');
    await until('it to be said', () => /Policy policies-[0-9a-f]{12} decides now\./.test(curfew.stdout()));

    save(own, `${REFUSES}\nrefusals contains 7 if nope(1)\n`);
    await until('the refusal', async () => (await metric('curfew_bundle_refused')) === '1');
    expect(await ask()).toBe('403 policy.denied');
    await until('it to be told', () => curfew.stderr().includes('is refused'));
    expect(await ready()).toMatchObject({ status: 200, detail: expect.stringContaining('policies/own.rego:5:24: undefined function nope') as string });
    const told = curfew.stderr().split('\n').filter((line) => line.includes('is refused')).map((line) => JSON.parse(line) as object);
    expect(told).toMatchObject([{ level: 'error', file: 'policies/own.rego', line: 5, column: 24 }]);

    save(own, 'package curfew.access\n');
    await until('the mended one to decide', async () => (await ask()) === '200');
    expect(await metric('curfew_bundle_refused')).toBe('0');
    expect((await ready()).detail).toBeUndefined();
  });

  test('a folder that is broken or missing at the start is told with file, line and column, and nothing starts', async () => {
    const dir = directory();
    cpSync(PACK, join(dir, 'policies'), { recursive: true });
    writeFileSync(join(dir, 'policies/own.rego'), 'package curfew.access\n\nrefusals contains 1 if nope(1)\n');
    const start = (folder: string) => runCurfew(['dev', '--http-port', '0', '--grpc-port', '0', '--admin-port', '0', '--policy', folder], { directory: dir });
    expect(await start('policies')).toMatchObject({ code: 2, stderr: expect.stringMatching(/^Curfew does not start: policies\/own\.rego:3:24: undefined function nope/) as string });
    expect(await start('nowhere')).toMatchObject({ code: 2, stderr: expect.stringMatching(/^Curfew does not start: nowhere is not there/) as string });
  });

  test('a folder: failing tests, data that is not JSON and a link out of it are refused with their place; a folder that vanishes changes nothing', async () => {
    const { curfew, dir, ask } = await inFolder();
    const own = join(dir, 'policies/own_test.rego');
    const refused = (text: string): Promise<true> => until(text, () => curfew.stderr().includes(text) || undefined).then(() => true as const);
    writeFileSync(own, 'package curfew.own_test\n\ntest_never if false\n');
    await refused('policies/own_test.rego:3:1: test curfew.own_test.test_never: failed');
    rmSync(own);
    mkdirSync(join(dir, 'policies/more'));
    writeFileSync(join(dir, 'policies/more/data.json'), '{"x": 1,\n}');
    await refused('policies/more/data.json:2:1: is not JSON');
    rmSync(join(dir, 'policies/more'), { recursive: true });
    symlinkSync('/etc/hostname', join(dir, 'policies/passwd.rego'));
    await refused('passwd.rego:1:1: is a link out of the folder');
    rmSync(join(dir, 'policies/passwd.rego'));
    renameSync(join(dir, 'policies'), join(dir, 'elsewhere'));
    await refused('policies is not there');
    expect(await ask()).toBe('200');
    renameSync(join(dir, 'elsewhere'), join(dir, 'policies'));
    writeFileSync(join(dir, 'policies/own.rego'), REFUSES);
    await until('it to decide again', async () => (await ask()) === '403 policy.denied');
  });

  test('an archive of plain Rego is compiled when it is loaded, and when it is replaced', async () => {
    const dir = directory();
    const plain = (more: Sources): Uint8Array => writeArchive(Object.entries({ ...readSources(PACK), ...more }).map(([name, text]) => [name, Buffer.from(text)]));
    writeFileSync(join(dir, 'plain.tar.gz'), plain({}));
    const { ask, curfew } = await stage(dir, { args: ['--set', 'policy.bundle.file=plain.tar.gz', '--set', 'policy.bundle.reloadIntervalMs=50'] });
    expect(await ask()).toBe('200');
    writeFileSync(join(dir, 'plain.tar.gz'), plain({ 'own.rego': 'package curfew.access\n\nrefusals contains 1 if {' }));
    await until('the refusal', () => curfew.stderr().includes('plain.tar.gz: own.rego:3:'));
    expect(await ask()).toBe('200');
    writeFileSync(join(dir, 'plain.tar.gz'), plain({ 'own.rego': REFUSES }));
    await until('the rule to decide', async () => (await ask()) === '403 policy.denied');
  });

  test('several bundles decide together: a compiled one, and data that changes; overlapping roots are refused by name', async () => {
    const dir = directory();
    writeFileSync(join(dir, 'rules.tar.gz'), await bundleOf({ ...readSources(PACK), 'own.rego': 'package curfew.access\n\nrefusals contains "read-only" if data.site.closed\n' }, 'rules'));
    const facts = (root: string, data: unknown): void => {
      mkdirSync(join(dir, 'facts'), { recursive: true });
      writeFileSync(join(dir, 'facts/.manifest'), JSON.stringify({ roots: [root] }));
      writeFileSync(join(dir, 'facts/data.json'), JSON.stringify(data));
    };
    facts('site', { site: { closed: true } });
    const { ask, curfew } = await stage(dir, { args: ['--set', 'policy.bundles=[{name: rules, file: rules.tar.gz}, {name: facts, directory: facts}]', '--set', 'policy.bundle.reloadIntervalMs=50'] });
    expect(await ask()).toBe('403 policy.denied');
    facts('site', { site: { closed: false } });
    await until('the new data to count', async () => (await ask()) === '200');
    facts('curfew/entitlements', { curfew: { entitlements: {} } });
    await until('the refusal', () => curfew.stderr().includes('bundles \\"rules\\" and \\"facts\\" both own \\"curfew/entitlements\\"'));
    expect(await ask()).toBe('200');
  });

  test('D1: a bundle that takes too long for anything, and one whose own tests fail, never decide', async () => {
    const dir = directory();
    const { 'admin_test.rego': _, ...pack } = readSources(PACK);
    const bundle = join(dir, 'bundle.tar.gz');
    writeFileSync(bundle, await bundleOf(pack));
    const { ask, curfew } = await stage(dir, { args: ['--set', `policy.bundle.file=${bundle}`, '--set', 'policy.bundle.reloadIntervalMs=50'] });
    const pids = curfew.workers();
    const endless = 'package curfew.access\n\nrefusals contains "never" if {\n\ts := {x | some x in numbers.range(1, 1000)}\n\tsome a in s\n\tsome b in s\n\tsome c in s\n\tsome d in s\n\ta + b + c + d == input.curfew.never\n}\n';
    writeFileSync(bundle, await bundleOf({ ...pack, 'own.rego': endless }));
    await until('the refusal', () => curfew.stderr().includes('a trial of curfew/access/decision: the evaluation exceeded its budget'));
    const conflict = 'package curfew.access\n\nx := 1 if input.curfew.action\n\nx := 2 if input.curfew.action\n\nrefusals contains "x" if x == 3\n';
    writeFileSync(bundle, await bundleOf({ ...pack, 'own.rego': conflict }));
    await until('the refusal', () => /a trial of curfew\/access\/decision: [^"]*conflict/.test(curfew.stderr()));
    const tested = await toolchain.compile({ ...pack, 'z_test.rego': 'package curfew.z_test\n\ntest_wrong if false\n' }, { entrypoints: [...ENTRYPOINTS, 'curfew/z_test/test_wrong'], tests: true });
    writeFileSync(bundle, tested);
    await until('the refusal', () => curfew.stderr().includes('test curfew/z_test/test_wrong: failed'));
    expect(await ask()).toBe('200');
    expect(curfew.workers()).toEqual(pids);
  });

  test('D4: a builtin that only OPA has is served, said and bounded; without the toolchain the bundle is refused by name', async () => {
    const dir = directory();
    const rendered = 'package curfew.access\n\nrefusals contains strings.render_template("closed on {{.day}}", {"day": "Sunday"}) if input.curfew.action == "GET"\n';
    writeFileSync(join(dir, 'bundle.tar.gz'), await bundleOf({ ...readSources(PACK), 'own.rego': rendered }));
    const args = ['--set', 'policy.bundle.file=bundle.tar.gz'];
    const { curfew, ask } = await stage(dir, { args });
    await until('the rule to decide', async () => (await ask()) === '403 policy.denied');
    const line = curfew.stderr().split('\n').find((text) => text.includes("OPA's own implementation")) ?? '{}';
    const { builtins, residentBytes } = JSON.parse(line) as { builtins: string; residentBytes: number };
    expect(builtins).toBe('strings.render_template');
    expect(residentBytes).toBeGreaterThan(50e6);
    await curfew.stop();

    const bare = directory();
    for (const name of ['package.json', 'bundles', 'policies']) cpSync(join(repositoryRoot, name), join(bare, name), { recursive: true });
    cpSync(join(repositoryRoot, 'dist'), join(bare, 'dist'), { recursive: true, filter: (path) => path !== join(repositoryRoot, 'dist/toolchain') });
    symlinkSync(join(repositoryRoot, 'node_modules'), join(bare, 'node_modules'));
    let said = '';
    try {
      execFileSync(process.execPath, [join(bare, 'dist/main.js'), 'dev', '--http-port', '0', '--grpc-port', '0', '--admin-port', '0', ...args], { cwd: dir, encoding: 'utf8', env: { PATH: '/nowhere' }, stdio: 'pipe' });
    } catch (error) {
      said = (error as { stderr: string }).stderr;
    }
    expect(said).toContain("needs strings.render_template, which only OPA's own implementation has: no Rego toolchain");
  });

  test('D4: http.send is refused by name, with a toolchain too', async () => {
    const { curfew, dir, ask } = await inFolder();
    writeFileSync(join(dir, 'policies/own.rego'), 'package curfew.access\n\nrefusals contains "x" if http.send({"method": "GET", "url": "http://127.0.0.1:1/"}).status_code == 200\n');
    await until('the refusal', () => curfew.stderr().includes('needs http.send (a decision does not wait for other servers'));
    expect(await ask()).toBe('200');
  });
});
