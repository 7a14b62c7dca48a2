/** The gRPC listeners of the Envoy gateway: TCP, Unix socket, or both, with health and reflection beside the authorization service. */
import { createHealthService } from '../../grpc/health.ts';
import type { GrpcMethod } from '../../grpc/method.ts';
import { reflectionMethods } from '../../grpc/reflection.ts';
import { startGrpcServer, type GrpcServer, type GrpcServerOptions, type GrpcTls } from '../../grpc/server.ts';
import { spreadOver, type SpreadListeners } from '../spread-over.ts';
import type { EnvoyGatewayConfig } from './config.ts';
import type { EnvoyGateway } from './gateway.ts';

export interface EnvoyListeners extends SpreadListeners {
  /** `host:port` or `unix:` and the path, in the order TCP, Unix. */
  readonly addresses: readonly string[];
  /** The TCP port; `undefined` when there is none. */
  readonly port: number | undefined;
  /** What the health service says; it starts with no. */
  setServing(serving: boolean): void;
  /** For new connections; open ones keep theirs, unless they are to be cut. */
  reloadTls(tls: GrpcTls, cut?: boolean): void;
  /** Says "not serving", lets open calls end, then cuts them. */
  close(): Promise<void>;
}

export interface EnvoyListenersOptions {
  readonly config: EnvoyGatewayConfig;
  readonly gateway: EnvoyGateway;
  /** What the files of `config.tls` hold; needed when it is there. */
  readonly tls?: GrpcTls | undefined;
}

export const startEnvoyGateway = async ({ config, gateway, tls }: EnvoyListenersOptions): Promise<EnvoyListeners> => {
  if ((config.tls !== undefined) !== (tls !== undefined)) throw new Error('TLS is configured, but its certificates were not given, or the reverse');
  const health = createHealthService(gateway.services);
  const methods = new Map<string, GrpcMethod>(gateway.methods);
  if (config.health) for (const [path, method] of health.methods) methods.set(path, method);
  if (config.reflection) {
    const services = [...gateway.services, ...(config.health ? ['grpc.health.v1.Health'] : [])];
    for (const [path, method] of reflectionMethods(services)) methods.set(path, method);
  }

  const listens: GrpcServerOptions[] = [];
  if (config.port !== false) listens.push({ listen: { host: config.host, port: config.port }, limits: config.limits, methods, ...(tls === undefined ? {} : { tls }) });
  if (config.unix !== undefined) listens.push({ listen: config.unix, limits: config.limits, methods });
  const servers: GrpcServer[] = [];
  const close = async (): Promise<void> => {
    health.setServing(false);
    await Promise.all(servers.map((server) => server.close()));
  };
  try {
    for (const options of listens) servers.push(await startGrpcServer(options));
  } catch (error) {
    await close();
    throw error;
  }
  const overTcp = config.port === false ? undefined : servers[0];
  return {
    addresses: servers.map(({ address }) => address),
    port: overTcp?.port,
    setServing: health.setServing,
    reloadTls: (next, cut) => overTcp?.reloadTls(next, cut),
    ...spreadOver(servers),
    close,
  };
};
