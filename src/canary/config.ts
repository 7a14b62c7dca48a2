/** What an operator may say about canary grants. */
import { z } from 'zod';
import { urlFault } from '../bounded/url.ts';
import { isPerson } from '../domain/lifecycle/fields.ts';

const file = z.string().min(1).max(4_096);

export const canaryConfig = z
  .strictObject({
    id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be letters, digits, dots, dashes and underscores').describe('name of the canary, in alerts, metrics and the report'),
    pep: z.string().min(1).max(128).describe('the enforcement point that it shows; the grant counts through no other'),
    realm: z.string().min(1).max(128).default('default'),
    url: z.string().max(2_048).describe('what is asked for with GET, through the gateway'),
    headers: z.record(z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/, 'must be a header name'), z.string().max(1_024)).default({}).describe('sent along, such as `host`'),
    ca: file.optional().describe('PEM file of the authorities to trust instead of the well-known ones'),
    insecureLoopback: z.boolean().default(false).describe('allows http to this machine'),
    workload: z.string().min(1).max(2_048).describe('whose grant it is; a workload that has no other access'),
    credential: z.union([z.strictObject({ file: file.describe('read at each question') }), z.strictObject({ env: z.string().min(1) })]).optional().describe('the bearer token of the workload'),
    client: z.strictObject({ cert: file, key: file }).optional().describe('the certificate of the workload, for gateways that verify peers; PEM files, read at each question'),
    action: z.string().min(1).max(128).default('GET'),
    resource: z.strictObject({ type: z.string().min(1).max(64), id: z.string().min(1).max(2_048) }).describe('what the grant covers: what the gateway asks about for `url`'),
    entitlement: z.string().min(1).max(128).optional().describe('an entitlement marked `direct`, for canaries only; needed outside of development'),
    owner: z.string().refine(isPerson, 'must be a person or team such as team:shop'),
    reference: z.string().min(1).max(256).default('canary'),
    everyMs: z.int().min(1_000).max(604_800_000).default(900_000).describe('from the end of one run to the next'),
    ttlMs: z.int().min(1_000).max(600_000).default(10_000).describe('how long the grant lives'),
    askMs: z.int().min(20).max(60_000).default(500).describe('pause between two questions'),
    watchMs: z.int().min(100).max(600_000).default(3_000).describe('how long after the end it is asked on: longer than a cache between would keep an answer'),
    timeoutMs: z.int().min(100).max(60_000).default(5_000).describe('longest wait for one answer'),
    refusedBy: z.array(z.int().min(300).max(599)).min(1).max(16).default([401, 403]).describe('status codes by which this gateway refuses; 2xx is access, others say neither'),
  })
  .superRefine(({ url, insecureLoopback, credential, client }, context) => {
    const fault = urlFault(url, insecureLoopback);
    if (fault !== undefined) context.addIssue({ code: 'custom', path: ['url'], message: fault });
    if (credential === undefined && client === undefined) context.addIssue({ code: 'custom', path: ['credential'], message: 'or `client` must say who asks' });
  });

export const canariesConfig = z
  .array(canaryConfig)
  .max(200)
  .default([])
  .describe('Canary grants: now and then a short grant is issued, used through a gateway, and watched to its end. A gateway that lets through what was not granted, or goes on after the end, is an alert.');

export type CanaryConfig = z.output<typeof canaryConfig>;
