/** A stock Cerbos from its npm package, fetched into `.cache` once: it is a hundred megabytes, and nothing of Curfew needs it. */
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot, say } from '../harness/run-bench.ts';
import { answers, freePort, stopProcess } from '../http/processes.ts';

const VERSION = '0.55.0';
const READY_MS = 30_000;

export interface CerbosServer {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** The program; `undefined`, with the reason told, where there is none for this machine. */
export const findCerbos = (): string | undefined => {
  const name = `cerbos-${process.platform}-${process.arch}`;
  const folder = join(repositoryRoot(), '.cache', 'peers', VERSION);
  const program = join(folder, 'node_modules', '@cerbos', name, name);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  try {
    execFileSync('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', `@cerbos/${name}@${VERSION}`], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    say(`no Cerbos: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`);
  }
  return existsSync(program) ? program : undefined;
};

export const CERBOS_VERSION = VERSION;

export const startCerbos = async (program: string, at: string): Promise<CerbosServer> => {
  const folder = join(at, 'cerbos');
  mkdirSync(join(folder, 'policies'), { recursive: true });
  copyFileSync(join(repositoryRoot(), 'bench/peers/rules/cerbos.yaml'), join(folder, 'policies', 'path.yaml'));
  const [http, grpc] = [await freePort(), await freePort()];
  writeFileSync(join(folder, 'cerbos.json'), JSON.stringify({
    server: { httpListenAddr: `127.0.0.1:${http}`, grpcListenAddr: `127.0.0.1:${grpc}`, requestLimits: {} },
    storage: { driver: 'disk', disk: { directory: join(folder, 'policies'), watchForChanges: false } }, telemetry: { disabled: true },
  }));
  const child = spawn(program, ['server', '--config', join(folder, 'cerbos.json'), '--log-level', 'error'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    await answers(child, `http://127.0.0.1:${http}/_cerbos/health`, READY_MS);
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
  return { port: http, pid: child.pid ?? 0, stop: () => stopProcess(child) };
};
