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
  close(): void;
}

/** The server did not say anything. */
export class Unanswered extends StoreUnavailable {}

const RETRY_MS_MAX = 500;
/** Answers of the server that a person can act on; the rest of a message may hold what was sent. */
const KNOWN = /^(?:NOSCRIPT|OOM|READONLY|NOAUTH|WRONGPASS|NOPERM|MISCONF|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|BUSY|UNKILLABLE|WRONGTYPE|MOVED|ASK|TRYAGAIN|CROSSSLOT)\b/;
const CURFEW = /CURFEW [a-z ]+/;

const ADVICE = new Map<string, string>([
  ['OOM', 'the server is at its maxmemory: give it more; what was acknowledged is safe'],
  ['READONLY', 'this server is a replica: configure the primary, or Sentinel or Cluster'],
  ['NOAUTH', 'the server wants a password: configure store.redis.password'],
  ['WRONGPASS', 'user name or password are not right'],
  ['NOPERM', "the server's ACL lets this user not do what Curfew needs: see docs/guides/redis.md for the commands"],
  ['MISCONF', 'the server can not persist: look at its log and its disk'],
  ['NOREPLICAS', 'too few replicas follow the primary'],
  ['LOADING', 'the server still reads its data'],
  ['WRONGTYPE', 'a key beginning with cf: is not Curfew’s: use another database'],
]);

/** What went wrong, without anything that was sent. */
export const faultText = (error: unknown): string => {
  const { message = '', code } = error as { readonly message?: string; readonly code?: string };
  const own = CURFEW.exec(message)?.[0];
  if (own !== undefined) return own.slice('CURFEW '.length);
  const known = KNOWN.exec(message)?.[0] ?? [...ADVICE.keys()].find((name) => message.includes(`${name} `));
  if (known !== undefined) return `${known}${ADVICE.has(known) ? ` (${ADVICE.get(known)})` : ''}`;
  if (/timed out|ETIMEDOUT/i.test(message)) return 'no answer in time';
  if (/enableOfflineQueue|Connection is closed|max retries|Stream/i.test(message)) return 'no connection';
  if (typeof code === 'string' && /^[A-Z_]+$/.test(code)) return code;
  return 'the server refused';
};

const optionsOf = (options: ConnectionOptions) => ({
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  disableClientInfo: true,
  protocol: 2 as const,
  db: options.database,
  connectTimeout: options.connectTimeoutMs,
  // A connection on which nothing comes although something is waited for is given up, and what waits on it with it.
  socketTimeout: options.connectTimeoutMs,
  retryStrategy: (times: number) => Math.min(RETRY_MS_MAX, 25 * 2 ** Math.min(times, 8)) * (0.5 + Math.random() / 2),
  ...(options.username === undefined ? {} : { username: options.username }),
  ...(options.password === undefined ? {} : { password: options.password }),
  ...(options.tls === undefined ? {} : { tls: { minVersion: 'TLSv1.2' as const, ...options.tls } }),
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

export const connect = (options: ConnectionOptions): Connection => {
  const client = clientOf(options);
  let failure: unknown;
  let inFlight = 0;
  client.on('error', (error: unknown) => { failure = error; });
  let generation = 0;
  const follow = (node: Redis): void => {
    hearAllErrors(node);
    for (const event of ['ready', 'close']) node.on(event, () => { generation += 1; });
  };
  if (client instanceof Cluster) client.on('+node', follow);
  else follow(client);
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
    close: () => client.disconnect(),
  };
};

/** A connection that hears what others publish. What is published while there is none is not heard. */
export interface Listener {
  hear(channel: string): void;
  close(): void;
}

/** `heard` is also called, with no message, for every channel when there is a connection again. */
export const listen = (options: ConnectionOptions, heard: (channel: string, message: string | undefined) => void): Listener => {
  const client = clientOf(options);
  const channels = new Set<string>();
  const subscribe = (channel: string): void => void client.subscribe(channel).then(() => heard(channel, undefined), () => undefined);
  client.on('error', () => undefined);
  if (client instanceof Cluster) client.on('+node', hearAllErrors);
  else hearAllErrors(client);
  client.on('ready', () => channels.forEach(subscribe));
  client.on('message', heard);
  client.connect().catch(() => undefined);
  return {
    hear: (channel) => {
      channels.add(channel);
      if (client.status === 'ready') subscribe(channel);
    },
    close: () => client.disconnect(),
  };
};
