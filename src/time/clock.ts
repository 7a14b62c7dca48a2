/**
 * The only place that reads clocks. Within a process time is `max(wall, last + monotonic delta)`, so it never runs backwards;
 * across restarts it never falls below `mark`, an instant that a predecessor wrote down ahead of every time it used.
 *
 * A step of the wall clock beyond `maxClockStepMs` against elapsed time is not believed: `trusted` is false until the wall
 * agrees again or an operator calls `reset`. A machine that slept is no such step: there the boot clock, which counts sleep,
 * explains the difference. A wall that lies below time already used is not believed at all until it has caught up, whoever
 * resets. Not covered: a virtual machine restored in a way that moves neither clock.
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

export const createClock = (options: ClockOptions): AdjustableClock => {
  const { wall, monotonic, boot } = options.sources ?? systemSources;
  const { maxClockStepMs } = options;
  /** Time that was used before the wall was last accepted: by a predecessor, or by this process until a reset. */
  let floor: number = options.mark ?? 0;
  let time = Math.floor(wall());
  let readAt = monotonic();
  let bootAt = boot();
  let bootReadAt = readAt;
  let earliestSeen = time;
  let latestSeen = Math.max(time, floor);
  /** Not believed since it was accepted; so nothing rests on how it got to where it is. */
  let below = floor - time > maxClockStepMs;

  const anchor = (wallMs: number, at: number): void => {
    time = wallMs;
    readAt = at;
    bootAt = boot();
    bootReadAt = at;
  };

  const now: Clock['now'] = () => {
    // Wall first: a pause between the two readings can then only make the wall look older, never newer.
    const wallMs = Math.floor(wall());
    const at = monotonic();
    if (below) anchor(wallMs, at);
    const expected = time + (at - readAt);
    let trusted = Math.abs(wallMs - expected) <= maxClockStepMs;
    if (!trusted && wallMs > expected) {
      const slept = boot() - bootAt - (at - bootReadAt);
      trusted = slept > BOOT_GRAIN_MS && wallMs - expected - slept <= maxClockStepMs;
      if (trusted) {
        bootAt = boot();
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
