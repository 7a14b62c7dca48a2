/** A real Redis server of the tests: on a free loopback port, with a directory of its own, ended with the test. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requirePart } from '../parts.ts';
import { freePorts } from './free-ports.ts';
import { until } from './until.ts';

export interface RedisServer {
  readonly port: number;
  readonly directory: string;
  readonly pid: () => number;
  /** One inline command over a connection of its own, without a client library; resolves to the raw answer. */
  send(command: string, login?: string): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Kills it; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port and directory. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The server under test was built without TLS, as `npm run test:valkey` says of that of the wheel. */
export const WITHOUT_TLS = process.env['CURFEW_TEST_REDIS_TLS'] === 'none';

/** As durable as `durability: fsync` asks. */
export const FSYNC = ['--appendonly', 'yes', '--appendfsync', 'always', '--no-appendfsync-on-rewrite', 'no'];
export const MEMORY = ['--appendonly', 'no', '--save', ''];

/** One primary with one replica, as `durability: {replicated: 1}` asks; quick to follow. */
export const REPLICATED = [...FSYNC, '--min-replicas-to-write', '1', '--repl-ping-replica-period', '1', '--repl-diskless-sync-delay', '0'];

const inline = (port: number, command: string, login?: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1');
    socket.setEncoding('utf8').setTimeout(5_000, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.on('data', (chunk: string) => { text += chunk; });
    socket.once('close', () => resolve(login === undefined ? text : text.slice(text.indexOf('\r\n') + 2)));
    // Sentinels know no QUIT.
    socket.end(`${login === undefined ? '' : `AUTH ${login}\r\n`}${command}\r\n`);
  });

/** A server that changes its role closes its connections; what only reads is asked again then. */
const READS = /^(?:ROLE|INFO|HGET|SENTINEL MASTER|CLUSTER (?:INFO|NODES))\b/;
const send = (port: number, command: string, login?: string): Promise<string> =>
  inline(port, command, login).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET' || !READS.test(command)) throw error;
    return inline(port, command, login);
  });

/** `args` may begin with a configuration file; `env`: of its process, besides ours. */
export const startRedis = async (args: readonly string[] = FSYNC, program = requirePart('redis'), givenPort?: number, env: Readonly<Record<string, string>> = {}): Promise<RedisServer> => {
  const directory = mkdtempSync(join(tmpdir(), 'curfew-redis-'));
  const port = givenPort ?? (await freePorts(1))[0] ?? 0;
  const own = args.includes('--sentinel') ? [] : ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--maxmemory-policy', 'noeviction'];
  let child: ChildProcess | undefined;
  let gone: Promise<unknown> = Promise.resolve();
  const start = async (): Promise<void> => {
    let output = '';
    const started = spawn(program, [...own, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    child = started;
    started.stdout.on('data', (chunk: Buffer) => { output += String(chunk); });
    let ended = false;
    gone = new Promise<void>((resolve) => started.once('close', () => {
      ended = true;
      resolve();
    }));
    await until('redis to start', async () => {
      if (ended) throw new Error(`redis ended: ${output}`);
      return /^(?:\+PONG|-NOAUTH|-WRONGPASS)/m.test(await inline(port, 'PING').catch(() => ''));
    }).catch((error: unknown) => {
      started.kill('SIGKILL');
      throw error;
    });
  };
  await start();
  const kill = async (): Promise<void> => {
    child?.kill('SIGKILL');
    await gone;
  };
  return {
    port, directory, start, kill,
    pid: () => child?.pid ?? 0,
    send: (command, login) => send(port, command, login),
    signal: (name) => void child?.kill(name),
    stop: async () => {
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
};

/** Three Sentinels that watch the primary of this port as `mymaster`, once they know each other and its replica. */
export const startSentinels = async (primaryPort: number): Promise<readonly RedisServer[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-sentinels-'));
  const ports = await freePorts(3);
  const sentinels = await Promise.all(ports.map((port) => {
    const file = join(folder, `${port}.conf`);
    const watched = [`monitor mymaster 127.0.0.1 ${primaryPort} 2`, 'down-after-milliseconds mymaster 500', 'failover-timeout mymaster 3000'];
    writeFileSync(file, [`port ${port}`, 'bind 127.0.0.1', ...watched.map((line) => `sentinel ${line}`), ''].join('\n'));
    return startRedis([file, '--sentinel'], undefined, port);
  }));
  await until('the sentinels to know each other and the replica', async () => {
    const known = await Promise.all(sentinels.map((sentinel) => sentinel.send('SENTINEL MASTER mymaster')));
    return known.every((text) => /num-other-sentinels\r\n\$1\r\n2/.test(text) && /num-slaves\r\n\$1\r\n1/.test(text));
  });
  return sentinels.map((sentinel, index) => ({
    ...sentinel,
    stop: async () => {
      await sentinel.stop();
      if (index === 0) rmSync(folder, { recursive: true, force: true });
    },
  }));
};
