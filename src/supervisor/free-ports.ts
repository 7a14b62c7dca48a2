/**
 * Finds ports for listeners that are configured with 0. All workers share one listening socket an address, and they can only do
 * so under a number that they all know; so it is chosen here, once, and kept for every later worker.
 */
import { createServer, type AddressInfo } from 'node:net';
import type { Config } from '../config/schema.ts';
import type { JsonObject } from '../domain/json.ts';

const freePort = (host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

export type FreePorts = Readonly<Record<'http' | 'grpc', number | undefined>>;

/** `undefined` where a port is configured, or none is wanted. */
export const findFreePorts = async ({ http, grpc }: Config): Promise<FreePorts> => ({
  http: http.port === 0 ? await freePort(http.host) : undefined,
  grpc: grpc.port === 0 ? await freePort(grpc.host) : undefined,
});

export const withPorts = (raw: JsonObject, ports: FreePorts): JsonObject => {
  const section = (name: 'http' | 'grpc'): JsonObject => ({ ...(raw[name] as JsonObject | undefined), ...(ports[name] === undefined ? {} : { port: ports[name] }) });
  return { ...raw, http: section('http'), grpc: section('grpc') };
};
