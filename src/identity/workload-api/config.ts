/** Where the SPIFFE Workload API is, and for how long its answers count. */
import { isIP } from 'node:net';
import { z } from 'zod';
import type { StreamAddress } from '../../grpc/server-stream.ts';
import { isTrustDomain } from '../../domain/spiffe-id.ts';

const MINUTE_MS = 60_000;

/** SPIFFE Workload Endpoint, section 4: `unix:` with an absolute path, or `tcp:` with an IP address and a port. */
export const workloadApiAddress = (text: string): StreamAddress | undefined => {
  const path = /^unix:(?:\/\/)?(\/[^/?#][^?#]*)$/.exec(text)?.[1];
  if (path !== undefined) return { path };
  const [, host = '', port = ''] = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[0-9.]+):(\d{1,5})$/.exec(text) ?? [];
  const bare = host.replace(/^\[|\]$/g, '');
  return isIP(bare) !== 0 && Number(port) > 0 && Number(port) <= 65_535 ? { host: bare, port: Number(port) } : undefined;
};

export const workloadApiConfig = z
  .strictObject({
    address: z.string().max(1024).refine((text) => workloadApiAddress(text) !== undefined, 'must be `unix:///absolute/path` or `tcp://IP:port`')
      .describe('its socket, such as unix:///run/spire/sockets/agent.sock; what `SPIFFE_ENDPOINT_SOCKET` says to other workloads'),
    trustDomain: z.string().refine(isTrustDomain, 'must be a trust domain name').describe("trust domain of Curfew's own identity; an SVID of another one is refused"),
    id: z.string().startsWith('spiffe://').max(2048).optional().describe('SPIFFE ID to use where Curfew has several; absent: the first one'),
    timeoutMs: z.int().min(10).max(MINUTE_MS).default(5_000).describe('for the first answer of a stream; a listener that needs an SVID waits as long at start'),
    refreshMs: z.int().min(1_000).max(60 * MINUTE_MS).default(MINUTE_MS).describe('a stream is opened anew so often, because one that is silent may be dead'),
    maxAgeMs: z.int().min(1_000).max(24 * 60 * MINUTE_MS).default(5 * MINUTE_MS).describe('what was learned by a stream that was opened longer ago verifies nothing'),
  })
  .refine(({ maxAgeMs, refreshMs, timeoutMs }) => maxAgeMs > refreshMs + timeoutMs, { message: 'must be longer than refreshMs and timeoutMs together', path: ['maxAgeMs'] });

export type WorkloadApiConfig = z.output<typeof workloadApiConfig>;
