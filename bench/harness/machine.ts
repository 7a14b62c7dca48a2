/**
 * What the machine was like: its shape, how busy it was with other work, and how long a fixed piece of arithmetic takes, by
 * which a reader can compare machines and see whether this one changed its speed meanwhile. No host name, no path.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { calibrate as calibrateBy } from '../../src/time/calibrate.ts';

export interface Shape {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGiB: number;
  readonly node: string;
  readonly platform: string;
}

export interface Conditions {
  /** Load average of the last minute. */
  readonly load: number;
  /** Cores kept busy by everything on the machine while this process waited; `null` where the system doesn't say. */
  readonly busyCores: number | null;
  /** The calibration loop, milliseconds. */
  readonly calibrationMs: number;
}

export const machineShape = (): Shape => ({
  cores: availableParallelism(),
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
});

/** Milliseconds. */
export const calibrate = (loops?: number): number => calibrateBy(() => performance.now(), loops);

/** Busy time of all cores in hundredths of a second. */
const busyTicks = (): number | undefined => {
  try {
    const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
    return [user, nice, system, irq, softirq, steal].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0);
  } catch {
    return undefined;
  }
};

const WATCHED_MS = 500;

export const conditions = async (): Promise<Conditions> => {
  const load = loadavg()[0] ?? 0;
  const ticks = busyTicks();
  await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
  const later = busyTicks();
  const busyCores = ticks === undefined || later === undefined ? null : (later - ticks) / 100 / (WATCHED_MS / 1_000);
  // The first run is compiled on its way.
  calibrate(1_000_000);
  return { load, busyCores, calibrationMs: calibrate() };
};
