/**
 * One reader's terminal, for tests that do what a document says: a folder that looks like a checkout, and a shell in it. Shell
 * blocks are pasted as they stand but for their ports, which are replaced by free ones, in them and in the copied files. Gateways
 * wait longer for answers than the examples say.
 *
 * - `sh`: run to its end; it must not fail. Lines that begin with `#>` must be lines of what it printed, in that order; `...` in
 *   them stands for anything.
 * - `sh background 8181`: runs on, in another terminal, and is waited for until that port answers.
 * - any other language with a file name: is that file.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Part } from '../parts.ts';
import { freePorts } from '../support/free-ports.ts';
import { until } from '../support/until.ts';
import { makeCheckout, makeTools } from './checkout.ts';
import { missingLine, withMarks } from './expected-lines.ts';
import type { Block } from './markdown.ts';

/** The ports that documents and examples are written with. */
const WRITTEN_PORTS = ['8181', '9191', '8182', '8080', '10000', '8000', '9901'] as const;
const WRITTEN = new RegExp(`(?<![\\w.])(?:${WRITTEN_PORTS.join('|')})(?![\\w])`, 'g');

export interface Session {
  readonly directory: string;
  /** Does what the block says; throws with what went wrong. */
  perform(block: Block): Promise<void>;
  close(): Promise<void>;
}

/** Which programs a block needs that not every machine has. */
export const partsOf = (block: Block): readonly Part[] => {
  const needs: readonly (readonly [Part, RegExp])[] = [
    ['envoy', /^\s*envoy /m], ['nginx', /^\s*nginx /m], ['caddy', /^\s*caddy /m], ['haproxy', /\bhaproxy -db/], ['openssl', /\bopenssl /], ['go', /npm run policy:|curfew policy explain|\bopa /],
  ];
  return block.language === 'sh' ? needs.filter(([, pattern]) => pattern.test(block.text)).map(([part]) => part) : [];
};

const environment = (more: Readonly<Record<string, string>>): NodeJS.ProcessEnv => {
  const clean = Object.entries(process.env).filter(([name]) => !/^(?:CURFEW_|VITEST|npm_|NODE_OPTIONS$|NODE_ENV$|CI$)/.test(name));
  return { ...Object.fromEntries(clean), ...more };
};

interface Background {
  readonly written: string;
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<void>;
  readonly alive: () => boolean;
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/** Curfew's port answers before it decides; its readiness is what counts. */
const serves = async (written: string, port: number): Promise<boolean> => {
  if (written !== '8181') return accepts(port);
  return fetch(`http://127.0.0.1:${port}/health/ready`).then(({ status }) => status === 200, () => false);
};

export const openSession = async (): Promise<Session> => {
  const root = mkdtempSync(join(tmpdir(), 'curfew-docs-'));
  const [directory, tools] = [join(root, 'curfew'), join(root, 'tools')];
  mkdirSync(directory);
  const free = await freePorts(WRITTEN_PORTS.length);
  const ports = new Map<string, number>(WRITTEN_PORTS.map((written, index) => [written, free[index] as number]));
  const replacePorts = (text: string): string => text.replaceAll(WRITTEN, (written) => String(ports.get(written)));
  makeCheckout(directory, replacePorts);
  makeTools(tools);
  const env = environment({
    PATH: `${tools}:${process.env['PATH'] ?? ''}`,
    // What a document leaves at its default must meet the same ports; a command line of its own goes over it.
    CURFEW_SERVER: `http://127.0.0.1:${ports.get('8182')}`,
    CURFEW_HTTP_PORT: String(ports.get('8181')), CURFEW_GRPC_PORT: String(ports.get('9191')), CURFEW_ADMIN_PORT: String(ports.get('8182')),
    CURFEW_LIMITS_DECISION_DEADLINE_MS: '10000',
    npm_config_update_notifier: 'false', npm_config_offline: 'true',
  });

  const shell = spawn('sh', [], { cwd: directory, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let output = '';
  let errors = '';
  let shellEnded = false;
  shell.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  shell.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  shell.stdin.on('error', () => undefined);
  const shellGone = new Promise<void>((resolve) => shell.once('close', () => {
    shellEnded = true;
    resolve();
  }));

  let performed = 0;
  const backgrounds: Background[] = [];

  const stop = async ({ child, ended, alive }: Background): Promise<void> => {
    const signal = (name: NodeJS.Signals): void => {
      // The whole group: npm and the shell between us and the program don't pass signals on in every version.
      if (alive()) process.kill(-(child.pid as number), name);
    };
    signal('SIGTERM');
    const timer = setTimeout(() => signal('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
  };

  const startBackground = async (block: Block, where: string): Promise<void> => {
    const written = block.words[1] ?? '';
    const port = ports.get(written);
    if (port === undefined) throw new Error(`${where}: \`sh background\` needs one of the ports ${WRITTEN_PORTS.join(', ')}`);
    for (const other of backgrounds.filter((background) => background.written === written)) await stop(other);
    const child = spawn('sh', ['-eu', '-c', replacePorts(block.text)], { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let said = '';
    let running = true;
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    const ended = new Promise<void>((resolve) => child.once('close', () => {
      running = false;
      resolve();
    }));
    backgrounds.push({ written, child, output: () => said, ended, alive: () => running });
    await until(`${where}: port ${written} to answer`, async () => {
      if (!running) throw new Error(`${where} ended:\n${said}`);
      return serves(written, port);
    }, 30_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${said}`, { cause: error });
    });
  };

  const runShell = async (block: Block, where: string): Promise<void> => {
    performed += 1;
    const mark = `@@ ${performed} @@`;
    const { script, expected } = withMarks(replacePorts(block.text), mark);
    const file = join(root, `block-${performed}.sh`);
    writeFileSync(file, `set -eu\n${script}\n`);
    const from = output.length;
    const errorsFrom = errors.length;
    shell.stdin.write(`. '${file}' </dev/null\nprintf '\\n%s\\n' '${mark} end'\n`);
    const end = `\n${mark} end\n`;
    // OPA is built from source on first use.
    await until(where, () => shellEnded || output.includes(end, from), partsOf(block).includes('go') ? 600_000 : 90_000);
    const printed = output.slice(from);
    const all = `${printed}\n${errors.slice(errorsFrom)}`;
    if (!printed.includes(end)) throw new Error(`${where} failed:\n${all}`);
    for (const [index, part] of printed.split(`\n${mark}\n`).slice(0, expected.length).entries()) {
      const missing = missingLine(part, expected[index] ?? []);
      if (missing !== undefined) throw new Error(`${where} should print "${missing}", but printed:\n${all}`);
    }
  };

  const perform = async (block: Block): Promise<void> => {
    const where = `line ${block.line} (${block.text.split('\n')[0]})`;
    if (block.language !== 'sh') {
      const [name] = block.words;
      if (name === undefined) return;
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), replacePorts(block.text));
    } else if (block.words[0] === 'background') await startBackground(block, where);
    else await runShell(block, where);
  };

  const close = async (): Promise<void> => {
    if (!shellEnded) process.kill(-(shell.pid as number), 'SIGKILL');
    await shellGone;
    for (const background of backgrounds.toReversed()) await stop(background);
    rmSync(root, { recursive: true, force: true });
  };
  return { directory, perform, close };
};
