/** Settings of the policy: which bundles, and what an evaluation may use. */
import { z } from 'zod';
import { signingConfig } from './signature/config.ts';
import { BUNDLE_SERVER_DEFAULTS, bundleServerConfig, bundleUrlFault, type BundleServerConfig } from './source/bundle-server/config.ts';

const MEBIBYTE = 1024 * 1024;

/** Where one bundle comes from: one of these. */
const source = {
  file: z.string().min(1).describe('Path of a bundle, a .tar.gz: compiled (`curfew policy build`, `opa build -t wasm`) or plain Rego, which is compiled when it is loaded.').optional(),
  directory: z.string().min(1).describe('A folder of .rego files and data. It is watched: what is saved there is compiled, tested and active within a second, or refused with file and line.').optional(),
  url: z.string().min(1).max(2_048).describe('Where an OPA bundle server has the bundle: https, redirects are refused.').optional(),
  server: bundleServerConfig.optional(),
};

interface Given {
  readonly file?: string | undefined;
  readonly directory?: string | undefined;
  readonly url?: string | undefined;
  readonly server?: BundleServerConfig | undefined;
}

const sourcesOf = (given: Given): number => [given.file, given.directory, given.url].filter((one) => one !== undefined).length;

/** Comes the bundle from elsewhere, and not with Curfew? */
export const isGiven = (given: Given): boolean => sourcesOf(given) > 0;

const checkUrl = ({ url, server }: Given, context: z.RefinementCtx): void => {
  const fail = (at: string, message: string): void => context.addIssue({ code: 'custom', path: [at], message });
  if (url === undefined && server !== undefined) fail('server', 'belongs to `url`, which is not there');
  const fault = url === undefined ? undefined : bundleUrlFault(url, server?.insecureLoopback === true);
  if (fault !== undefined) fail('url', fault);
};

/** Section `policy` of the configuration. */
export const policyConfig = z
  .strictObject({
    bundle: z
      .strictObject({
        ...source,
        reloadIntervalMs: z.int().min(0).max(3_600_000).default(5_000).describe('How often files are looked at for a change, in milliseconds; 0 means only on a reload signal.'),
      })
      .refine((given) => sourcesOf(given) <= 1, 'takes one source: file, directory or url')
      .superRefine(checkUrl)
      .prefault({})
      .describe('Where the policy comes from. With no source the bundle that comes with Curfew is used.'),
    bundles: z
      .array(
        z
          .strictObject({ name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be letters, digits, dots, dashes and underscores').describe('What messages call it.'), ...source })
          .refine((given) => sourcesOf(given) === 1, 'needs one source: file, directory or url')
          .superRefine(checkUrl),
      )
      .max(32)
      .default([])
      .describe('Several bundles instead of one, each with its own roots in its `.manifest`. They are made one policy; at most one of them may be compiled already, the others are then data.'),
    shadow: z
      .strictObject({
        ...source,
        sample: z.number().gt(0).max(1).default(1).describe('Of the decisions, how many are judged under the candidate too: 1 is all.'),
        processorShare: z.number().min(0.01).max(1).default(0.1).describe('How much of one processor each worker may use for it. What would take more is not judged, and counted.'),
      })
      .refine((given) => sourcesOf(given) === 1, 'needs one source: file, directory or url')
      .superRefine(checkUrl)
      .optional()
      .describe('A candidate that is evaluated beside the active policy after the answer has left. Differences are counted and logged, never enforced.'),
    signing: signingConfig.prefault({}),
    maxBundleAgeMs: z
      .int()
      .min(1_000)
      .max(366 * 86_400_000)
      .optional()
      .describe('How long a bundle of a server (`url`) may decide after the server last said that it is the one it has, in milliseconds. Absent: without end.'),
    whenTooOld: z
      .enum(['deny', 'serve'])
      .default('deny')
      .describe('What happens beyond maxBundleAgeMs: everything is denied until the server answers again, or the bundle goes on deciding and readiness, log and metrics say so.'),
    keepIn: z.string().min(1).max(4_096).default('.curfew/bundles').describe('Directory in which the last good bundle of each server is kept, for starts while the server is away; made with mode 0700 if it is not there.'),
    entrypoint: z.string().min(1).max(1024).default('curfew/access/decision').describe('Rule that decides access, as a path.'),
    memoryMaxBytes: z
      .int()
      .min(1 * MEBIBYTE)
      .max(1024 * MEBIBYTE)
      .default(64 * MEBIBYTE)
      .describe('The most memory one policy instance may take, its data included. A policy that needs more denies.'),
    inputMaxBytes: z.int().min(1024).max(64 * MEBIBYTE).default(MEBIBYTE).describe('The largest input a policy is given, as JSON. Larger ones deny.'),
  })
  .superRefine(({ bundle, bundles, maxBundleAgeMs = Infinity }, context) => {
    // Else an age that is nothing but the time between two answers would count as too old.
    const between = [bundle, ...bundles].map(({ url, server = BUNDLE_SERVER_DEFAULTS }) => (url === undefined ? 0 : Math.max(server.pollMaxMs, 2 * server.longPollMs) + server.timeoutMs));
    const least = Math.max(...between);
    if (maxBundleAgeMs <= least) context.addIssue({ code: 'custom', path: ['maxBundleAgeMs'], message: `must be more than ${least}, the time between two answers of the server: pollMaxMs or twice longPollMs, and timeoutMs` });
  })
  .refine(({ bundle, bundles }) => bundles.length === 0 || sourcesOf(bundle) === 0, { path: ['bundles'], message: 'takes the place of policy.bundle; name one of the two' })
  .refine(({ bundles }) => new Set(bundles.map(({ name }) => name)).size === bundles.length, { path: ['bundles'], message: 'has a name twice' })
  .describe('The policy bundle and what it may use.');

export type PolicyConfig = z.output<typeof policyConfig>;
export type SourceConfig = Pick<PolicyConfig['bundle'], 'file' | 'directory' | 'url' | 'server'>;
