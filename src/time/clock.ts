/**
 * The only place that reads clocks. Within a process time is `max(wall, last + monotonic delta)`, so it never runs backwards;
 * across restarts it never falls below `mark`, an instant that a predecessor wrote down ahead of every time it used.
 *
 * A step of the wall clock beyond `maxClockStepMs` against elapsed time is not believed: `trusted` is false until the wall
 * agrees again or an operator calls `reset`. A machine that slept is no such step: there the boot clock, which counts sleep,
 * explains the difference. A wall that lies below time already used is not believed at all until it has caught up, whoever
 * resets. Clocks are compared by readings that belong together: a process that is held up between two of them reads again.
 * Not covered: a virtual machine restored in a way that moves neither clock.
 */
import { uptime } from 'node:os';
import type { Clock } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';

/** Raw readings, in milliseconds. Tests inject their own. */
export interface ClockSources {
  readonly wall: () => number;
  readonly monotonic: () => number;
  /** Elapsed time including sleep of the machine, coarse; read only when wall and monotonic disagree. */
  readonly boot: () => number;
}

export interface ClockOptions {
  readonly maxClockStepMs: number;
  /** No time of this process lies below this in `latest`. */
  readonly mark?: Instant;
  readonly sources?: ClockSources;
}

export interface AdjustableClock extends Clock {
  /**
   * Accepts the wall clock as it is now, as a restart would; an operator's act. Time still never runs backwards: a wall that lies
   * further behind than `maxClockStepMs` is believed once it has caught up.
   */
  reset(): void;
  /** By how much the wall lies behind time already used, in milliseconds; 0 when it does not. */
  behindMs(): number;
}

export const systemSources: ClockSources = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  boot: () => uptime() * 1000,
};

/** How coarse the boot clock may be: hundredths of a second on Linux. */
const BOOT_GRAIN_MS = 50;

/** Readings of the clocks belong together when no more than this passed, awake or asleep, between the first and the last. */
const TOGETHER_MS = BOOT_GRAIN_MS;
/** A process that is held up at each of so many attempts takes the closest. */
const READS_MAX = 20;

interface Readings {
  readonly wallMs: number;
  readonly at: number;
  readonly bootMs: number;
}

/** What is kept and compared with later must not hold a pause of the process: taken for a step, that would never be undone. */
const readTogether = ({ wall, monotonic, boot }: ClockSources): Readings => {
  let closest: (Readings & { readonly apartMs: number }) | undefined;
  for (let reads = 0; reads < READS_MAX; reads += 1) {
    const [firstBoot, first] = [boot(), monotonic()];
    const wallMs = Math.floor(wall());
    const [at, bootMs] = [monotonic(), boot()];
    const apartMs = Math.max(at - first, bootMs - firstBoot);
    if (closest === undefined || apartMs < closest.apartMs) closest = { wallMs, at, bootMs, apartMs };
    if (apartMs <= TOGETHER_MS) break;
  }
  return closest as Readings;
};

export const createClock = (options: ClockOptions): AdjustableClock => {
  const sources = options.sources ?? systemSources;
  const { wall, monotonic } = sources;
  const { maxClockStepMs } = options;
  /** Time that was used before the wall was last accepted: by a predecessor, or by this process until a reset. */
  let floor: number = options.mark ?? 0;
  let { wallMs: time, at: readAt, bootMs: bootAt } = readTogether(sources);
  let bootReadAt = readAt;
  let earliestSeen = time;
  let latestSeen = Math.max(time, floor);
  /** Not believed since it was accepted; so nothing rests on how it got to where it is. */
  let below = floor - time > maxClockStepMs;

  const now: Clock['now'] = () => {
    // Wall first: a pause between the two readings can then only make the wall look older, never newer.
    let wallMs = Math.floor(wall());
    let at = monotonic();
    let expected = time + (at - readAt);
    let trusted = !below && Math.abs(wallMs - expected) <= maxClockStepMs;
    if (!trusted) {
      const readings = readTogether(sources);
      ({ wallMs, at } = readings);
      if (below) {
        ({ wallMs: time, at: readAt, bootMs: bootAt } = readings);
        bootReadAt = at;
      }
      expected = time + (at - readAt);
      const slept = readings.bootMs - bootAt - (at - bootReadAt);
      trusted = Math.abs(wallMs - expected) <= maxClockStepMs;
      if (!trusted && wallMs > expected && slept > BOOT_GRAIN_MS && wallMs - expected - slept <= maxClockStepMs) {
        trusted = true;
        bootAt = readings.bootMs;
        bootReadAt = at;
      }
    }
    time = trusted ? Math.max(wallMs, expected) : expected;
    readAt = at;
    below = floor - wallMs > maxClockStepMs;
    if (below) trusted = false;
    latestSeen = Math.max(latestSeen, Math.floor(time), floor);
    if (trusted) earliestSeen = Math.max(earliestSeen, Math.min(wallMs, latestSeen));
    return { earliest: earliestSeen as Instant, latest: latestSeen as Instant, trusted };
  };

  return {
    now,
    monotonicMs: monotonic,
    reset: () => {
      floor = latestSeen;
      below = true;
    },
    behindMs: () => Math.max(0, latestSeen - Math.floor(wall())),
  };
};
