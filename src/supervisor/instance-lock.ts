/**
 * One supervisor to a store. On Linux the lock is an abstract Unix socket named after the directory itself: the kernel gives it
 * to one process and takes it back when that process ends, however it ends. It does not reach across network namespaces (the
 * store refuses those by itself); elsewhere than on Linux only the ports keep a second instance out.
 */
import { mkdirSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';

export interface InstanceLock {
  release(): void;
}

export class InstanceRunning extends Error {
  override readonly name = 'InstanceRunning';
}

const ANSWER_MS = 500;

const holderOf = (address: string): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    const socket = connect(address);
    socket.setEncoding('utf8').setTimeout(ANSWER_MS, () => socket.destroy());
    socket.on('data', (chunk: string) => { text = (text + chunk).slice(0, 32); });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(/^\d+$/.test(text) ? ` (process ${text})` : ''));
  });

/** Makes the directory if it is not there. Throws `InstanceRunning` when another process holds its lock. */
export const lockInstance = async (directory: string): Promise<InstanceLock> => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (process.platform !== 'linux') return { release: () => undefined };
  const { dev, ino } = statSync(directory, { bigint: true });
  const address = `\0curfew:${dev}:${ino}`;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(String(process.pid));
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, resolve);
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new InstanceRunning(`another Curfew already uses the store ${directory}${await holderOf(address)}`, { cause: error });
  }
  server.unref();
  return { release: () => void server.close() };
};
