/** `npm run test:toolchain`: what takes minutes and changes only with the toolchain. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain, buildWasm, sha256 } from '../../scripts/toolchain.mjs';
import { describeWith, repositoryRoot } from '../parts.ts';

const MINUTES = 60_000;

describeWith(['go'], 'the built toolchain', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'curfew-toolchain-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('two builds in different folders, the second from an empty cache, have equal hashes', () => {
    const first = readFileSync(join(buildToolchain(), 'opa.wasm'));
    const copy = join(folder, 'elsewhere', 'toolchain');
    cpSync(join(repositoryRoot, 'toolchain'), copy, { recursive: true });
    const out = join(folder, 'again.wasm');
    buildWasm(copy, out, { GOCACHE: join(folder, 'gocache') });
    expect(sha256(readFileSync(out))).toBe(sha256(first));
  }, 10 * MINUTES);

  test('the npm package, installed in an empty folder with neither Go nor opa on PATH, runs every command of policy', () => {
    const app = join(folder, 'app');
    const bin = join(folder, 'bin');
    for (const path of [app, bin]) mkdirSync(path);
    execFileSync('npm', ['pack', '--pack-destination', folder], { cwd: repositoryRoot, stdio: ['ignore', 'ignore', 'inherit'] });
    const [archive = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
    writeFileSync(join(app, 'package.json'), '{"private":true}');
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', join(folder, archive)], { cwd: app, stdio: ['ignore', 'ignore', 'inherit'] });
    const curfew = (...args: readonly string[]): string =>
      execFileSync(process.execPath, [join(app, 'node_modules/curfew/dist/main.js'), 'policy', ...args], { cwd: app, encoding: 'utf8', env: { PATH: bin } });
    expect(existsSync(join(app, 'node_modules/curfew/dist/toolchain/opa.wasm'))).toBe(false);
    curfew('init', 'mine');
    expect(curfew('check', 'mine')).toContain('no faults');
    curfew('fmt', '--check', 'mine');
    expect(curfew('test', '--coverage', 'mine')).toMatch(/\d+ passed, 0 failed/);
    curfew('build', 'mine', '--out', 'mine.tar.gz');
    expect(existsSync(join(app, 'mine.tar.gz'))).toBe(true);
    writeFileSync(join(app, 'input.json'), '{"curfew":{"grants":[],"now_ms":0}}');
    expect(curfew('eval', 'mine', '--input', 'input.json')).toContain('"allow": false');
  }, 10 * MINUTES);
});
