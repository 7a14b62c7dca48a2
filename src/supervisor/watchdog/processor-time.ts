/**
 * Processor time of single threads, on Linux from the scheduler's own count. Budgets are counted in it, so that an overloaded
 * machine or a stopped process uses up nobody's.
 */
import { readFileSync, readlinkSync } from 'node:fs';

const NS_PER_MS = 1e6;

const statFile = (thread: number | string): string => `/proc/self/task/${thread}/schedstat`;

/** Where the count of the calling thread stands; `undefined` where it is not served. */
export const ownStatFile = (): string | undefined => {
  try {
    const [, , thread] = readlinkSync('/proc/thread-self').split('/');
    const file = statFile(thread ?? '');
    return processorMsIn(file) === undefined ? undefined : file;
  } catch {
    return undefined;
  }
};

/** Milliseconds, with fractions. */
export const processorMsIn = (file: string): number | undefined => {
  try {
    const ms = Number(readFileSync(file, 'utf8').split(' ')[0]) / NS_PER_MS;
    return Number.isFinite(ms) && ms > 0 ? ms : undefined;
  } catch {
    return undefined;
  }
};

/** Of this process's main thread, whose id is the process's; elsewhere than on Linux of the whole process, which is at least as much. */
export const mainThreadProcessorMs = (): number => {
  const ms = processorMsIn(statFile(process.pid));
  if (ms !== undefined) return ms;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
