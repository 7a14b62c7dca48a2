/** One request to a bundle server, as OPA makes it [OPA v1/download]. Credentials are read anew each time; faults name no content. */
import { readBounded } from '../../../bounded/file.ts';
import { getBytes } from '../../../bounded/get.ts';
import { BUNDLE_LIMITS } from '../../bundle/limits.ts';
import type { BundleServerConfig } from './config.ts';

const CREDENTIAL_BYTES_MAX = 1_048_576;
const ETAG = /^(?:W\/)?"[\u0021\u0023-\u007e]{0,512}"$/;
const LONG_POLL_TYPE = 'application/vnd.openpolicyagent.bundles';

export interface BundleRequest {
  readonly url: string;
  readonly config: BundleServerConfig;
  /** The server may answer that it still has this. */
  readonly etag?: string | undefined;
  /** How long the server may wait for something new; 0: not at all. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

export type BundleAnswer =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'bundle'; readonly bytes: Uint8Array; readonly etag?: string; readonly longPoll: boolean }
  | { readonly kind: 'failed'; readonly detail: string };

type Credentials = { readonly ca?: string; readonly bearerToken?: string; readonly client?: { readonly cert: string; readonly key: string } };

const readCredentials = ({ ca, bearerTokenFile, clientCert, clientKey }: BundleServerConfig): Credentials | string => {
  const faults: string[] = [];
  const text = (file: string | undefined): string => {
    if (file === undefined) return '';
    const read = readBounded(file, CREDENTIAL_BYTES_MAX);
    if ('text' in read) return read.text;
    faults.push(`${file} ${read.fault}`);
    return '';
  };
  const token = text(bearerTokenFile).trim();
  if (bearerTokenFile !== undefined && faults.length === 0 && !/^[\u0021-\u007e]+$/.test(token)) faults.push(`${bearerTokenFile} holds no bearer token`);
  const found: Credentials = {
    ...(ca === undefined ? {} : { ca: text(ca) }),
    ...(bearerTokenFile === undefined ? {} : { bearerToken: token }),
    ...(clientCert === undefined ? {} : { client: { cert: text(clientCert), key: text(clientKey) } }),
  };
  return faults[0] ?? found;
};

const preference = (waitMs: number): string => (waitMs < 1_000 ? 'modes=snapshot' : `modes=snapshot;wait=${Math.floor(waitMs / 1_000)}`);

/** Never rejects. */
export const requestBundle = async ({ url, config, etag, waitMs, signal }: BundleRequest): Promise<BundleAnswer> => {
  const credentials = readCredentials(config);
  if (typeof credentials === 'string') return { kind: 'failed', detail: credentials };
  const got = await getBytes({
    ...credentials, signal, url: new URL(url),
    headers: { prefer: preference(waitMs), ...(etag === undefined ? {} : { 'if-none-match': etag }) },
    timeoutMs: config.timeoutMs + waitMs,
    bytesMax: BUNDLE_LIMITS.archiveBytesMax,
  }).catch((): { readonly fault: string } => ({ fault: 'can not be asked (the credentials are not as TLS needs them)' }));
  if ('fault' in got) return { kind: 'failed', detail: got.fault };
  if (got.bytes === undefined) return { kind: 'unchanged' };
  const { etag: given, 'content-type': type } = got.headers;
  return {
    kind: 'bundle', bytes: got.bytes, longPoll: type?.split(';')[0]?.trim().toLowerCase() === LONG_POLL_TYPE,
    ...(given !== undefined && ETAG.test(given) ? { etag: given } : {}),
  };
};
