/** Servers, stores and folders of one test file: what was opened by a test is closed after it, the last first. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { Clock } from '../../../src/decision/ports.ts';
import type { NodeStore } from '../../../src/store/port.ts';
import { redisStoreConfig } from '../../../src/store/redis/config.ts';
import { openRedisStore } from '../../../src/store/redis/open.ts';
import { ACL_PASSWORD } from '../../support/redis-acl.ts';
import { REPLICATED, startRedis, type RedisServer } from '../../support/redis.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

export interface Opening {
  readonly cleanups: (() => Promise<unknown> | unknown)[];
  temporary(): string;
  serverWith(args: readonly string[]): Promise<RedisServer>;
  /** `config`: settings of `store.redis`; secrets come from files, and the password of the tests' ACL user from `ACL`. */
  openAt(config: object, more?: { readonly realms?: readonly string[] }): Promise<NodeStore>;
  /** A primary, its replica behind a `wire` that can be cut, and an `address` that leads to the primary until it is moved. */
  pairBehindAddress(): Promise<{ readonly old: RedisServer; readonly next: RedisServer; readonly wire: TcpProxy; readonly address: TcpProxy }>;
}

export const opening = (clock: Clock): Opening => {
  const cleanups: Opening['cleanups'] = [];
  const serverWith: Opening['serverWith'] = async (args) => {
    const server = await startRedis(args);
    cleanups.push(server.stop);
    return server;
  };
  const proxyTo = async (port: number): Promise<TcpProxy> => {
    const proxy = await startTcpProxy(port);
    cleanups.push(proxy.close);
    return proxy;
  };
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
  return {
    cleanups, serverWith,
    pairBehindAddress: async () => {
      const args = [...REPLICATED, '--min-replicas-max-lag', '60'];
      const old = await serverWith(args);
      const wire = await proxyTo(old.port);
      const next = await serverWith([...args, '--replicaof', '127.0.0.1', String(wire.port)]);
      await until('the replica', async () => (await old.send('INFO replication')).includes('state=online'));
      return { old, next, wire, address: await proxyTo(old.port) };
    },
    temporary: () => {
      const folder = mkdtempSync(join(tmpdir(), 'curfew-redis-test-'));
      cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
      return folder;
    },
    openAt: async (config, more = {}) => {
      const store = await openRedisStore({
        config: redisStoreConfig.parse({ connectTimeoutMs: 5_000, readTimeoutMs: 2_000, commitTimeoutMs: 4_000, ...config }), mode: 'production', clock,
        secrets: { readFile: (path) => readFileSync(path, 'utf8'), env: (name) => (name === 'ACL' ? ACL_PASSWORD : undefined) }, lookEveryMs: 50, ...more,
      });
      cleanups.push(() => store.close());
      return store;
    },
  };
};
