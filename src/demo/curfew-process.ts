/** A Curfew of the tour's own: the real program in development mode, in a folder of its own, on free ports. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { developmentIdentity, type Mint } from './development-identity.ts';

const ENTRY = fileURLToPath(new URL('../main.js', import.meta.url));
const START_MS_MAX = 15_000;

export interface CurfewProcess {
  readonly http: string;
  readonly grpcPort: number;
  readonly admin: string;
  readonly operatorToken: string;
  /** A JWT-SVID for a workload of `spiffe://dev.local`. */
  readonly mint: Mint;
  stop(): Promise<void>;
}

const ADDRESSES = /decisions over HTTP on (\S+?), over gRPC on [^:\s]+:(\d+), administration on (\S+?)\.?\s/;

export const startCurfew = async (): Promise<CurfewProcess> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-demo-'));
  const ports = ['--http-port', '0', '--grpc-port', '0', '--admin-port', '0', '--workers', '1'];
  const child = spawn(process.execPath, [ENTRY, 'dev', ...ports], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      rmSync(folder, { recursive: true, force: true });
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4_000)));
  const announced = new Promise<RegExpExecArray>((resolve, reject) => {
    let text = '';
    const late = setTimeout(() => reject(new Error(`Curfew did not start within ${START_MS_MAX} ms\n${errors}`)), START_MS_MAX);
    child.once('exit', () => reject(new Error(`Curfew ended before it served\n${errors}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const found = ADDRESSES.exec(text);
      if (found === null) return;
      clearTimeout(late);
      resolve(found);
    });
  });
  try {
    const [, http = '', grpc = '', admin = ''] = await announced;
    const directory = join(folder, '.curfew');
    return {
      http, admin, stop, grpcPort: Number(grpc),
      operatorToken: readFileSync(join(directory, 'admin-token'), 'utf8').trim(),
      mint: developmentIdentity(directory),
    };
  } catch (error) {
    await stop();
    throw error;
  }
};
