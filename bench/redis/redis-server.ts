/** A Redis server of the bench: on loopback, as durable as the default configuration asks, filled through the store's own commits. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Instant } from '../../src/domain/instant.ts';
import { redisStoreConfig } from '../../src/store/redis/config.ts';
import { openRedisStore } from '../../src/store/redis/open.ts';
import { createClock } from '../../src/time/clock.ts';
import { freePort, stopProcess } from '../http/processes.ts';
import { fillStore } from '../support/fill-store.ts';
import { GRANTS_PER_WORKLOAD, isRevoked, revokeWorkloads, type FilledStore, type Wanted } from '../support/filled-store.ts';

export interface BenchRedis {
  readonly port: number;
  readonly store: FilledStore;
  /** What the grants and their history take, without the revocations. */
  readonly bytesPerGrant: number;
  stop(): Promise<void>;
}

const START_MS = 10_000;
const LIFE_MS = 30 * 86_400_000;

const ask = (port: number, command: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1');
    socket.setEncoding('utf8').once('error', reject).once('close', () => resolve(text));
    socket.on('data', (chunk: string) => { text += chunk; });
    socket.end(`${command}\r\n`);
  });

const usedMemory = async (port: number): Promise<number> => Number(/used_memory:(\d+)/.exec(await ask(port, 'INFO memory'))?.[1]);

export const startBenchRedis = async (wanted: Wanted, folder: string, name: string): Promise<BenchRedis> => {
  const directory = join(folder, `redis-${name}`);
  mkdirSync(directory);
  const port = await freePort();
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--maxmemory-policy', 'noeviction', '--appendonly', 'yes', '--appendfsync', 'always', '--no-appendfsync-on-rewrite', 'no'], { stdio: 'ignore' });
  try {
    const until = performance.now() + START_MS;
    while (!(await ask(port, 'PING').catch(() => '')).startsWith('+PONG')) {
      if (performance.now() > until || child.exitCode !== null) throw new Error('redis-server does not start; is it installed?');
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
    const workloads = Math.max(1, Math.floor(wanted.grants / GRANTS_PER_WORKLOAD));
    const notBefore = (Date.now() - 60_000) as Instant;
    const store: FilledStore = { ...wanted, path: directory, workloads, notBefore, expiresAt: (notBefore + LIFE_MS) as Instant };
    const open = await openRedisStore({
      config: redisStoreConfig.parse({ port, commitTimeoutMs: 60_000 }), mode: 'production', clock: createClock({ maxClockStepMs: 60_000 }),
      secrets: { readFile: () => '', env: () => undefined },
    });
    const before = await usedMemory(port);
    await fillStore(open, { realm: 'default', grants: workloads * GRANTS_PER_WORKLOAD, workloads, revocations: 0, notBefore, expiresAt: store.expiresAt });
    const bytesPerGrant = ((await usedMemory(port)) - before) / (workloads * GRANTS_PER_WORKLOAD);
    const revoked = Array.from({ length: workloads }).filter((_, index) => isRevoked(wanted, index)).length;
    await fillStore(open, { realm: 'default', grants: 0, workloads, revocations: Math.max(0, wanted.revocations - revoked), notBefore, expiresAt: store.expiresAt });
    await revokeWorkloads(open, wanted, workloads);
    await open.close();
    return { port, store, bytesPerGrant, stop: () => stopProcess(child) };
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
};
