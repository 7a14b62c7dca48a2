/** The client library, set up so that it queues nothing, sends nothing again, and goes on connecting until it is closed. */
import { Cluster, Redis } from 'ioredis';
import type { Duplex } from 'node:stream';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ConnectionOptions {
  /** One: a server. `sentinels`: those that know it by `name`. `cluster`: some of its nodes. */
  readonly topology:
    | { readonly kind: 'standalone'; readonly address: Address }
    | { readonly kind: 'sentinel'; readonly sentinels: readonly Address[]; readonly name: string; readonly username?: string; readonly password?: string }
    | { readonly kind: 'cluster'; readonly nodes: readonly Address[] };
  readonly database: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly servername?: string };
  readonly connectTimeoutMs: number;
  readonly inFlightMax: number;
}

const RETRY_MS_MAX = 500;
const REVIVE_MS = 50;
const tlsOf = (tls: NonNullable<ConnectionOptions['tls']>) => ({ minVersion: 'TLSv1.2' as const, ...tls });

const optionsOf = (options: ConnectionOptions) => ({
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  disableClientInfo: true,
  protocol: 2 as const,
  db: options.database,
  connectTimeout: options.connectTimeoutMs,
  // One that was the primary when it was connected to: another one is by now. Nothing is sent again.
  reconnectOnError: (error: Error) => error.message.includes('READONLY '),
  // A connection on which nothing comes although something is waited for is given up, and what waits on it with it.
  socketTimeout: options.connectTimeoutMs,
  retryStrategy: (times: number) => Math.min(RETRY_MS_MAX, 25 * 2 ** Math.min(times, 8)) * (0.5 + Math.random() / 2),
  ...(options.username === undefined ? {} : { username: options.username }),
  ...(options.password === undefined ? {} : { password: options.password }),
  ...(options.tls === undefined ? {} : { tls: tlsOf(options.tls) }),
});

export const whereabouts = (topology: ConnectionOptions['topology']): string => {
  const texts = (addresses: readonly Address[]): string => addresses.map(({ host, port }) => `${host}:${port}`).join(', ');
  switch (topology.kind) {
    case 'standalone': return texts([topology.address]);
    case 'sentinel': return `the primary "${topology.name}" of the Sentinels ${texts(topology.sentinels)}`;
    case 'cluster': return `the cluster of ${texts(topology.nodes)}`;
  }
};

export const clientOf = (options: ConnectionOptions): Redis | Cluster => {
  const { topology } = options;
  const common = optionsOf(options);
  switch (topology.kind) {
    case 'standalone':
      return new Redis({ ...common, ...topology.address });
    case 'sentinel':
      return new Redis({
        ...common, sentinels: topology.sentinels.map((address) => ({ ...address })), name: topology.name, role: 'master', failoverDetector: true,
        // One that stands still is passed over.
        sentinelCommandTimeout: options.connectTimeoutMs,
        ...(topology.username === undefined ? {} : { sentinelUsername: topology.username }),
        ...(topology.password === undefined ? {} : { sentinelPassword: topology.password }),
        ...(options.tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: { ...options.tls } }),
      });
    case 'cluster': {
      const { retryStrategy: _retry, enableOfflineQueue: _queue, ...redisOptions } = common;
      return new Cluster(topology.nodes.map((node) => ({ ...node })), {
        lazyConnect: true, enableOfflineQueue: false, scaleReads: 'master', redisOptions,
        // Zero: a command whose connection broke is not sent again.
        retryDelayOnFailover: 0,
        clusterRetryStrategy: (times) => Math.min(RETRY_MS_MAX, 25 * 2 ** Math.min(times, 8)),
      });
    }
  }
};

/**
 * The library hears one error of a socket; a second one, as TLS has them, would end the process. And it goes on in database 0 where the server refuses
 * the one that is configured: such a connection is given up before anything is asked over it.
 */
export const hearAllErrors = (client: Redis): void => {
  client.on('error', (error: Error & { readonly command?: { readonly name?: string } }) => {
    (client as unknown as { readonly stream?: Duplex }).stream?.on('error', () => undefined);
    if (error.name === 'ReplyError' && error.command?.name === 'select') client.disconnect(true);
  });
};

/** `renewed`: passwords, keys and certificates as they are now; asked when a connection was lost, before there is another. */
export const renewing = (client: Redis, topology: ConnectionOptions['topology'], renewed: () => ConnectionOptions | undefined): void => {
  client.on('close', () => {
    const now = renewed();
    if (now === undefined) return;
    const { password, tls, topology: where } = now;
    Object.assign(client.options, { ...(password === undefined ? {} : { password }), ...(tls === undefined ? {} : { tls: tlsOf(tls) }) });
    if (topology.kind === 'sentinel' && where.kind === 'sentinel') Object.assign(client.options, { ...(where.password === undefined ? {} : { sentinelPassword: where.password }), ...(tls === undefined ? {} : { sentinelTLS: tls }) });
  });
};

/**
 * The library gives up for good when a Sentinel tells of another primary while it is just asking who that is: it takes the one for the
 * end of the other. Until it is closed by us a connection is made again. Gives what closes it.
 */
export const reviving = (client: Redis | Cluster): (() => void) => {
  let closed = false;
  client.on('end', () => {
    if (!closed) setTimeout(() => { if (!closed) client.connect().catch(() => undefined); }, REVIVE_MS).unref();
  });
  return () => {
    closed = true;
    client.disconnect();
  };
};
