/**
 * Judges from the outside whether a worker process as a whole stands still, which its own watchdog can't see: that is a thread of the same
 * process. A worker tells its pulse from its event loop; the supervisor looks at it in even steps, and what counts is the number of looks, so
 * that a supervisor that was stopped, or a machine that slept, has seen nothing meanwhile.
 *
 * No pulse proves nothing on a busy machine. So the kernel is asked what the process does:
 * - stopped (SIGSTOP, a debugger): it can't come back by itself, and is ended after `STOPPED_LOOKS`;
 * - runnable: it computes, or waits for a processor. Not judged here; budgets of processor time are its own watchdog's;
 * - asleep without a pulse: it waits for something that does not come, and is ended after `SILENT_LOOKS`.
 */
import { readFileSync } from 'node:fs';

export type ProcessState = 'stopped' | 'runnable' | 'asleep';

export const PULSE_MS = 500;
export const LOOK_MS = 500;
/** 5 s: whoever stops a worker for a moment, to look at it, gets it back. */
export const STOPPED_LOOKS = 10;
/** 60 s: longer than its own watchdog waits for a loop that stands. */
export const SILENT_LOOKS = 120;

/** Of the main thread, from the kernel; elsewhere than on Linux, and of a process that is gone, `asleep`. */
export const processState = (pid: number): ProcessState => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before it is in parentheses and may hold anything.
    const state = stat.slice(stat.lastIndexOf(')') + 2).charAt(0);
    return state === 'T' || state === 't' ? 'stopped' : state === 'R' ? 'runnable' : 'asleep';
  } catch {
    return 'asleep';
  }
};

export type Freeze = 'stopped' | 'silent';

/** Called at every look; `pulsed`: there was a pulse since the last one. */
export const createFreezeJudge = (state: () => ProcessState): ((pulsed: boolean) => Freeze | undefined) => {
  let stopped = 0;
  let silent = 0;
  return (pulsed) => {
    if (pulsed) {
      stopped = 0;
      silent = 0;
      return undefined;
    }
    const now = state();
    stopped = now === 'stopped' ? stopped + 1 : 0;
    if (now === 'asleep') silent += 1;
    if (stopped >= STOPPED_LOOKS) return 'stopped';
    return silent >= SILENT_LOOKS ? 'silent' : undefined;
  };
};

export interface FreezeWatch {
  pulse(): void;
  stop(): void;
}

/** Calls `onFrozen` once. */
export const watchFreeze = (pid: number, onFrozen: (freeze: Freeze) => void): FreezeWatch => {
  const judge = createFreezeJudge(() => processState(pid));
  let pulsed = false;
  const timer = setInterval(() => {
    const freeze = judge(pulsed);
    pulsed = false;
    if (freeze === undefined) return;
    clearInterval(timer);
    onFrozen(freeze);
  }, LOOK_MS);
  timer.unref();
  return {
    pulse: () => {
      pulsed = true;
    },
    stop: () => clearInterval(timer),
  };
};
