import { isLoopback } from '../../domain/loopback.ts';
import type { RedisStoreConfig } from './config.ts';

/** What must not be, whatever the server says. */
export const redisConfigFault = (config: RedisStoreConfig): string | undefined => {
  if (config.cluster !== undefined && config.sentinels !== undefined) return '`cluster` and `sentinels` are two topologies: give one';
  if (config.sentinels !== undefined && typeof config.durability === 'string') return 'with `sentinels` only `durability: {replicated: n}` shows that the primary has not been replaced; n is the number of all replicas';
  if (config.cluster !== undefined && config.database !== 0) return 'a cluster has only `database: 0`';
  if ((config.tls?.cert === undefined) !== (config.tls?.key === undefined)) return '`tls.cert` and `tls.key` belong together';
  const hosts = (config.cluster ?? config.sentinels ?? [config]).map(({ host }) => host);
  if (hosts.every(isLoopback)) return undefined;
  // What travels there says who may do what.
  if (config.tls === undefined) return 'a server beyond loopback needs `tls`';
  if (config.password === undefined) return 'a server beyond loopback needs a `password`';
  return config.integrityKey === undefined ? 'a server beyond loopback needs an `integrityKey`' : undefined;
};
