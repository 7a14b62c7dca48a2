/**
 * One connection to the server. Beside it only `client.ts` and `shard.ts` know the client library.
 *
 * - A command goes out at once or fails at once: nothing is queued while there is no connection, and nothing is ever sent again.
 * - A command whose answer doesn't come in time fails, and so does every one that waits on a connection that breaks. For one that
 *   writes this means that its outcome is unknown.
 * - Not more than `inFlightMax` commands wait for answers.
 */
import { Cluster, type Redis } from 'ioredis';
import { createHash } from 'node:crypto';
import { StoreUnavailable } from '../port.ts';
import { clientOf, hearAllErrors, renewing, reviving, whereabouts, type ConnectionOptions } from './client.ts';
import { faultText } from './fault-text.ts';
import { shardsOf, type Shard } from './shard.ts';

export type { Address, ConnectionOptions } from './client.ts';
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
  /** Gives up this connection and makes another one, which finds whoever is the primary now. On a cluster it asks who is. */
  again(): void;
  /** The same on a cluster's primary for this key alone (`shard.ts`); on one server there is no difference. */
  at(key: string): Connection;
  close(): void;
}

/** The server did not say anything. */
export class Unanswered extends StoreUnavailable {}

export const connect = (options: ConnectionOptions, renewed: () => ConnectionOptions | undefined = () => undefined): Connection => {
  const client = clientOf(options);
  let failure: unknown;
  let inFlight = 0;
  // That a connection was given up says nothing of why.
  client.on('error', (error: unknown) => { if (failure === undefined || faultText(error) !== 'no connection') failure = error; });
  let generation = 0;
  const generations = new WeakMap<Redis, number>();
  const follow = (node: Redis): void => {
    hearAllErrors(node);
    renewing(node, options.topology, renewed);
    for (const event of ['ready', 'close']) {
      node.on(event, () => {
        generation += 1;
        generations.set(node, generation);
      });
    }
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

  const script = (to: () => Pick<Redis, 'callBuffer'>): Connection['script'] => (timeoutMs, { lua, sha }, keys, args) =>
    answered(timeoutMs, async () => {
      try {
        return await to().callBuffer('EVALSHA', sha, keys.length, ...keys, ...args);
      } catch (error) {
        // The one answer that says that nothing was done.
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
        return to().callBuffer('EVAL', lua, keys.length, ...keys, ...args);
      }
    }) as Promise<readonly unknown[]>;
  const shards = client instanceof Cluster ? shardsOf(client, (node) => generations.get(node)) : undefined;
  const on = (shard: Shard): Connection => {
    const missed = (error: unknown): never => {
      shard.missed();
      throw error;
    };
    return {
      ...whole,
      command: (timeoutMs, name, ...args) => answered(timeoutMs, async () => shard.primary().callBuffer(name, ...args)).catch(missed),
      script: (...asked) => script(shard.primary)(...asked).catch(missed),
      generation: shard.generation,
    };
  };

  const whole: Connection = {
    sharded: client instanceof Cluster,
    ready: async () => {
      await Promise.race([connecting, new Promise<void>((resolve) => { setTimeout(resolve, options.connectTimeoutMs).unref(); })]);
      if (client.status !== 'ready') throw new StoreUnavailable(`redis: no connection to ${whereabouts(options.topology)}${failure === undefined ? '' : ` (${faultText(failure)})`}`);
    },
    command: (timeoutMs, name, ...args) => answered(timeoutMs, () => client.callBuffer(name, ...args)),
    everywhere: (timeoutMs, name, ...args) =>
      Promise.all((client instanceof Cluster ? client.nodes('master') : [client]).map((node) => answered(timeoutMs, () => node.callBuffer(name, ...args)))),
    script: script(() => client),
    generation: () => generation,
    waiting: () => inFlight,
    again: () => {
      shards?.refresh();
      if (!(client instanceof Cluster) && client.status === 'ready') client.disconnect(true);
    },
    at: (key) => (shards === undefined ? whole : on(shards.of(key))),
    close,
  };
  return whole;
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
