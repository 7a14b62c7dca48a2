/** Starting, waiting for and ending the processes that a bench measures. Only ever ends what it started. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const STOP_MS = 10_000;
/** USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

export const stopProcess = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });

const statusOf = (url: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 1_000 }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once('error', () => resolve(undefined));
    request.once('timeout', () => request.destroy());
  });

const STEP_MS = 5;

/** Waits until the URL answers 200; rejects when the process ends before or the time is over. */
export const answers = async (child: ChildProcess, url: string, withinMs: number): Promise<void> => {
  const until = performance.now() + withinMs;
  while (performance.now() < until) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the process ended before ${url} answered`);
    if ((await statusOf(url)) === 200) return;
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
  throw new Error(`${url} did not answer 200 within ${withinMs} ms`);
};

const field = (path: string, pattern: RegExp): number | undefined => {
  try {
    const text = pattern.exec(readFileSync(path, 'utf8'))?.[1];
    return text === undefined ? undefined : Number(text);
  } catch {
    return undefined;
  }
};

/** Anonymous memory of a process in MiB; throws where the system doesn't tell. */
export const rssAnonMiB = (pid: number): number => {
  const kib = field(`/proc/${pid}/status`, /RssAnon:\s+(\d+) kB/);
  if (kib === undefined) throw new Error('this system does not tell RssAnon');
  return kib / 1_024;
};

/** Processor time of a process and its threads so far, in milliseconds, to the hundredth of a second. Throws where the system doesn't tell. */
export const processorMs = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name before it is in parentheses and may hold anything. User time is the 14th field, system time the 15th.
  const [user, system] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13).map(Number);
  return ((user ?? Number.NaN) + (system ?? Number.NaN)) * TICK_MS;
};

export const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter((text) => text !== '').map(Number);
