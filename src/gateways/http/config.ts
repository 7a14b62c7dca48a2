/** Options of one HTTP listener. */
import { z } from 'zod';
import { tlsFaults } from '../../grpc/config.ts';

export const httpLimitsConfig = z
  .strictObject({
    headerBytesMax: z.int().min(4_096).max(65_536).default(16_384).describe('Request line and headers together; more is answered 431'),
    headerLinesMax: z.int().min(16).max(512).default(128).describe('Header lines of one request; more denies'),
    bodyBytesMax: z.int().min(0).max(1_048_576).default(65_536).describe('Bytes of a request body, counted and dropped as they arrive; a larger one denies and ends the connection'),
    connectionsMax: z.int().min(1).max(65_536).default(4_096).describe('Connections at once. Beyond it those make room that never asked anything; where there are none, new ones are closed'),
    headersTimeoutMs: z.int().min(100).max(60_000).default(5_000).describe('A request whose headers have not arrived within this time is answered 408'),
    requestTimeoutMs: z.int().min(100).max(60_000).default(10_000).describe('The same for the whole request'),
    keepAliveTimeoutMs: z.int().min(1_000).max(3_600_000).default(75_000).describe('An idle connection is closed after this time; longer than gateways keep theirs'),
    drainMs: z.int().min(0).max(600_000).default(5_000).describe('At shutdown, how long open requests may take to end'),
  })
  .prefault({});

export type HttpLimits = z.output<typeof httpLimitsConfig>;

const file = z.string().min(1);

export const httpListenerConfig = z
  .strictObject({
    id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/).default('http').describe('Name of this listener; `unixListener` of an enforcement point refers to it'),
    host: z.string().min(1).default('127.0.0.1').describe('Address to listen on'),
    port: z.union([z.int().min(0).max(65_535), z.literal(false)]).default(8181).describe('TCP port; 0: any free one; false: the Unix socket only'),
    unix: z
      .strictObject({
        path: file.describe('Path of a Unix socket to listen on'),
        mode: z.int().min(0).max(0o777).default(0o660).describe('Its file mode'),
      })
      .optional(),
    tls: z
      .strictObject({
        cert: file.optional().describe('File with the certificate chain, PEM'),
        key: file.optional().describe('File with the private key, PEM'),
        clientCa: file.optional().describe('File with the authorities that sign client certificates, PEM; when set, clients are asked for one'),
        workloadApi: z.literal(true).optional().describe("In place of files: Curfew's SVID, from `identity.workloadApi`"),
        clientTrustDomain: z.string().optional().describe('With it: clients are asked for an SVID of this trust domain'),
        clientCertificate: z.enum(['required', 'optional']).default('required').describe('Without `required`, a client may show none; a wrong one is refused always'),
      })
      .superRefine(tlsFaults)
      .optional()
      .describe('TLS on the TCP port'),
    pep: z.literal('anonymous').optional().describe('Serve callers that do not prove which enforcement point they are; needed beyond loopback'),
    realm: z.string().min(1).optional().describe('Realm of every question on this listener; absent: the first one of the enforcement point, else `default`'),
    subject: z.enum(['token', 'peer']).optional().describe('Where the subject comes from; absent: as the enforcement point says'),
    limits: httpLimitsConfig,
  })
  .refine((config) => config.port !== false || config.unix !== undefined, { message: 'needs a port or a Unix socket', path: ['port'] })
  .prefault({});

export type HttpListenerConfig = z.output<typeof httpListenerConfig>;
