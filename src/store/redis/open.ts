/** Opens the Redis store: looks at the server before it touches anything, and refuses with what to do. */
import type { Clock } from '../../decision/ports.ts';
import type { Instant } from '../../domain/instant.ts';
import { untilOver } from '../leases.ts';
import type { Longest } from '../longest.ts';
import { StoreUnavailable, type NodeStore } from '../port.ts';
import { redisConfigFault } from './config-fault.ts';
import type { RedisStoreConfig } from './config.ts';
import { connect, listen, type Connection, type ConnectionOptions } from './connection.ts';
import { startFences, type Fences } from './fence.ts';
import { knowsEndingsOf, refuseUnlessWhole, watchRestored } from '../provenance.ts';
import { realmKeys } from './keys.ts';
import { createLearning, type Learning } from './learn.ts';
import { createRetireLimits, retireLimits } from './limits.ts';
import { openMarks, readMeta, type StoreMode } from './marks.ts';
import { createSeal, replaceable, type Seal } from './seal.ts';
import { createRedisStore, type RedisStoreParts } from './store.ts';
import { keeping } from './keeper.ts';
import { startWatch } from './watch.ts';
import { readWitnessFile } from './witness-file.ts';
import { createWitness, type Witness } from './witness.ts';

export interface RedisStoreOptions {
  readonly config: RedisStoreConfig;
  /** A store belongs to the mode that made it. */
  readonly mode: StoreMode;
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>;
  readonly secrets: { readonly readFile: (path: string) => string; readonly env: (name: string) => string | undefined };
  /** In place of the server's time; for tests. */
  readonly instant?: () => Instant;
  readonly lookEveryMs?: number;
  /** This process decides, and may answer from memory where `mode: leased` says so. */
  readonly decides?: boolean;
  /** Of every answer that it gives. */
  readonly limits?: Longest;
  /** Those that will be asked about; a store from which one of them was moved is refused. */
  readonly realms?: readonly string[];
  /** For the operator who says what has ended since the backup: the store answers all the same. */
  readonly asRestored?: boolean;
  /** Where this node keeps what it knows of the server; one of its processes, the keeper, writes it. */
  readonly memory?: { readonly path: string; readonly keeper: boolean; readonly realms: readonly string[] };
}

const INTEGRITY_CHARS_MIN = 32;
const INTEGRITY_KEYS_MAX = 8;
const LOOK_EVERY_MS = 1_000;
const RETRY_AT_START_MS = 250;

type Secret = NonNullable<RedisStoreConfig['password']>;

const topologyOf = (config: RedisStoreConfig, secret: (of: Secret | undefined, what: string) => string | undefined): ConnectionOptions['topology'] => {
  if (config.cluster !== undefined) return { kind: 'cluster', nodes: config.cluster };
  if (config.sentinels === undefined) return { kind: 'standalone', address: { host: config.host, port: config.port } };
  const password = secret(config.sentinelPassword, 'sentinelPassword');
  return {
    kind: 'sentinel', sentinels: config.sentinels, name: config.primaryName,
    ...(config.sentinelUsername === undefined ? {} : { username: config.sentinelUsername }),
    ...(password === undefined ? {} : { password }),
  };
};

/** Tries until it works or `waitMs` are over. A server that is there and not good enough does not become better by waiting. */
const whenThere = async (attempt: () => Promise<void>, waitMs: number, now: () => number): Promise<void> => {
  const until = now() + waitMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(now() < until) || !/no connection|no answer|LOADING/.test((error as Error).message)) throw error;
      await new Promise((resolve) => { setTimeout(resolve, RETRY_AT_START_MS); });
    }
  }
};

/** A server that writes nothing down forgets leases when it restarts, and those who hold them don't. */
const sinceConnected = (connection: Connection, clock: Pick<Clock, 'monotonicMs'>, leaseMs: number): (() => number) => {
  let generation = connection.generation();
  let since = clock.monotonicMs();
  return () => {
    if (connection.generation() !== generation) [generation, since] = [connection.generation(), clock.monotonicMs()];
    return Math.max(0, untilOver(leaseMs) - Math.floor(clock.monotonicMs() - since));
  };
};

/** What the configuration says about the server, with its secrets. Throws `StoreUnavailable`, which says what to do. */
export const serverOf = (config: RedisStoreConfig, secrets: RedisStoreOptions['secrets']): { readonly connection: ConnectionOptions; readonly seal: Seal } => {
  const fault = redisConfigFault(config);
  if (fault !== undefined) throw new StoreUnavailable(`store.redis: ${fault}`);
  const secret = (of: Secret | undefined, what: string): string | undefined => {
    if (of === undefined) return undefined;
    let text: string;
    try {
      text = ('file' in of ? secrets.readFile(of.file) : (secrets.env(of.env) ?? '')).trim();
    } catch (cause) {
      throw new StoreUnavailable(`store.redis.${what} can not be read: ${(cause as NodeJS.ErrnoException).code ?? 'no such file'}`, { cause });
    }
    if (text === '') throw new StoreUnavailable(`store.redis.${what} is empty`);
    return text;
  };
  const pem = (path: string | undefined): string | undefined => (path === undefined ? undefined : secret({ file: path }, 'tls'));
  const integrityKey = secret(config.integrityKey, 'integrityKey');
  // The newest first, one a line.
  const integrityKeys = (integrityKey ?? '').split('\n').map((line) => line.trim()).filter((line) => line !== '');
  if (integrityKeys.some((key) => key.length < INTEGRITY_CHARS_MIN)) throw new StoreUnavailable(`store.redis.integrityKey is shorter than ${INTEGRITY_CHARS_MIN} characters`);
  if (integrityKeys.length > INTEGRITY_KEYS_MAX) throw new StoreUnavailable(`store.redis.integrityKey has more than ${INTEGRITY_KEYS_MAX} lines`);
  const password = secret(config.password, 'password');
  const { tls } = config;
  const [ca, cert, key] = [pem(tls?.ca), pem(tls?.cert), pem(tls?.key)];
  const connection: ConnectionOptions = {
    topology: topologyOf(config, secret),
    connectTimeoutMs: config.connectTimeoutMs,
    inFlightMax: config.inFlightMax,
    database: config.database,
    ...(config.username === undefined ? {} : { username: config.username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined
      ? {}
      : { tls: { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }), ...(tls.serverName === undefined ? {} : { servername: tls.serverName }) } }),
  };
  return { connection, seal: createSeal(...integrityKeys.map((line) => Buffer.from(line, 'utf8'))) };
};

