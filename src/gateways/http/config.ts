/** Options of one HTTP listener. */
import { z } from 'zod';

export const httpLimitsConfig = z
  .strictObject({
    headerBytesMax: z.int().min(4_096).max(65_536).default(16_384).describe('Request line and headers together; more is answered 431'),
    headerLinesMax: z.int().min(16).max(512).default(128).describe('Header lines of one request; more denies'),
    bodyBytesMax: z.int().min(0).max(1_048_576).default(65_536).describe('Bytes of a request body, counted as they arrive; beyond, the connection is cut'),
    connectionsMax: z.int().min(1).max(65_536).default(4_096).describe('Connections at once; further ones are closed'),
    headersTimeoutMs: z.int().min(100).max(60_000).default(5_000).describe('A request whose headers have not arrived within this time is answered 408'),
    requestTimeoutMs: z.int().min(100).max(60_000).default(10_000).describe('The same for the whole request'),
    keepAliveTimeoutMs: z.int().min(1_000).max(3_600_000).default(75_000).describe('An idle connection is closed after this time; longer than gateways keep theirs'),
    drainMs: z.int().min(0).max(600_000).default(5_000).describe('At shutdown, how long open requests may take to end'),
  })
  .prefault({});

export type HttpLimits = z.output<typeof httpLimitsConfig>;

export const httpListenerConfig = z
  .strictObject({
    id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/).default('http').describe('Id of the listener, which `unixListener` of an enforcement point names'),
    host: z.string().min(1).default('127.0.0.1').describe('Address to listen on'),
    port: z.int().min(0).max(65_535).default(8181).describe('Port; 0: any free one'),
    unix: z.strictObject({ path: z.string().min(1), mode: z.int().min(0).max(0o777).default(0o660) }).optional().describe('Listen on a Unix socket instead'),
    tls: z
      .strictObject({
        certFile: z.string().min(1),
        keyFile: z.string().min(1),
        clientCaFile: z.string().min(1).optional().describe('Client certificates are asked for and must be signed by this'),
        clientCertificate: z.enum(['required', 'optional']).default('required'),
      })
      .optional()
      .describe('Serve TLS; files in PEM, read again on reload'),
    realm: z.string().min(1).optional().describe("Realm of every question that comes in here; absent: the enforcement point's first realm, else `default`"),
    pep: z.literal('anonymous').optional().describe('Serve callers that prove nothing, also beyond loopback; they may only ask with a credential'),
    limits: httpLimitsConfig,
  })
  .prefault({});

export type HttpListenerConfig = z.output<typeof httpListenerConfig>;
