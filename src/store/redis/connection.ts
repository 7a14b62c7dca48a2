/**
 * One connection to the server, and the only module that knows the client library.
 *
 * - A command goes out at once or fails at once: nothing is queued while there is no connection, and nothing is ever sent again.
 * - A command whose answer doesn't come in time fails, and so does every one that waits on a connection that breaks. For one that
 *   writes this means that its outcome is unknown.
 * - Not more than `inFlightMax` commands wait for answers.
 */
import { Cluster, Redis } from 'ioredis';
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { StoreUnavailable } from '../port.ts';
import { faultText } from './fault-text.ts';

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

export type Argument = string | number;

export interface Script {
  readonly lua: string;
  readonly sha: string;
}

export const scriptOf = (lua: string): Script => ({ lua, sha: createHash('sha1').update(lua, 'utf8').digest('hex') });

export interface Connection {
  /** To a cluster. */
  readonly sharded: boolean;
  /** Resolves when it is connected; rejects when that can't be within the time to connect. It goes on trying either way. */
  ready(): Promise<void>;
  command(timeoutMs: number, name: string, ...args: readonly Argument[]): Promise<unknown>;
  /** The same command to every primary. */
  everywhere(timeoutMs: number, name: string, ...args: readonly Argument[]): Promise<readonly unknown[]>;
  script(timeoutMs: number, script: Script, keys: readonly string[], args: readonly Argument[]): Promise<readonly unknown[]>;
  /** Another number after every loss of a connection and every new one. */
  generation(): number;
  /** Commands that wait for their answers. */
  waiting(): number;
  /** Gives up this connection and makes another one, which finds whoever is the primary now. On a cluster the library does that itself. */
  again(): void;
  close(): void;
}

/** The server did not say anything. */
export class Unanswered extends StoreUnavailable {}

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

const whereabouts = (topology: ConnectionOptions['topology']): string => {
  const texts = (addresses: readonly Address[]): string => addresses.map(({ host, port }) => `${host}:${port}`).join(', ');
  switch (topology.kind) {
    case 'standalone': return texts([topology.address]);
    case 'sentinel': return `the primary "${topology.name}" of the Sentinels ${texts(topology.sentinels)}`;
    case 'cluster': return `the cluster of ${texts(topology.nodes)}`;
  }
};

const clientOf = (options: ConnectionOptions): Redis | Cluster => {
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

/** The library hears one error of a socket; a second one, as TLS has them, would end the process. */
const hearAllErrors = (client: Redis): void => {
  client.on('error', () => void (client as unknown as { readonly stream?: Duplex }).stream?.on('error', () => undefined));
};

/** `renewed`: passwords, keys and certificates as they are now; asked when a connection was lost, before there is another. */
const renewing = (client: Redis, topology: ConnectionOptions['topology'], renewed: () => ConnectionOptions | undefined): void => {
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
const reviving = (client: Redis | Cluster): (() => void) => {
  let closed = false;
  client.on('end', () => {
    if (!closed) setTimeout(() => { if (!closed) client.connect().catch(() => undefined); }, REVIVE_MS).unref();
  });
  return () => {
    closed = true;
    client.disconnect();
  };
};

export const connect = (options: ConnectionOptions, renewed: () => ConnectionOptions | undefined = () => undefined): Connection => {
  const client = clientOf(options);
  let failure: unknown;
  let inFlight = 0;
  client.on('error', (error: unknown) => { failure = error; });
  let generation = 0;
  const follow = (node: Redis): void => {
    hearAllErrors(node);
    renewing(node, options.topology, renewed);
    for (const event of ['ready', 'close']) node.on(event, () => { generation += 1; });
  };
  if (client instanceof Cluster) client.on('+node', follow);
  else follow(client);
  const close = reviving(client);
  const connecting = client.connect().catch(() => undefined);

  /** `timeoutMs` counts from now; what comes later is not heard. */
  const answered = async (timeoutMs: number, send: () => Promise<unknown>): Promise<unknown> => {
    if (inFlight >= options.inFlightMax) throw new StoreUnavailable(`${options.inFlightMax} commands wait for the server already`);
    inFlight += 1;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await Promise.race([
        send(),
        new Promise<never>((_resolve, reject) => { timer = setTimeout(() => reject(new Error('timed out')), timeoutMs); }),
      ]);
    } catch (error) {
      // Without the error itself: the server quotes what it was sent, passwords too.
      const text = faultText(error);
      const Fault = (error as Error).name === 'ReplyError' ? StoreUnavailable : Unanswered;
      throw new Fault(`redis: ${text}${text === 'no connection' && failure !== undefined ? ` (${faultText(failure)})` : ''}`);
    } finally {
      clearTimeout(timer);
      inFlight -= 1;
    }
  };

  return {
    sharded: client instanceof Cluster,
    ready: async () => {
      await Promise.race([connecting, new Promise<void>((resolve) => { setTimeout(resolve, options.connectTimeoutMs).unref(); })]);
      if (client.status !== 'ready') throw new StoreUnavailable(`redis: no connection to ${whereabouts(options.topology)}${failure === undefined ? '' : ` (${faultText(failure)})`}`);
    },
    command: (timeoutMs, name, ...args) => answered(timeoutMs, () => client.callBuffer(name, ...args)),
    everywhere: (timeoutMs, name, ...args) =>
      Promise.all((client instanceof Cluster ? client.nodes('master') : [client]).map((node) => answered(timeoutMs, () => node.callBuffer(name, ...args)))),
    script: (timeoutMs, { lua, sha }, keys, args) =>
      answered(timeoutMs, async () => {
        try {
          return await client.callBuffer('EVALSHA', sha, keys.length, ...keys, ...args);
        } catch (error) {
          // The one answer that says that nothing was done.
          if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
          return client.callBuffer('EVAL', lua, keys.length, ...keys, ...args);
        }
      }) as Promise<readonly unknown[]>,
    generation: () => generation,
    waiting: () => inFlight,
    again: () => {
      if (!(client instanceof Cluster) && client.status === 'ready') client.disconnect(true);
    },
    close,
  };
};

/** A connection that hears what others publish. What is published while there is none is not heard. */
export interface Listener {
  hear(channel: string): void;
  close(): void;
}

/** `heard` is also called, with no message, for every channel when there is a connection again. */
export const listen = (options: ConnectionOptions, heard: (channel: string, message: string | undefined) => void, renewed: () => ConnectionOptions | undefined = () => undefined): Listener => {
  const client = clientOf(options);
  const channels = new Set<string>();
  const subscribe = (channel: string): void => void client.subscribe(channel).then(() => heard(channel, undefined), () => undefined);
  client.on('error', () => undefined);
  const follow = (node: Redis): void => {
    hearAllErrors(node);
    renewing(node, options.topology, renewed);
  };
  if (client instanceof Cluster) client.on('+node', follow);
  else follow(client);
  client.on('ready', () => channels.forEach(subscribe));
  client.on('message', heard);
  const close = reviving(client);
  client.connect().catch(() => undefined);
  return {
    hear: (channel) => {
      channels.add(channel);
      if (client.status === 'ready') subscribe(channel);
    },
    close,
  };
};
