/** OPA's evaluator behind grpc-go (`bench/peers/opa-grpc`), built with Go into `.cache` once. It stands in for opa-envoy-plugin, whose module could not be had where this was measured. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { repositoryRoot, say } from '../harness/run-bench.ts';
import { stopProcess } from '../http/processes.ts';

export interface OpaGrpcServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** The program; `undefined`, with the reason told, where Go could not build it. */
export const findOpaGrpc = (): string | undefined => {
  const source = join(repositoryRoot(), 'bench/peers/opa-grpc');
  const key = createHash('sha256');
  for (const name of readdirSync(source).toSorted()) key.update(`${name}\n`).update(readFileSync(join(source, name)));
  const program = join(repositoryRoot(), '.cache', 'peers', `opa-grpc-${key.digest('hex').slice(0, 12)}`);
  if (existsSync(program)) return program;
  try {
    execFileSync('go', ['build', '-trimpath', '-buildvcs=false', '-o', program, '.'], { cwd: source, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    say(`no OPA over gRPC: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`);
  }
  return existsSync(program) ? program : undefined;
};

/** With these data and the bare rule. */
export const startOpaGrpc = async (program: string, data: object, at: string): Promise<OpaGrpcServer> => {
  const folder = join(at, 'opa-grpc');
  mkdirSync(folder);
  copyFileSync(join(repositoryRoot(), 'bench/peers/rules/bare.rego'), join(folder, 'access.rego'));
  writeFileSync(join(folder, 'data.json'), JSON.stringify(data));
  const child = spawn(program, [folder], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject).once('exit', () => reject(new Error('OPA over gRPC ended before it served')));
    createInterface({ input: child.stdout }).once('line', (line) => resolve(Number(line)));
  });
  return { port, stop: () => stopProcess(child) };
};
