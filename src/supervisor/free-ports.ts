/**
 * Finds ports for listeners that are configured with 0. All workers share one listening socket an address, and they can only do
 * so under a number that they all know; so it is chosen here, once, and kept for every later worker. Between here and the first
 * worker's bind the number is nobody's: it lies below those that the system gives to outgoing connections by itself, which on a
 * busy machine would take it in that moment. Another program that chooses like this one may take it still: then others are chosen.
 */
import { randomInt } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import type { Config } from '../config/schema.ts';
import type { JsonObject } from '../domain/json.ts';

/** Linux gives out 32768 to 60999, others 49152 to 65535; `to` is exclusive. */
const OURS = { from: 20_000, to: 32_768 };
const ATTEMPTS = 20;
const STARTS_MAX = 3;

/** A whole number from `from`, below `to`. */
type Pick = (from: number, to: number) => number;

const tryPort = (host: string, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => {
      const { port: taken } = server.address() as AddressInfo;
      server.close(() => resolve(taken));
    });
  });

const freePort = async (host: string, pick: Pick, other?: number): Promise<number> => {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const picked = pick(OURS.from, OURS.to);
    // Nothing is bound yet, so it would be free for both.
    const port = picked === other ? undefined : await tryPort(host, picked).catch(() => undefined);
    if (port !== undefined) return port;
  }
  // Whatever keeps us from those: the system's own choice, or its reason.
  return tryPort(host, 0);
};

export type FreePorts = Readonly<Record<'http' | 'grpc', number | undefined>>;

/** `undefined` where a port is configured, or none is wanted. */
export const findFreePorts = async ({ http, grpc }: Config, pick: Pick = randomInt): Promise<FreePorts> => {
  const found = http.port === 0 ? await freePort(http.host, pick) : undefined;
  return { http: found, grpc: grpc.port === 0 ? await freePort(grpc.host, pick, found) : undefined };
};

/** Starts with ports that were found, and with others where `isTaken` says of the failure that somebody else has one of them. */
export const onFreePorts = async <T>(find: () => Promise<FreePorts>, start: (ports: FreePorts) => Promise<T>, isTaken: (error: unknown) => boolean): Promise<T> => {
  for (let starts = 1; ; starts += 1) {
    const ports = await find();
    try {
      return await start(ports);
    } catch (error) {
      const chosen = ports.http !== undefined || ports.grpc !== undefined;
      if (!chosen || starts >= STARTS_MAX || !isTaken(error)) throw error;
    }
  }
};

export const withPorts = (raw: JsonObject, ports: FreePorts): JsonObject => {
  const section = (name: 'http' | 'grpc'): JsonObject => ({ ...(raw[name] as JsonObject | undefined), ...(ports[name] === undefined ? {} : { port: ports[name] }) });
  return { ...raw, http: section('http'), grpc: section('grpc') };
};
