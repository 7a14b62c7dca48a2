/** Is the server one that Curfew may rely on, and as durable as configured? Read at the start and again every second. */
import { StoreUnavailable } from '../port.ts';
import type { Connection } from './connection.ts';

export type Durability = 'memory' | 'fsync' | { readonly replicated: number };

/** What a server says of itself: fields of `INFO`, and settings by name. */
export type ServerFacts = ReadonlyMap<string, string>;

const SETTINGS = ['appendonly', 'appendfsync', 'no-appendfsync-on-rewrite', 'min-replicas-to-write', 'maxmemory-policy'] as const;
const MAJOR_MIN = 7;

const parseInfo = (text: string): Map<string, string> =>
  new Map(text.split('\r\n').filter((line) => line.includes(':')).map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));

export const readServerFacts = async (connection: Connection, timeoutMs: number): Promise<readonly ServerFacts[]> => {
  const [infos, settings] = await Promise.all([connection.everywhere(timeoutMs, 'INFO'), connection.everywhere(timeoutMs, 'CONFIG', 'GET', ...SETTINGS)]);
  return infos.map((info, index) => {
    const facts = parseInfo(String(info));
    const pairs = (settings[index] as readonly Buffer[] | undefined) ?? [];
    for (let at = 0; at + 1 < pairs.length; at += 2) facts.set(String(pairs[at]), String(pairs[at + 1]));
    return facts;
  });
};

/** Why the server is not good enough; `undefined` when it is. A setting that it does not tell is not there. */
export const serverFault = (facts: ServerFacts, durability: Durability, sharded = false): string | undefined => {
  const is = (name: string, wanted: string): string | undefined => (facts.get(name) === wanted ? undefined : `${name} is ${facts.get(name) ?? 'not told'}, must be ${wanted}`);
  const version = facts.get('redis_version') ?? '';
  if (!(Number(version.split('.')[0]) >= MAJOR_MIN)) return `the server is of version ${version === '' ? 'unknown' : version}: Redis 7.0 or later, or Valkey, is needed`;
  if (facts.get('role') !== 'master') return 'this server is a replica: configure the primary, or Sentinel or Cluster';
  const evicting = is('maxmemory-policy', 'noeviction');
  if (evicting !== undefined) return `the server may drop what had ended: ${evicting}`;
  // A replica could take the place of its primary, which would not know it when it is cut off, and be believed.
  const followers = facts.get('connected_slaves');
  if (sharded && typeof durability === 'string' && followers !== '0') return `${followers ?? 'an unknown number of'} replicas follow a primary of this cluster, and one could take its place unnoticed: use \`durability: {replicated: n}\`, where n is the number of replicas of each primary`;
  if (durability === 'memory') return undefined;
  const weak = is('appendonly', 'yes') ?? is('appendfsync', 'always') ?? is('no-appendfsync-on-rewrite', 'no') ?? is('aof_last_write_status', 'ok');
  if (weak !== undefined) return `weaker than store.redis.durability: ${weak}`;
  if (durability === 'fsync') return undefined;
  const { replicated } = durability;
  const [least, there, good] = [Number(facts.get('min-replicas-to-write')), Number(facts.get('connected_slaves')), Number(facts.get('min_slaves_good_slaves'))];
  if (!(least >= replicated)) return `weaker than store.redis.durability: min-replicas-to-write is ${least}, must be at least ${replicated}`;
  if (!(there >= replicated)) return `weaker than store.redis.durability: ${there} of ${replicated} replicas follow the primary`;
  // A primary that was cut off from its replicas: another one may have taken its place.
  if (!(good >= replicated)) return `${good} of ${replicated} replicas were heard of within min-replicas-max-lag: this primary may have been replaced`;
  // One that no commit waits for could be promoted.
  return there === replicated ? undefined : `${there} replicas follow the primary, and store.redis.durability waits for ${replicated} only: one that lags could be promoted`;
};

/** Another server may be the primary by now. */
export class NotPrimary extends StoreUnavailable {}

/** Rejects with `StoreUnavailable` that says what is wrong. */
export const checkServers = async (connection: Connection, timeoutMs: number, durability: Durability): Promise<void> => {
  const servers = await readServerFacts(connection, timeoutMs);
  if (servers.length === 0) throw new StoreUnavailable('redis: no primary is known');
  for (const facts of servers) {
    const fault = serverFault(facts, durability, connection.sharded);
    if (fault === undefined) continue;
    throw new (/is a replica/.test(fault) ? NotPrimary : StoreUnavailable)(`redis: ${fault}`);
  }
};
