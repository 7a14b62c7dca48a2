import { readFileSync } from 'node:fs';

const NS_PER_MS = 1e6;

/**
 * Milliseconds of processor time that this process's main thread has taken. On Linux from the scheduler's own count for that
 * thread; elsewhere, and where that file is not served, of the whole process, which is at least as much.
 */
export const mainThreadProcessorMs = (): number => {
  try {
    // The main thread's id is the process's.
    const [ranNs] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ');
    const ms = Number(ranNs) / NS_PER_MS;
    if (Number.isFinite(ms) && ms > 0) return ms;
  } catch {
    // Not Linux, or a sandbox without this file.
  }
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
