import { z } from 'zod';

/** Certificates come from files, or from the Workload API. */
export const tlsFaults = (tls: { cert?: string | undefined; key?: string | undefined; clientCa?: string | undefined; workloadApi?: true | undefined; clientTrustDomain?: string | undefined }, context: z.RefinementCtx): void => {
  const fault = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
  const byFiles = tls.workloadApi === undefined;
  for (const name of ['cert', 'key'] as const) if ((tls[name] === undefined) === byFiles) fault(name, byFiles ? 'is required' : 'is not used with `workloadApi`');
  if (!byFiles && tls.clientCa !== undefined) fault('clientCa', 'is not used with `workloadApi`, but `clientTrustDomain`');
  if (byFiles && tls.clientTrustDomain !== undefined) fault('clientTrustDomain', 'needs `workloadApi: true`');
};

/** Limits of one gRPC listener. */
export const grpcLimitsConfig = z
  .strictObject({
    maxMessageBytes: z.int().min(1_024).max(67_108_864).default(4_194_304).describe('Longest message that is read; a longer one is refused.'),
    maxConnections: z.int().min(1).max(65_536).default(1_024).describe('Connections at once. Beyond it those make room that never asked anything; where there are none, new ones are closed.'),
    maxConcurrentStreams: z.int().min(1).max(65_536).default(1_024).describe('Calls under way at once on one connection.'),
    maxHeaderListBytes: z.int().min(1_024).max(65_536).default(16_384).describe('Metadata of one call.'),
    maxSessionMemoryMiB: z.int().min(1).max(1_024).default(32).describe('Memory of one connection, beyond which new calls on it are refused.'),
    idleTimeoutMs: z.int().min(1_000).max(86_400_000).default(3_600_000).describe('A connection without any traffic is closed after this time.'),
    maxConnectionAgeMs: z.int().min(1_000).max(2_000_000_000).default(1_800_000).describe('A connection older than this (less up to a tenth) is to be opened anew, so that connections find new workers and nodes; what is asked on it meanwhile is answered.'),
    minConnectionAgeMs: z.int().min(0).max(2_000_000_000).default(60_000).describe('A connection younger than this is not opened anew to spread connections over workers.'),
    receiveTimeoutMs: z.int().min(100).max(600_000).default(10_000).describe('A call whose request has not arrived whole within this time is refused.'),
    drainMs: z.int().min(0).max(600_000).default(5_000).describe('At shutdown, how long open calls may take to end.'),
  })
  .prefault({});

export type GrpcLimits = z.infer<typeof grpcLimitsConfig>;
