/** A real nginx for tests: started with a configuration in one process that ends with the test. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot, requirePart } from '../parts.ts';
import { freePorts } from './free-ports.ts';
import { askOnce, requestText } from './raw-socket.ts';
import { until } from './until.ts';

export interface NginxPorts {
  readonly curfew: number;
  readonly service: number;
}

export interface RunningNginx {
  readonly port: number;
  log(): string;
  readonly pid: number;
  stop(): Promise<void>;
}

/**
 * The shipped example with nothing changed but its addresses and, unless it is to stay as shipped, its patience with Curfew: on a busy machine an
 * answer may take longer than a gateway waits in earnest. Clients connect to the port that `LISTEN` stands for.
 */
export const shippedNginx = ({ curfew, service }: NginxPorts, patience: 'generous' | 'shipped' = 'generous'): string => {
  const replace = (text: string, from: string, to: string): string => {
    if (!text.includes(from)) throw new Error(`deploy/nginx/nginx.conf has no ${from}`);
    return text.replaceAll(from, to);
  };
  let text = readFileSync(join(repositoryRoot, 'deploy/nginx/nginx.conf'), 'utf8');
  text = replace(text, 'server 127.0.0.1:8181;', `server 127.0.0.1:${curfew};`);
  text = replace(text, 'server 127.0.0.1:8080;', `server 127.0.0.1:${service};`);
  text = replace(text, 'listen 8000', 'listen 127.0.0.1:LISTEN');
  if (patience === 'shipped') return text;
  const patient = text.replaceAll(/proxy_(connect|send|read)_timeout \d+ms;/g, 'proxy_$1_timeout 20s;');
  if (patient === text) throw new Error('deploy/nginx/nginx.conf says nothing of its patience in milliseconds');
  return patient;
};

/** nginx can't say which port it took, so one that was free a moment ago is tried, and another when it is gone. */
const START_ATTEMPTS = 5;

/** Starts nginx with `text`, in which `LISTEN` stands for the port, and waits until it answers. */
export const startNginx = async (text: string): Promise<RunningNginx> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOn(text, (await freePorts(1))[0] ?? 0);
    } catch (error) {
      if (attempt === START_ATTEMPTS || !String(error).includes('Address already in use')) throw error;
    }
  }
};

const startOn = async (text: string, port: number): Promise<RunningNginx> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-nginx-'));
  const file = join(folder, 'nginx.conf');
  // Where nginx was built to write may not be there for us to write to.
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(folder, name)};`).join(' ');
  writeFileSync(file, text.replaceAll('LISTEN', String(port)).replace('http {', `http { access_log off; ${places}`));
  const globals = `daemon off; master_process off; error_log stderr; pid ${join(folder, 'nginx.pid')};`;
  const child = spawn(requirePart('nginx'), ['-p', folder, '-c', file, '-g', globals, '-e', 'stderr'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  let gone = false;
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      gone = true;
      rmSync(folder, { recursive: true, force: true });
      resolve();
    });
  });
  // A test process that ends without having stopped its nginx takes it along.
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  const stop = async (): Promise<void> => {
    process.off('exit', onExit);
    child.kill('SIGKILL');
    await ended;
  };
  try {
    await until('nginx to answer', async () => {
      if (gone) throw new Error(`nginx ended: ${log}`);
      return (await askOnce(port, requestText('/', ['Host: nobody.invalid'])).catch(() => undefined)) !== undefined;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, log: () => log, pid: child.pid as number, stop };
};
