/** A real Envoy that asks one gRPC server about every request with the filter of the shipped example, and answers what was allowed itself, so that little else is measured. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { repositoryRoot } from '../harness/run-bench.ts';
import { answers, freePort, stopProcess } from '../http/processes.ts';

export interface BenchEnvoy {
  readonly port: number;
  stop(): Promise<void>;
}

const READY_MS = 30_000;
const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } });

interface Shipped {
  admin: object;
  static_resources: {
    listeners: [{ address: object; filter_chains: [{ filters: [{ typed_config: Manager }] }] }];
    clusters: { name: string; load_assignment: { endpoints: [{ lb_endpoints: [{ endpoint: { address: object } }] }] } }[];
  };
}

interface Manager {
  http_filters: [{ typed_config: { grpc_service: { timeout: string } } }];
  route_config: { virtual_hosts: [{ routes: object[] }] };
}

/** `folder` must not exist. */
export const startBenchEnvoy = async (program: string, grpcPort: number, folder: string): Promise<BenchEnvoy> => {
  const [port, admin] = [await freePort(), await freePort()];
  const config = parse(readFileSync(join(repositoryRoot(), 'deploy/envoy/envoy.yaml'), 'utf8')) as Shipped;
  config.admin = { address: address(admin) };
  const { listeners: [listener], clusters } = config.static_resources;
  listener.address = address(port);
  const [{ typed_config: manager }] = listener.filter_chains[0].filters;
  // How much is carried is measured, not how long a busy machine lets one wait.
  manager.http_filters[0].typed_config.grpc_service.timeout = '10s';
  manager.route_config.virtual_hosts[0].routes = [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'allowed' } } }];
  for (const { name, load_assignment: { endpoints: [{ lb_endpoints: [{ endpoint }] }] } } of clusters) endpoint.address = address(name === 'curfew' ? grpcPort : admin);
  mkdirSync(folder);
  writeFileSync(join(folder, 'envoy.json'), JSON.stringify(config));
  const child = spawn(program, ['-c', join(folder, 'envoy.json'), '--use-dynamic-base-id', '--disable-hot-restart', '--concurrency', '1', '--log-level', 'error'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    await answers(child, `http://127.0.0.1:${admin}/ready`, READY_MS);
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
  return { port, stop: () => stopProcess(child) };
};
