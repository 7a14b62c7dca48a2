import { z } from 'zod';

const MEBIBYTE = 1024 * 1024;

/** Section `policy` of the configuration. */
export const policyConfig = z
  .strictObject({
    bundle: z
      .strictObject({
        file: z.string().min(1).describe('Path of the bundle, a .tar.gz made by `opa build -t wasm`. Without it the bundle that comes with Curfew is used.').optional(),
        reloadIntervalMs: z.int().min(0).max(3_600_000).default(5_000).describe('How often the file is looked at for a change, in milliseconds; 0 means only on a reload signal.'),
      })
      .prefault({})
      .describe('Where the policy comes from.'),
    entrypoint: z.string().min(1).max(1024).default('curfew/access/decision').describe('Rule that decides access, as a path.'),
    memoryMaxBytes: z
      .int()
      .min(1 * MEBIBYTE)
      .max(1024 * MEBIBYTE)
      .default(64 * MEBIBYTE)
      .describe('The most memory one policy instance may take, its data included. A policy that needs more denies.'),
    inputMaxBytes: z.int().min(1024).max(64 * MEBIBYTE).default(MEBIBYTE).describe('The largest input a policy is given, as JSON. Larger ones deny.'),
  })
  .describe('The policy bundle and what it may use.');