/** Rejects with `StoreUnavailable`, which says what to do. */
export const openRedisStore = async (options: RedisStoreOptions): Promise<NodeStore> => {
  const { config, mode, clock, secrets } = options;
  const { connection, seal: firstSeal } = serverOf(config, secrets);
  const seal = replaceable(firstSeal);
  let witness: Witness | undefined;
  let learning: Learning | undefined;
  /** What files hold now. One that can't be read just now is no reason to forget what was in it. */
  const renewed = (): ConnectionOptions | undefined => {
    try {
      const now = serverOf(config, secrets);
      seal.replace(now.seal);
      return now.connection;
    } catch {
      return undefined;
    }
  };
  const [reads, writes] = [connect(connection, renewed), connect(connection, renewed)];
  const { durability, commitTimeoutMs } = config;
  const watch = startWatch({ connection: reads, timeoutMs: config.readTimeoutMs, durability, clock, everyMs: options.lookEveryMs ?? LOOK_EVERY_MS, onLook: () => { renewed(); learning?.again(); } });
  const replicas = typeof durability === 'string' ? 0 : durability.replicated;
  let fence: Fences | undefined;
  try {
    await whenThere(async () => {
      await Promise.all([reads.ready(), writes.ready()]);
      await watch.look();
    }, config.waitAtStartMs, () => clock.now().latest);
    if (replicas > 0) {
      fence = startFences({ connection: writes, replicas, leaseMs: config.leaseMs, timeoutMs: commitTimeoutMs, clock, witness: () => witness, onLost: () => { reads.again(); writes.again(); } }, options.realms ?? options.memory?.realms ?? []);
      await fence.ready();
    }
    const { epoch, provenance, short } = await openMarks(writes, commitTimeoutMs, mode);
    refuseUnlessWhole(provenance, options.realms ?? []);
    const { memory } = options;
    const remembered = memory === undefined ? undefined : readWitnessFile(memory.path);
    if (remembered !== undefined && remembered.epoch !== epoch && !knowsEndingsOf(provenance, remembered.epoch, remembered.realms)) {
      throw new StoreUnavailable(`the server holds another store than the one this node knew: what had ended may no longer be known. Restore the right one, or accept the loss with \`curfew endings accept-loss\``);
    }
    witness = createWitness(remembered?.epoch === epoch ? remembered.realms : undefined, replicas > 0 ? (realm) => writes.at(realmKeys(realm).state).generation() : undefined);
    const restored = provenance.restored !== undefined && options.asRestored !== true;
    const whole = restored ? watchRestored(async () => (await readMeta(reads, config.readTimeoutMs))?.provenance.restored !== undefined) : undefined;
    const storeParts: RedisStoreParts = {
      reads, writes, epoch, watch, witness, commitTimeoutMs, seal, short,
      readTimeoutMs: config.readTimeoutMs,
      replicas, clock,
      leaseMs: config.leaseMs,
      ...(config.mode === 'leased' && options.decides === true ? { leasesOver: (heard) => listen(connection, heard, renewed) } : {}),
      ...(config.mode === 'leased' && durability === 'memory' ? { settleMs: sinceConnected(writes, clock, config.leaseMs) } : {}),
      ...(fence === undefined ? {} : { fence }),
      check: () => (whole === undefined ? learning?.ready() : whole().then(() => learning?.ready())),
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.instant === undefined ? {} : { instant: options.instant }),
    };
    const store = createRedisStore(storeParts);
    if (memory === undefined) return store;
    if (!memory.keeper) {
      learning = createLearning({ read: () => readWitnessFile(memory.path), epoch, generation: () => reads.generation() + writes.generation(), witness, asked: store.asked });
      return store;
    }
    // Whatever it was told before: a loss may also go back behind the start of this process.
    const asItIs = createRedisStore({ ...storeParts, witness: { ...createWitness(), known: () => undefined } });
    // Keys that are another program's are found out now, not by the first question.
    if (!restored) for (const realm of memory.realms) await asItIs.facts({ realm, keys: [] });
    const stop = retireLimits(createRetireLimits({ connection: writes, epoch, replicas, timeoutMs: commitTimeoutMs }, clock), memory.realms);
    const kept = keeping({ store, asItIs, witness, memory, replicated: replicas > 0, everyMs: options.lookEveryMs ?? LOOK_EVERY_MS });
    return { ...kept, close: async () => { await stop(); await kept.close(); } };
  } catch (error) {
    watch.stop();
    fence?.stop();
    reads.close();
    writes.close();
    throw error;
  }
};
