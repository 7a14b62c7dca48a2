import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { bundleOf, newKey } from '../identity/forge.ts';
import { describeWith, repositoryRoot } from '../parts.ts';
import { freePorts } from '../support/free-ports.ts';
import { until } from '../support/until.ts';
import { parseDockerfile, readIgnore, replay, stagesOf, type Image, type Instruction } from './dockerfile.ts';

const text = readFileSync(join(repositoryRoot, 'Dockerfile'), 'utf8');
const instructions = parseDockerfile(text);
const last = stagesOf(instructions).at(-1) ?? [];
const only = (name: string): Instruction => {
  const [found, ...more] = last.filter((instruction) => instruction.name === name);
  if (found === undefined || more.length > 0) throw new Error(`the last stage should have one ${name}`);
  return found;
};

describe('the Dockerfile', () => {
  test('has a build stage and a small last one, both from the slim image of Node 24', () => {
    expect(instructions.filter(({ name }) => name === 'FROM').map((from) => from.text)).toEqual(['node:24-slim AS build', 'node:24-slim']);
  });
  test('uses no shell, no install script, no ADD and no build argument', () => {
    for (const { name, exec } of instructions.filter((instruction) => ['RUN', 'CMD', 'ENTRYPOINT', 'HEALTHCHECK', 'VOLUME'].includes(instruction.name))) expect(exec, name).toBeDefined();
    for (const { exec } of instructions.filter(({ name }) => name === 'RUN')) {
      expect(exec?.[0]).not.toMatch(/sh$/);
      if (exec?.[1] === 'ci' || exec?.[1] === 'prune') expect(exec).toContain('--ignore-scripts');
    }
    expect(instructions.map(({ name }) => name).filter((name) => ['ADD', 'ARG', 'SHELL', 'ONBUILD'].includes(name))).toEqual([]);
  });
  test('does not run as root, and nothing is made after the user is set', () => {
    expect(only('USER').text).toBe('1000:1000');
    const user = last.findIndex(({ name }) => name === 'USER');
    expect(last.slice(user).map(({ name }) => name)).not.toContain('RUN');
  });
  test('exposes the default ports, and checks the readiness of the decisions', () => {
    const { http, grpc, admin } = configSchema.parse({});
    expect(only('EXPOSE').text.split(' ').map(Number)).toEqual([http.port, grpc.port, admin.port]);
    expect(only('HEALTHCHECK').exec?.join(' ')).toContain(`http://127.0.0.1:${String(http.port)}/health/ready`);
  });
  test('copies only what the context has', () => {
    const { all, kept } = readIgnore(readFileSync(join(repositoryRoot, '.dockerignore'), 'utf8'));
    expect(all).toBe(true);
    expect([...kept].filter((name) => !existsSync(join(repositoryRoot, name)))).toEqual([]);
    expect([...kept].filter((name) => /test|\.git$|\.curfew|node_modules|dist/.test(name))).toEqual([]);
  });
});

const NOBODY = 65_534;
const asRoot = process.getuid?.() === 0;
/** Programs before which another user must be set, when we are root. */
const asNobody = asRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--no-new-privs'] : [];

describeWith(['go'], 'its steps, replayed here from the lock file on', () => {
  let root: string;
  let image: Image;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'curfew-image-'));
    chmodSync(root, 0o755);
    image = replay(instructions, root);
  }, 300_000);
  afterAll(() => {
    execFileSync('chmod', ['-R', 'u+w', root]);
    rmSync(root, { recursive: true, force: true });
  });

  test('leave only what serving needs', () => {
    const modules = image.at('/opt/curfew/node_modules');
    for (const name of ['typescript', 'vitest', 'oxlint']) expect(existsSync(join(modules, name)), name).toBe(false);
    for (const name of ['lmdb', 'jose', 'zod']) expect(existsSync(join(modules, name)), name).toBe(true);
    expect(existsSync(image.at('/opt/curfew/src'))).toBe(false);
    expect(statSync(image.at('/var/lib/curfew')).mode & 0o777).toBe(0o700);
  });

  test('make a Curfew that can check and test policies, with nothing of Go', () => {
    const run = (...args: readonly string[]): string =>
      execFileSync(process.execPath, [image.at('/opt/curfew/dist/main.js'), 'policy', ...args], { cwd: root, encoding: 'utf8', env: { PATH: '/nowhere' } });
    expect(run('init', join(root, 'mine'))).toContain('default pack');
    expect(run('test', join(root, 'mine'))).toMatch(/\d\d passed, 0 failed/);
    expect(existsSync(image.at('/opt/curfew/dist/toolchain/opa.wasm'))).toBe(true);
    expect(existsSync(image.at('/usr/local/go'))).toBe(false);
  });

  test('make a Curfew that serves as somebody who may write nothing but its state, is found healthy, and drains', async () => {
    const state = image.at('/var/lib/curfew');
    const etc = image.at('/etc/curfew');
    mkdirSync(etc, { recursive: true });
    writeFileSync(join(etc, 'keys.json'), JSON.stringify(bundleOf(newKey())));
    writeFileSync(join(etc, 'curfew.yaml'), JSON.stringify({
      workers: 1, store: { path: join(state, 'store') },
      identity: { issuers: [{ kind: 'spiffe', trustDomain: 'example.org', audiences: ['curfew'], bundle: { file: join(etc, 'keys.json') } }] },
    }));
    if (asRoot) chownSync(state, NOBODY, NOBODY);
    else execFileSync('chmod', ['-R', 'a-w', image.at('/opt')]);
    const [http = 0, grpc = 0, admin = 0] = await freePorts(3);
    const command = [...(only('ENTRYPOINT').exec ?? []), ...(only('CMD').exec ?? [])].map((word) => (word.startsWith('/') ? image.at(word) : word.replace(/^node$/, process.execPath)));
    const [program = '', ...args] = [...asNobody, ...command];
    const environment = { PATH: process.env['PATH'], ...image.environment, TMPDIR: '/nowhere', CURFEW_HTTP_PORT: String(http), CURFEW_GRPC_PORT: String(grpc), CURFEW_ADMIN_PORT: String(admin) };
    const health = (): number | null => {
      const [node = '', ...rest] = (only('HEALTHCHECK').exec ?? []).map((word) => word.replace(/^node$/, process.execPath).replace(':8181', `:${http}`));
      return spawnSync(node, rest, { stdio: 'ignore', env: { PATH: process.env['PATH'] } }).status;
    };
    expect(health()).toBe(1);
    const child = spawn(program, args, { cwd: image.at(image.workdir), env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    let code: number | null | undefined;
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const gone = new Promise<void>((resolve) => child.once('close', (status) => {
      code = status;
      resolve();
    }));
    try {
      await until('the container to be healthy', () => {
        if (code !== undefined) throw new Error(`it ended with ${code}:\n${said}`);
        return health() === 0;
      }, 30_000);
      const owner = Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]);
      expect(owner).not.toBe(0);
      expect(statSync(join(state, 'store/data.mdb')).uid).toBe(owner);
      const asked = await fetch(`http://127.0.0.1:${http}/forward-auth`);
      expect([asked.status, asked.headers.get('x-curfew-reason')]).toEqual([403, 'denied']);
      child.kill('SIGTERM');
      await gone;
      expect(code, said).toBe(0);
    } finally {
      child.kill('SIGKILL');
      await gone;
    }
  }, 60_000);
});
