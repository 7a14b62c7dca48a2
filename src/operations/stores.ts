/** Stores as sources and targets of copies, as a configuration names them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { grantRefs } from '../domain/grant-refs.ts';
import type { Instant } from '../domain/instant.ts';
import { readGrant } from '../domain/records.ts';
import type { CopySource, CopyTarget } from '../store/copy/entries.ts';
import { StoreUnavailable, type NodeStore, type StoredRecord } from '../store/port.ts';
import type { Provenance } from '../store/provenance.ts';
import type { Loss } from '../store/redis/declare-lost.ts';
import { lockInstance } from '../supervisor/instance-lock.ts';
import { createClock } from '../time/clock.ts';

export const secretsHere = { readFile: (path: string): string => readFileSync(path, 'utf8'), env: (name: string): string | undefined => process.env[name] };

/** Redis keeps very long names as digests only. */
const places = (record: StoredRecord) => {
  const grant = record.key.kind === 'grant' ? readGrant(record.value) : undefined;
  return grant && { owner: grant.workload, refs: grantRefs(grant) };
};

/** A connection of a tool: one that waits long rather than failing early. */
const redisParts = async ({ redis }: Config['store']) => {
  const [{ serverOf }, { connect }] = await Promise.all([import('../store/redis/open.ts'), import('../store/redis/connection.ts')]);
  const { redisConfigFault } = await import('../store/redis/config-fault.ts');
  const fault = redisConfigFault(redis);
  if (fault !== undefined) throw new StoreUnavailable(`store.redis: ${fault}`);
  const { connection: options, seal } = serverOf(redis, secretsHere);
  const connection = connect(options);
  try {
    await connection.ready();
  } catch (error) {
    connection.close();
    throw error;
  }
  const replicas = typeof redis.durability === 'string' ? 0 : redis.durability.replicated;
  return { connection, seal, replicas, places, timeoutMs: Math.max(redis.commitTimeoutMs, 30_000), close: () => connection.close() };
};

/** `readOnly`: beside a running service. Otherwise no service of this machine may have the directory open. */
export const openSource = async ({ store }: Config, readOnly: boolean): Promise<CopySource> => {
  if (store.kind === 'redis') return (await import('../store/redis/copy.ts')).openRedisSource(await redisParts(store));
  const lock = readOnly ? undefined : await lockInstance(store.path);
  try {
    const source = await (await import('../store/embedded/copy.ts')).openEmbeddedSource({ path: store.path, mapSizeBytes: store.mapSizeBytes, readOnly });
    return { ...source, close: async () => { await source.close(); lock?.release(); } };
  } catch (error) {
    lock?.release();
    throw error;
  }
};

export const openTarget = async ({ store }: Config): Promise<CopyTarget> => {
  if (store.kind === 'redis') {
    const parts = await redisParts(store);
    try {
      // As durable as a service would ask for.
      await (await import('../store/redis/settings.ts')).checkServers(parts.connection, parts.timeoutMs, store.redis.durability);
      return await (await import('../store/redis/copy-target.ts')).openRedisTarget(parts);
    } catch (error) {
      parts.close();
      throw error;
    }
  }
  const lock = await lockInstance(store.path);
  try {
    const target = await (await import('../store/embedded/copy.ts')).openEmbeddedTarget({ path: store.path, mapSizeBytes: store.mapSizeBytes });
    return Object.assign(target, { close: ((close) => async () => { await close(); lock.release(); })(target.close.bind(target)) });
  } catch (error) {
    lock.release();
    throw error;
  }
};

/**
 * What this node knew of the Redis server and the server has no more; with `named`, which must be its name, the store becomes one that
 * says of itself that it has forgotten. `undefined`: nothing, or it says so already.
 */
export const withLoss = async ({ store, realms }: Config, named?: string): Promise<Loss | undefined> => {
  if (store.kind !== 'redis') return undefined;
  const [{ lossOf, declareLost }, { readWitnessFile }] = await Promise.all([import('../store/redis/declare-lost.ts'), import('../store/redis/witness-file.ts')]);
  const remembered = readWitnessFile(join(store.path, 'redis-seen.json'));
  if (remembered === undefined) return undefined;
  const { connection, timeoutMs, replicas, close } = await redisParts(store);
  try {
    const parts = { connection, timeoutMs, replicas };
    const loss = await lossOf(parts, remembered);
    if (loss !== undefined && named === loss.name) await declareLost(parts, loss, realms);
    return loss;
  } finally {
    close();
  }
};

/** The store itself, although it is restored. */
export const openRestored = async ({ store, realms }: Config): Promise<NodeStore> => {
  const clock = createClock({ maxClockStepMs: 3_600_000 });
  if (store.kind === 'redis') {
    return (await import('../store/redis/open.ts')).openRedisStore({ config: store.redis, mode: 'production', clock, secrets: secretsHere, realms, asRestored: true });
  }
  const { path, mapSizeBytes } = store;
  const { openEmbeddedStore } = await import('../store/embedded/open.ts');
  const opened = await openEmbeddedStore({ path, mapSizeBytes, mode: 'production', clock, realms, asRestored: true });
  // As a service would: never below what was used before.
  const mark = opened.readClockMark();
  if (mark !== undefined && clock.now().latest < mark) {
    await opened.close();
    throw new StoreUnavailable(`the clock of this machine is behind what the store has seen (${new Date(mark satisfies Instant).toISOString()})`);
  }
  return opened;
};

/** Reads what the store says about where it comes from; with `edit`, changes it. */
export const withProvenance = async (config: Config, edit?: (provenance: Provenance) => Provenance): Promise<{ readonly epoch: string; readonly provenance: Provenance }> => {
  const { store } = config;
  if (store.kind === 'redis') {
    const { connection, timeoutMs, close } = await redisParts(store);
    try {
      const { readMeta, writeProvenance } = await import('../store/redis/marks.ts');
      const meta = await readMeta(connection, timeoutMs);
      if (meta === undefined) throw new StoreUnavailable('there is no store in this database');
      if (edit === undefined) return meta;
      const provenance = edit(meta.provenance);
      await writeProvenance(connection, timeoutMs, { short: meta.short, provenance });
      return { ...meta, provenance };
    } finally {
      close();
    }
  }
  const { openEnvironment } = await import('../store/embedded/open.ts');
  const { readAnyMarks, writeMarks } = await import('../store/embedded/marks.ts');
  const { environment: { root, state }, marks } = await openEnvironment({ path: store.path, mapSizeBytes: store.mapSizeBytes, readOnly: edit === undefined }, 'any');
  try {
    if (edit === undefined) return marks;
    let after = marks;
    await root.transaction(() => {
      const now = readAnyMarks(state) ?? marks;
      after = { ...now, provenance: edit(now.provenance) };
      writeMarks(state, after);
    });
    return after;
  } finally {
    await root.close();
  }
};
