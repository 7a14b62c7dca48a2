/** Options of the Redis store. */
import { z } from 'zod';

const host = z.string().min(1).max(253);
const address = z.strictObject({ host, port: z.int().min(1).max(65_535) });
const filePath = z.string().min(1).max(4_096);
const secret = (what: string) =>
  z.union([
    z.strictObject({ file: filePath.describe(`File that holds ${what}`) }),
    z.strictObject({ env: z.string().min(1).max(128).describe(`Environment variable that holds ${what}`) }),
  ]);

/** No node of any fleet has a longer lease. */
export const LEASE_MS_MAX = 60_000;

export const redisStoreConfig = z
  .strictObject({
    host: host.default('127.0.0.1').describe('The primary; not read where `sentinels` or `cluster` is given'),
    port: z.int().min(1).max(65_535).default(6_379),
    sentinels: z.array(address).min(1).max(32).optional().describe('Sentinels that know the primary by `primaryName`'),
    primaryName: z.string().min(1).max(128).default('mymaster').describe("The primary's name at the Sentinels"),
    cluster: z.array(address).min(1).max(64).optional().describe('Some nodes of a cluster, from which the others are learnt; a realm is one slot'),
    database: z.int().min(0).max(10_000).default(0).describe('Number of the database; a cluster has only 0'),
    username: z.string().min(1).max(128).optional().describe('User of the ACL; absent: the default user'),
    password: secret('the password').optional(),
    sentinelUsername: z.string().min(1).max(128).optional(),
    sentinelPassword: secret("the Sentinels' password").optional(),
    tls: z
      .strictObject({
        ca: filePath.optional().describe('PEM file of the authorities that may vouch for the server; absent: those of the system'),
        cert: filePath.optional().describe('PEM file of our certificate, where the server wants one'),
        key: filePath.optional().describe('PEM file of its key'),
        serverName: host.optional().describe("Name in the server's certificate; absent: the host"),
      })
      .optional()
      .describe('TLS to the server. Needed for every server that is not on loopback; `{}` is enough where the system knows the authority'),
    integrityKey: secret('at least 32 characters, the same on every node; of several lines the first one seals, and what any of them sealed is accepted')
      .optional()
      .describe('Key with which every record is sealed: records that were not written with it deny. Needed for every server that is not on loopback'),
    durability: z
      .union([z.enum(['memory', 'fsync']), z.strictObject({ replicated: z.int().min(1).max(10) })])
      .default('fsync')
      .describe('How durable a confirmed commit is. `fsync`: on the disk of the primary. `replicated: n`: besides, at n replicas, which must be all. `memory`: lost with the server. The server must be set up so: a weaker one is refused at the start and denies later'),
    mode: z.enum(['strict', 'leased']).default('strict').describe('`strict`: every decision reads its facts from the primary. `leased`: a node answers from what it has read while it holds a lease; `revoke` waits until every such node has said that it knows, or its lease is over'),
    leaseMs: z.int().min(100).max(LEASE_MS_MAX).default(1_000).describe('How long a lease lasts: the right to answer from memory (`mode: leased`), and to read from a primary that replicas follow. The same on every node. `revoke` waits so long for a node that does not say that it knows, and after a change of primary'),
    memoBytesMax: z.int().min(1_048_576).max(2 ** 34).default(16 * 2 ** 20).describe('How much one worker remembers of what it has read, about. With `mode: strict` it asks before every answer whether that is still so'),
    readTimeoutMs: z.int().min(10).max(60_000).default(1_000).describe('A read not answered by then fails. Decisions end at limits.decisionDeadlineMs in any case'),
    commitTimeoutMs: z.int().min(10).max(60_000).default(5_000).describe('A commit not answered by then has an unknown outcome'),
    connectTimeoutMs: z.int().min(10).max(60_000).default(5_000).describe('For connecting, at the start and again. A connection on which nothing comes for so long although something is waited for is given up'),
    waitAtStartMs: z.int().min(0).max(3_600_000).default(0).describe('How long a node that starts goes on trying while the server can not be reached, or still loads; 0: it ends at once and says why'),
    inFlightMax: z.int().min(10).max(1_000_000).default(10_000).describe('Commands of one process that wait for answers at once; those beyond fail'),
    maxClockSkewMs: z.int().min(10).max(600_000).default(1_000).describe("A node whose clock is surely further than this from the server's denies"),
  })
  .describe('The Redis store: for several nodes. Read where `store.kind` is `redis`.');

export type RedisStoreConfig = z.output<typeof redisStoreConfig>;
