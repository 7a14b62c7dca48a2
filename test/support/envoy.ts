/** A real Envoy for tests: started with a configuration, its ports found out through its admin interface, always ended. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { repositoryRoot, requirePart } from '../parts.ts';
import { until } from './until.ts';

export interface EnvoyPorts {
  /** How long Envoy waits for an answer; the default is long, so that a busy machine fails no test. `shipped`: as the file says. */
  readonly patience?: 'shipped' | undefined;
  /** Where Curfew's gRPC listener is: a TCP port of loopback, or the path of a Unix socket. */
  readonly curfew: number | string;
  readonly service: number;
}

/** Envoy's configuration; loosely typed, tests change single members. */
export type EnvoyConfiguration = any;

export interface RunningEnvoy {
  /** Port of the listener with this name. */
  port(listener?: string): number;
  /** Text that the admin interface answers. */
  admin(path: string): Promise<string>;
  /** A counter or gauge of Envoy's, 0 when it has none. */
  stat(name: string): Promise<number>;
  log(): string;
  readonly pid: number;
  stop(): Promise<void>;
}

const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** The connection manager of the first listener. */
export const connectionManager = (config: EnvoyConfiguration): any => config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
/** The ext_authz filter of the first listener. */
export const extAuthz = (config: EnvoyConfiguration): any => connectionManager(config).http_filters[0].typed_config;

/** The shipped example, with nothing changed but its addresses (free ports here, and the given ones of Curfew and the service) and its patience. */
export const shippedConfiguration = (ports: EnvoyPorts): EnvoyConfiguration => {
  const config = parse(readFileSync(join(repositoryRoot, 'deploy/envoy/envoy.yaml'), 'utf8'));
  config.admin.address = address(0);
  config.static_resources.listeners[0].address = address(0);
  const endpoint = (cluster: string) =>
    config.static_resources.clusters.find(({ name }: { name: string }) => name === cluster).load_assignment.endpoints[0].lb_endpoints[0].endpoint;
  endpoint('curfew').address = typeof ports.curfew === 'string' ? { pipe: { path: ports.curfew } } : address(ports.curfew);
  endpoint('service').address = address(ports.service);
  if (ports.patience !== 'shipped') extAuthz(config).grpc_service.timeout = '10s';
  return config;
};

/** Starts Envoy and waits until it serves. */
export const startEnvoy = async (config: EnvoyConfiguration): Promise<RunningEnvoy> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-envoy-'));
  const file = join(folder, 'envoy.json');
  const adminFile = join(folder, 'admin');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(
    requirePart('envoy'),
    ['-c', file, '--admin-address-path', adminFile, '--use-dynamic-base-id', '--disable-hot-restart', '--concurrency', '1', '--log-level', 'warning', '--file-flush-interval-msec', '10'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  let gone = false;
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      gone = true;
      rmSync(folder, { recursive: true, force: true });
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  // A test process that ends without having stopped its Envoy takes it along.
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  child.once('exit', () => process.off('exit', onExit));

  let base = '';
  const admin = async (path: string): Promise<string> => {
    const response = await fetch(`${base}${path}`);
    return response.text();
  };
  try {
    const ports = await until('Envoy serves', async () => {
      if (gone) throw new Error(`Envoy ended:\n${log}`);
      try {
        base = `http://${readFileSync(adminFile, 'utf8').trim()}`;
        if (!(await admin('/ready')).startsWith('LIVE')) return undefined;
        const { listener_statuses: listeners } = JSON.parse(await admin('/listeners?format=json'));
        return new Map<string, number>(listeners.map((listener: any) => [listener.name, listener.local_address.socket_address.port_value]));
      } catch (error) {
        if (gone) throw error;
        return undefined;
      }
    }, 20_000);
    return {
      port: (listener) => {
        const port = listener === undefined ? [...ports.values()][0] : ports.get(listener);
        if (port === undefined) throw new Error(`Envoy has no listener ${listener}`);
        return port;
      },
      admin,
      stat: async (name) => {
        const { stats } = JSON.parse(await admin(`/stats?format=json&filter=${encodeURIComponent(`^${name.replaceAll('.', '\\.')}$`)}`));
        return stats.find((stat: any) => stat.name === name)?.value ?? 0;
      },
      log: () => log,
      pid: child.pid as number,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};
