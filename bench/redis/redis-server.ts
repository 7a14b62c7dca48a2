/** A Redis server of the bench: on loopback, filled through the store's own commits, or loaded as copies are, which takes a fraction of the time. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Instant } from '../../src/domain/instant.ts';
import type { Store } from '../../src/store/port.ts';
import { redisStoreConfig } from '../../src/store/redis/config.ts';
import { openRedisStore } from '../../src/store/redis/open.ts';
import { createClock } from '../../src/time/clock.ts';
import { freePort, stopProcess } from '../http/processes.ts';
import { fillStore } from '../support/fill-store.ts';
import { GRANTS_PER_WORKLOAD, isRevoked, revokeWorkloads, type FilledStore, type Wanted } from '../support/filled-store.ts';
import { loading } from './loading.ts';

export interface BenchRedis {
  readonly port: number;
  readonly pid: number;
  readonly store: FilledStore;
  /** A bulk reply as text, for what the server says of itself. */
  ask(command: string): Promise<string>;
  stop(): Promise<void>;
}

const START_MS = 10_000;
const LIFE_MS = 30 * 86_400_000;
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always', '--no-appendfsync-on-rewrite', 'no'];
const NO_SECRETS = { readFile: () => '', env: () => undefined };

const asking = (port: number) => (command: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1');
    socket.setEncoding('utf8').once('error', reject).once('close', () => resolve(text));
    socket.on('data', (chunk: string) => { text += chunk; });
    socket.end(`${command}\r\n`);
  });

/** Fills, then lets go of the store. */
type Fill = (port: number, fill: (store: Pick<Store, 'epoch' | 'commit'>) => Promise<void>) => Promise<void>;

const committing: Fill = async (port, fill) => {
  const open = await openRedisStore({ config: redisStoreConfig.parse({ port, commitTimeoutMs: 60_000 }), mode: 'production', clock: createClock({ maxClockStepMs: 60_000 }), secrets: NO_SECRETS });
  try {
    await fill(open);
  } finally {
    await open.close();
  }
};

export interface BenchRedisOptions {
  readonly wanted: Wanted;
  readonly folder: string;
  readonly name: string;
  /** Without: nothing is written to a disk, and the store is loaded. */
  readonly durable: boolean;
  /** `Filling.wholeEvents` */
  readonly wholeEvents?: boolean;
}

export const startBenchRedis = async ({ wanted, folder, name, durable, wholeEvents = false }: BenchRedisOptions): Promise<BenchRedis> => {
  const directory = join(folder, `redis-${name}`);
  mkdirSync(directory);
  const port = await freePort();
  const ask = asking(port);
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--maxmemory-policy', 'noeviction', ...(durable ? DURABLE : [])], { stdio: 'ignore' });
  const failed = new Promise<never>((_resolve, reject) => { child.once('error', reject); });
  failed.catch(() => undefined);
  try {
    const until = performance.now() + START_MS;
    while (!(await Promise.race([ask('PING').catch(() => ''), failed])).startsWith('+PONG')) {
      if (performance.now() > until || child.exitCode !== null) throw new Error('redis-server does not start; is it installed?');
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
    const workloads = Math.max(1, Math.floor(wanted.grants / GRANTS_PER_WORKLOAD));
    const notBefore = (Date.now() - 60_000) as Instant;
    const store: FilledStore = { ...wanted, path: directory, workloads, notBefore, expiresAt: (notBefore + LIFE_MS) as Instant };
    const revoked = Array.from({ length: workloads }).filter((_, index) => isRevoked(wanted, index)).length;
    await (durable ? committing : loading)(port, async (open) => {
      await fillStore(open as Store, { realm: 'default', grants: workloads * GRANTS_PER_WORKLOAD, workloads, revocations: Math.max(0, wanted.revocations - revoked), notBefore, expiresAt: store.expiresAt, wholeEvents });
      await revokeWorkloads(open as Store, wanted, workloads);
    });
    return { port, pid: child.pid ?? 0, store, ask, stop: () => stopProcess(child) };
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
};
