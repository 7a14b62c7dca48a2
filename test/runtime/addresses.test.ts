/** Where the real program listens: by file, variable and flag, each over the one before; and where it refuses to. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { until } from '../support/until.ts';
import { ENTRY, runCurfew, temporaryDirectory } from './curfew.ts';

const directory = temporaryDirectory();
afterAll(() => directory.remove());
const IDENTITY = 'identity: {issuers: [{kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {file: mesh.json}}]}\n';
const configure = (text: string): void => {
  writeFileSync(join(directory.path, 'mesh.json'), '{"keys": []}');
  writeFileSync(join(directory.path, 'curfew.yaml'), `store: {path: store}\n${IDENTITY}${text}`);
};

test('each port can be moved by file, by variable and by flag: flags win over variables, variables over the file; 0 is any free one, printed', { timeout: 120_000 }, async () => {
  const [a, b, c, d, e, f] = (await freePorts(6)) as unknown as [number, number, number, number, number, number];
  configure(`http: {port: ${a}}\ngrpc: {port: ${b}}\nadmin: {port: ${c}}\n`);
  const { NODE_OPTIONS: _, ...env } = process.env;
  const clean = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CURFEW_') && !name.startsWith('VITEST')));
  const run = async (args: readonly string[], variables: Record<string, string>): Promise<readonly string[]> => {
    const child = spawn(process.execPath, [ENTRY, 'serve', '--config', 'curfew.yaml', '--workers', '1', ...args], { cwd: directory.path, env: { ...clean, ...variables }, stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise((resolve) => child.once('close', resolve));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => { said += text; });
    try {
      const line = await until('it to say where it listens', () => /^Curfew serves: .*$/m.exec(said)?.[0], 60_000);
      const ports = [...line.matchAll(/:(\d+)(?=,|$)/g)].map(([, port]) => port as string);
      expect((await fetch(`http://127.0.0.1:${ports[0]}/health/live`)).status).toBe(200);
      expect((await fetch(`http://127.0.0.1:${ports[2]}/health/live`)).status).toBe(200);
      return ports;
    } finally {
      child.kill('SIGTERM');
      await ended;
    }
  };
  expect(await run([], {})).toEqual([a, b, c].map(String));
  expect(await run(['--admin-port', String(f)], { CURFEW_HTTP_PORT: String(d), CURFEW_GRPC_PORT: String(e), CURFEW_ADMIN_PORT: '1' })).toEqual([d, e, f].map(String));
  const any = await run(['--http-port', '0', '--set', 'grpc.port=0'], { CURFEW_ADMIN_PORT: '0' });
  for (const port of any) expect([a, b, c, 0].map(String)).not.toContain(port);
  expect(new Set(any).size).toBe(3);
  // Between being chosen and being bound by a worker, no outgoing connection may be given it.
  for (const port of any.slice(0, 2)) expect(Number(port)).toBeLessThan(32_768);
});

const PEP = 'peps: [{id: gw, token: {sha256: "0000000000000000000000000000000000000000000000000000000000000000"}}]\n';
test.each([
  ['decisions over HTTP, and nobody who could prove itself', 'http: {host: 0.0.0.0}\n', /http\.host: 0\.0\.0\.0 is reachable/],
  ['decisions over HTTP by a name', 'http: {host: curfew.internal}\n', /http\.host: curfew\.internal is reachable/],
  ['decisions over gRPC, and nobody who could prove itself', 'grpc: {host: "::"}\n', /grpc\.host: :: is reachable/],
  ['administration without TLS', 'admin: {host: 0.0.0.0}\n', /admin\.tls: is needed/],
  ['everything at once: all of it is said', 'http: {host: 0.0.0.0}\ngrpc: {host: 0.0.0.0}\nlimits: {evaluationBudgetMs: 500}\n', /http\.host.*\n.*grpc\.host.*\n.*evaluationBudgetMs/],
])('refuses to listen beyond loopback: %s', async (_what, text, why) => {
  configure(text);
  const { code, stderr } = await runCurfew(['serve', '--config', 'curfew.yaml'], { directory: directory.path });
  expect(code).toBe(1);
  expect(stderr).toMatch(why);
});
test.each([
  ['gateways that prove themselves', `http: {host: 0.0.0.0}\ngrpc: {host: "::"}\n${PEP}`],
  ['anonymous ones, written out', 'http: {host: 0.0.0.0, pep: anonymous}\ngrpc: {host: 0.0.0.0, pep: anonymous}\n'],
  ['administration without TLS, written out', 'admin: {host: 0.0.0.0, plaintext: allowed}\n'],
])('takes addresses beyond loopback with %s', async (_what, text) => {
  configure(text);
  expect(await runCurfew(['config', 'check', '--config', 'curfew.yaml'], { directory: directory.path })).toEqual({ code: 0, stdout: 'The configuration is valid.\n', stderr: '' });
});

test('config check of a file that can not be read says so, as serve does', async () => {
  for (const command of [['config', 'check'], ['serve']]) {
    const { code, stderr } = await runCurfew([...command, '--config', 'nowhere.yaml'], { directory: directory.path });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^The configuration is not valid:\n {2}nowhere\.yaml: can not be read \(ENOENT\)\n$/)]);
  }
});
