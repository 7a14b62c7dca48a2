/** How a bundle server is asked. Strict: an unknown member is an error. */
import { z } from 'zod';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const path = z.string().min(1).max(4_096);

export const bundleServerConfig = z
  .strictObject({
    ca: path.optional().describe('PEM file of the authorities that may sign the server certificate; without it the well-known ones'),
    bearerTokenFile: path.optional().describe('File whose content is sent as bearer token; read again for every request'),
    clientCert: path.optional().describe('PEM file of the certificate to present (mutual TLS); read again for every request'),
    clientKey: path.optional().describe('PEM file of its private key'),
    pollMinMs: z.int().min(100).max(24 * HOUR_MS).default(MINUTE_MS).describe('The server is asked every so often, at random between this'),
    pollMaxMs: z.int().min(100).max(24 * HOUR_MS).default(2 * MINUTE_MS).describe('and this'),
    longPollMs: z.int().min(0).max(HOUR_MS).default(0).describe('How long the server may hold a request until there is something new; whole seconds count. 0: no long polling. Only with servers that answer `Content-Type: application/vnd.openpolicyagent.bundles`'),
    timeoutMs: z.int().min(10).max(10 * MINUTE_MS).default(10_000).describe('For one whole request, beyond the time that the server may hold it'),
    allowOlder: z.boolean().default(false).describe('Take a bundle that is older than the active one, or was active before. Without it that is refused'),
    insecureLoopback: z.boolean().default(false).describe('Allow http:// on loopback; for tests and for a proxy beside Curfew'),
  })
  .superRefine(({ pollMinMs, pollMaxMs, clientCert, clientKey, longPollMs }, context) => {
    const fail = (at: string, message: string): void => context.addIssue({ code: 'custom', path: [at], message });
    if (pollMaxMs < pollMinMs) fail('pollMaxMs', 'must not be shorter than pollMinMs');
    if ((clientCert === undefined) !== (clientKey === undefined)) fail('clientKey', 'and clientCert belong together');
    if (longPollMs > 0 && longPollMs < 1_000) fail('longPollMs', 'must be 0 or at least 1000');
  })
  .describe('How the server behind `url` is asked.');
export type BundleServerConfig = z.output<typeof bundleServerConfig>;

/** Of servers about which nothing more is said. */
export const BUNDLE_SERVER_DEFAULTS: BundleServerConfig = bundleServerConfig.parse({});

export { urlFault as bundleUrlFault } from '../../../bounded/url.ts';
