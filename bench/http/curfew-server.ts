/** The real `curfew serve`: its supervisor and one worker, on a filled store, with a decision log in a file. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';
import { repositoryRoot } from '../harness/run-bench.ts';
import { benchBundle } from '../support/bench-bundle.ts';
import type { FilledStore } from '../support/filled-store.ts';
import { AUDIENCE, TRUST_DOMAIN } from '../support/workload-tokens.ts';
import { answers, childrenOf, freePort, stopProcess } from './processes.ts';

export interface CurfewServer {
  readonly port: number;
  readonly grpcPort: number;
  readonly adminPort: number;
  /** From the start of the process until `/health/ready` answered 200. */
  readonly readyMs: number;
  readonly supervisorPid: number;
  readonly workerPids: readonly number[];
  /** Empties the decision log, so that a long bench does not fill the disk. */
  emptyLog(): void;
  stop(): Promise<void>;
}

const READY_MS = 60_000;

export interface CurfewServerOptions {
  /** Where the store lies; an empty place is a new one. */
  readonly store: Pick<FilledStore, 'path'>;
  readonly jwks: string;
  readonly folder: string;
  readonly name: string;
  /** Section `policy.bundle`; absent: a file with the bench's bundle. */
  readonly bundle?: Readonly<Record<string, unknown>>;
  /** Sections of the configuration that take the place of the bench's. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Given: what it logs, info too, line by line; absent: warnings go to standard error. */
  readonly onLog?: (line: string) => void;
}

/** Once all of them decide; the first answers already. */
const workersOf = async (supervisorPid: number, adminPort: number, workers: number): Promise<readonly number[]> => {
  // The supervisor may listen after its first worker answers.
  const ready = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${adminPort}/metrics`).then((response) => response.text(), () => '')).includes(`curfew_workers_ready ${workers}\n`);
  for (const until = performance.now() + READY_MS; workers > 1 && !(await ready());) {
    if (performance.now() > until) throw new Error(`${workers} workers were not ready in time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return childrenOf(supervisorPid);
};

export const startCurfew = async (options: CurfewServerOptions): Promise<CurfewServer> => {
  const root = repositoryRoot();
  const main = join(root, 'dist/main.js');
  if (!existsSync(main)) throw new Error('dist/main.js is missing; build first: npm run build');
  const folder = join(options.folder, options.name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'bundle.tar.gz'), await benchBundle());
  writeFileSync(join(folder, 'keys.json'), options.jwks);
  const log = join(folder, 'decisions.jsonl');
  const [http, grpc, admin] = [await freePort(), await freePort(), await freePort()];
  const config = {
    workers: 1,
    http: { port: http },
    store: { path: options.store.path },
    policy: { bundle: options.bundle ?? { file: join(folder, 'bundle.tar.gz') }, signing: { required: false } },
    identity: { issuers: [{ kind: 'spiffe', trustDomain: TRUST_DOMAIN, bundle: { file: join(folder, 'keys.json') }, audiences: [AUDIENCE] }] },
    decisionLog: { to: 'file', path: log },
    log: { level: options.onLog === undefined ? 'warn' : 'info' },
    ...options.config,
    grpc: { port: grpc, ...(options.config?.['grpc'] as object | undefined) },
    admin: { port: admin, ...(options.config?.['admin'] as object | undefined) },
  };
  writeFileSync(join(folder, 'curfew.yaml'), stringify(config));
  const started = performance.now();
  const child = spawn(process.execPath, [main, 'serve', '--config', join(folder, 'curfew.yaml')], { cwd: folder, stdio: ['ignore', 'ignore', options.onLog === undefined ? 'inherit' : 'pipe'], env: { PATH: process.env['PATH'] } });
  if (child.stderr !== null && options.onLog !== undefined) createInterface({ input: child.stderr }).on('line', options.onLog);
  try {
    await answers(child, `http://127.0.0.1:${http}/health/ready`, READY_MS);
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
  const readyMs = performance.now() - started;
  const supervisorPid = child.pid ?? 0;
  return {
    port: http, grpcPort: grpc, adminPort: admin, readyMs, supervisorPid,
    workerPids: await workersOf(supervisorPid, admin, config.workers),
    emptyLog: () => truncateSync(log),
    stop: () => stopProcess(child),
  };
};
