/** Configuration of the lifecycle: caps that no bundle can widen, and how long things are remembered. */
import { z } from 'zod';

const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;

const longest = (ms: number) => z.int().min(1).max(YEAR).default(ms);

const tier = (timeBoxed: number, jit: number, breakGlass: number) =>
  z.strictObject({
    maxTtlMs: z
      .strictObject({ 'time-boxed': longest(timeBoxed), jit: longest(jit), 'break-glass': longest(breakGlass) })
      .prefault({})
      .describe('longest time from start to end of a grant, in milliseconds, by model'),
  });

const standard = tier(24 * HOUR, 12 * HOUR, HOUR);

export const capsConfig = z
  .strictObject({
    tiers: z
      .object({
        standard: standard.prefault({}),
        sensitive: tier(8 * HOUR, 4 * HOUR, HOUR).prefault({}),
        critical: tier(4 * HOUR, 2 * HOUR, HOUR).prefault({}),
      })
      .catchall(standard)
      .prefault({})
      .describe('by tier of the entitlement; a grant without entitlement is of tier standard; a tier that is not listed can not be granted'),
    maxTaskMs: z.int().min(1_000).max(YEAR).default(24 * HOUR).describe('longest life of a task, and the deadline of one that names none'),
    maxAheadMs: z.int().min(0).max(YEAR).default(30 * 24 * HOUR).describe('how far ahead a grant may start'),
    maxLiveGrants: z.int().min(1).max(1_000).default(1_000).describe('how many grants that have not ended one workload may have'),
  })
  .describe('the authority floor for grants and tasks; the bundle can only tighten it');

export const lifecycleConfig = z
  .strictObject({
    caps: capsConfig.prefault({}),
    idempotencyKeepMs: z.int().min(60_000).max(30 * 24 * HOUR).default(24 * HOUR).describe('how long an Idempotency-Key is remembered'),
    sweepIntervalMs: z.int().min(100).max(HOUR).default(5_000).describe('pause between two rounds of housekeeping'),
  })
  .describe('tasks, grants and their ends');
export type LifecycleConfig = z.infer<typeof lifecycleConfig>;
