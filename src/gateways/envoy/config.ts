/** Options of the gRPC listener for Envoy. */
import { z } from 'zod';
import { grpcLimitsConfig, tlsFaults } from '../../grpc/config.ts';

const file = z.string().min(1);

export const bodyLimitsConfig = z
  .strictObject({
    parse: z.boolean().default(true).describe('Give policies `parsed_body` and `truncated_body`.'),
    truncated: z.enum(['deny', 'policy']).default('deny').describe('What becomes of a request whose body the gateway cut short: denied, or left to the policy, which sees `truncated_body`.'),
    maxBytes: z.int().min(0).max(67_108_864).default(1_048_576).describe('Longest body that is parsed; a longer one denies.'),
    maxDepth: z.int().min(1).max(256).default(32).describe('Deepest nesting of a JSON body.'),
    descriptorSet: z.string().min(1).optional().describe('File with a FileDescriptorSet (`protoc --descriptor_set_out --include_imports`): messages of the unary gRPC methods in it are parsed too.'),
    maxParts: z.int().min(1).max(100_000).default(1_000).describe('Most members of a form or query, and most parts of a multipart body.'),
  })
  .prefault({});

export type BodyLimits = z.infer<typeof bodyLimitsConfig>;

/** The listener for Envoy's external authorization over gRPC. */
export const envoyGatewayConfig = z
  .strictObject({
    id: z.string().min(1).max(64).default('envoy').describe('Name of this listener; `unixListener` of an enforcement point refers to it.'),
    host: z.string().min(1).default('127.0.0.1').describe('Address to listen on.'),
    port: z.union([z.int().min(0).max(65_535), z.literal(false)]).default(9191).describe('TCP port; 0 takes any free one, false listens on the Unix socket only.'),
    unix: z
      .strictObject({
        path: file.describe('Path of a Unix socket to listen on.'),
        mode: z.int().min(0).max(0o777).default(0o660).describe('Its file mode.'),
      })
      .optional(),
    tls: z
      .strictObject({
        cert: file.optional().describe('File with the certificate chain, PEM.'),
        key: file.optional().describe('File with the private key, PEM.'),
        clientCa: file.optional().describe('File with the authorities that sign client certificates, PEM. When set, every client must show one.'),
        workloadApi: z.literal(true).optional().describe("In place of files: Curfew's SVID, from `identity.workloadApi`."),
        clientTrustDomain: z.string().optional().describe('With it: every client must show an SVID of this trust domain.'),
      })
      .superRefine(tlsFaults)
      .optional()
      .describe('TLS on the TCP port.'),
    pep: z.literal('anonymous').optional().describe('Serve callers that do not prove which enforcement point they are; needed beyond loopback.'),
    realm: z.string().min(1).optional().describe('Realm of every question on this listener; absent: the first one of the enforcement point, else `default`.'),
    subject: z
      .enum(['token', 'peer'])
      .optional()
      .describe('Where the subject comes from: the bearer credential, or the peer identity that Envoy verified. Absent: as the enforcement point says.'),
    policies: z
      .array(z.string().regex(/^[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*$/, 'must be the path of a rule, such as shop/authz/allow'))
      .max(64)
      .default([])
      .describe('Rules that a route may name in place of `policy.entrypoint`, by `curfew.policy` in its `context_extensions`; the bundle must have them.'),
    bodies: bodyLimitsConfig,
    health: z.boolean().default(true).describe('Serve `grpc.health.v1.Health`.'),
    reflection: z.boolean().default(false).describe('Serve gRPC reflection, for grpcurl and the like.'),
    limits: grpcLimitsConfig,
  })
  .refine((config) => config.port !== false || config.unix !== undefined, { message: 'needs a port or a Unix socket', path: ['port'] });

export type EnvoyGatewayConfig = z.output<typeof envoyGatewayConfig>;
