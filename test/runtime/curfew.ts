/** The real program as its own process: started, asked, signalled and stopped by tests. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.ts';

/** The built program (`npm run build`). */
export const ENTRY = process.env['CURFEW_TEST_ENTRY'] ?? fileURLToPath(new URL('../../dist/main.js', import.meta.url));

export interface CurfewOptions {
  /** Another build of the program; absent: the one that was built. */
  readonly entry?: string;
  /** `serve` with this configuration; absent: `dev`. */
  readonly config?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory; absent: a new one, removed at `stop`. */
  readonly directory?: string;
  readonly workers?: number;
}

export interface Asked {
  readonly status: number;
  readonly reason: string | null;
  readonly headers: Headers;
  readonly text: string;
}

export interface Curfew {
  readonly directory: string;
  readonly pid: number;
  readonly ports: { readonly http: number; readonly grpc: number; readonly admin: number };
  stdout(): string;
  stderr(): string;
  /** Exit code and signal, once it has ended. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  signal(name: NodeJS.Signals): void;
  stop(): Promise<void>;
  /** One forward-auth question. */
  ask(token: string | undefined, path?: string, headers?: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Asked>;
  /** The admin API with the development token. */
  admin(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: any }>;
  grant(workload: string, more?: Readonly<Record<string, unknown>>): Promise<any>;
  mint(workload: string, args?: readonly string[]): Promise<string>;
  metrics(): Promise<string>;
  workers(): readonly number[];
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const environment = (env: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CURFEW_') && !name.startsWith('VITEST') && name !== 'NODE_OPTIONS'));
  return { ...clean, ...env };
};

/** The machine may be busy with other tests; answers that come late are not what these are about. */
const PATIENT = { CURFEW_LIMITS_DECISION_DEADLINE_MS: '10000' };

const collect = (child: ChildProcess): { stdout: string; stderr: string } => {
  const text = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => { text.stdout += chunk; });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => { text.stderr += chunk; });
  return text;
};

/** Runs a command to its end. */
export const runCurfew = async (args: readonly string[], options: { readonly directory?: string; readonly env?: Readonly<Record<string, string>> } = {}): Promise<Ended> => {
  const child = spawn(process.execPath, [ENTRY, ...args], { cwd: options.directory ?? tmpdir(), env: environment(options.env), stdio: ['ignore', 'pipe', 'pipe'] });
  const text = collect(child);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, ...text };
};

export const temporaryDirectory = (): { readonly path: string; remove(): void } => {
  const path = mkdtempSync(join(tmpdir(), 'curfew-run-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
};

const childrenOf = (pid: number): readonly number[] => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter((text) => text !== '').map(Number);
  } catch {
    return [];
  }
};

export const startCurfew = async (options: CurfewOptions = {}): Promise<Curfew> => {
  const entry = options.entry ?? ENTRY;
  if (!existsSync(entry)) throw new Error(`${entry} is not there; run \`npm run build\` first`);
  const own = options.directory === undefined ? temporaryDirectory() : { path: options.directory, remove: () => undefined };
  const directory = own.path;
  const ports = ['--http-port', '0', '--grpc-port', '0', '--admin-port', '0', '--workers', String(options.workers ?? 1)];
  let command = ['dev'];
  if (options.config !== undefined) {
    writeFileSync(join(directory, 'curfew.yaml'), options.config);
    command = ['serve', '--config', 'curfew.yaml'];
  }
  const child = spawn(process.execPath, [entry, ...command, ...ports, ...(options.args ?? [])], { cwd: directory, env: environment({ ...PATIENT, ...options.env }), stdio: ['ignore', 'pipe', 'pipe'] });
  const text = collect(child);
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  let ended = false;
  void exited.then(() => { ended = true; });
  const port = (pattern: RegExp): number => Number(pattern.exec(`${text.stdout}${text.stderr}`)?.[1] ?? 0);
  await until('curfew to start', () => {
    if (ended) throw new Error(`curfew ended: ${text.stdout}\n${text.stderr}`);
    // Development says it on standard output, production on standard error.
    return /administration on \S+:\d+/.test(`${text.stdout}${text.stderr}`);
  }, 60_000).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  const found = { http: port(/over HTTP on \S+?:(\d+)(?=,)/), grpc: port(/over gRPC on \S+?:(\d+)(?=,)/), admin: port(/administration on https?:\/\/\S+?:(\d+)/) };

  const admin: Curfew['admin'] = async (method, path, body) => {
    const token = readFileSync(join(directory, '.curfew/admin-token'), 'utf8').trim();
    const response = await fetch(`http://127.0.0.1:${found.admin}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.text();
    return { status: response.status, body: answer.startsWith('{') ? JSON.parse(answer) : answer };
  };
  return {
    directory, exited,
    pid: child.pid as number,
    ports: found,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    signal: (name) => void child.kill(name),
    stop: async () => {
      if (!ended) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
      await exited;
      clearTimeout(timer);
      own.remove();
    },
    ask: async (token, path = '/orders/42', headers = {}, signal) => {
      const response = await fetch(`http://127.0.0.1:${found.http}/forward-auth`, {
        ...(signal === undefined ? {} : { signal }),
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          'x-forwarded-method': 'GET', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': path, ...headers,
        },
      });
      return { status: response.status, reason: response.headers.get('x-curfew-reason'), headers: response.headers, text: await response.text() };
    },
    admin,
    grant: async (workload, more = {}) => {
      const { status, body } = await admin('POST', '/v1/grants', {
        workload, model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
        ttlMs: 60_000, owner: 'team:shop', justification: 'test', reference: 'T-1', ...more,
      });
      if (status !== 201) throw new Error(`no grant: ${JSON.stringify(body)}`);
      return body;
    },
    mint: async (workload, args = []) => {
      const { code, stdout, stderr } = await runCurfew(['dev-token', '--dir', join(directory, '.curfew'), '--workload', workload, ...args]);
      if (code !== 0) throw new Error(`no token: ${stderr}`);
      return stdout.trim();
    },
    metrics: async () => (await fetch(`http://127.0.0.1:${found.admin}/metrics`)).text(),
    workers: () => childrenOf(child.pid as number),
  };
};
