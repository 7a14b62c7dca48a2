/**
 * What the tour asks through: a real Envoy with the shipped configuration before a small service, or, where no Envoy is
 * installed, Curfew's forward-auth endpoint itself.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, Agent, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CurfewProcess } from './curfew-process.ts';

export interface Answer {
  readonly allowed: boolean;
  readonly status: number;
  /** Curfew's reason for a denial. */
  readonly reason: string;
}

export interface Gateway {
  readonly name: string;
  ask(token: string, method: string, host: string, path: string): Promise<Answer>;
  /** Requests that reached the service; `undefined` where there is none. */
  reached(): number | undefined;
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_MS_MAX = 15_000;

/** Envoy in the folder of the repository that the tests put it in, or on PATH. */
export const findEnvoy = (root = ROOT): string | undefined => {
  const lib = join(root, '.cache/envoy-venv/lib');
  return [
    ...(existsSync(lib) ? readdirSync(lib).map((python) => join(lib, python, 'site-packages/envoy/_bin/envoy')) : []),
    ...(process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'envoy')),
  ].find((path) => existsSync(path));
};

interface Sent {
  readonly status: number;
  readonly header: (name: string) => string;
}

const agent = new Agent({ keepAlive: true });

const send = (port: number, method: string, path: string, headers: Readonly<Record<string, string>>): Promise<Sent> =>
  new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, header: (name) => String(answer.headers[name] ?? '') }));
    });
    sent.once('error', reject);
    sent.end();
  });

const answerOf = ({ status, header }: Sent): Answer => ({ allowed: status === 200, status, reason: header('x-curfew-reason') });

const overHttp = (curfew: CurfewProcess): Gateway => ({
  name: findEnvoy() === undefined ? 'over HTTP (no Envoy here; `npm test` gets one)' : 'over HTTP',
  ask: async (token, method, host, path) =>
    answerOf(await send(Number(new URL(curfew.http).port), 'GET', '/forward-auth', {
      authorization: `Bearer ${token}`, 'x-forwarded-method': method, 'x-forwarded-proto': 'http', 'x-forwarded-host': host, 'x-forwarded-uri': path,
    })),
  reached: () => undefined,
  stop: () => Promise.resolve(agent.destroy()),
});

const listen = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

/** The shipped example with nothing but its addresses changed. */
const configuration = (curfewPort: number, servicePort: number): string => {
  const ports: Readonly<Record<string, number>> = { '9901': 0, '10000': 0, '9191': curfewPort, '8080': servicePort };
  return readFileSync(join(ROOT, 'deploy/envoy/envoy.yaml'), 'utf8')
    .replace('address: 0.0.0.0', 'address: 127.0.0.1')
    .replace(/port_value: (\d+)/g, (line, port: string) => (ports[port] === undefined ? line : `port_value: ${ports[port]}`));
};

const throughEnvoy = async (curfew: CurfewProcess, program: string): Promise<Gateway> => {
  let reached = 0;
  const service = createServer((_incoming, outgoing) => {
    reached += 1;
    outgoing.end('the service\n');
  });
  const folder = mkdtempSync(join(tmpdir(), 'curfew-demo-envoy-'));
  const adminFile = join(folder, 'admin');
  writeFileSync(join(folder, 'envoy.yaml'), configuration(curfew.grpcPort, await listen(service)));
  const child = spawn(program, ['-c', join(folder, 'envoy.yaml'), '--admin-address-path', adminFile, '--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'error'], { stdio: 'ignore' });
  let gone = false;
  const ended = new Promise<void>((resolve) => child.once('exit', () => { gone = true; resolve(); }));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    agent.destroy();
    service.closeAllConnections();
    service.close();
    rmSync(folder, { recursive: true, force: true });
  };
  const port = async (): Promise<number | undefined> => {
    if (!existsSync(adminFile)) return undefined;
    const base = `http://${readFileSync(adminFile, 'utf8').trim()}`;
    if (!(await (await fetch(`${base}/ready`)).text()).startsWith('LIVE')) return undefined;
    const { listener_statuses: listeners } = (await (await fetch(`${base}/listeners?format=json`)).json()) as {
      listener_statuses?: readonly { readonly local_address: { readonly socket_address: { readonly port_value: number } } }[];
    };
    return listeners?.[0]?.local_address.socket_address.port_value;
  };
  for (let waitedMs = 0; waitedMs < START_MS_MAX && !gone; waitedMs += 50) {
    const found = await port().catch(() => undefined);
    if (found !== undefined) {
      return {
        name: 'through a real Envoy, configured as deploy/envoy/envoy.yaml',
        ask: async (token, method, host, path) => answerOf(await send(found, method, path, { host, authorization: `Bearer ${token}` })),
        reached: () => reached,
        stop,
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop();
  throw new Error(`Envoy did not start (${program})`);
};

export const openGateway = (curfew: CurfewProcess): Promise<Gateway> => {
  const program = process.argv.includes('--http') ? undefined : findEnvoy();
  return program === undefined ? Promise.resolve(overHttp(curfew)) : throughEnvoy(curfew, program);
};
