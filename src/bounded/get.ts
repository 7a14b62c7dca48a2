/**
 * One bounded GET from a configured URL, or a POST whose answer is read: only status 200 (or 201 to a POST), or 304 where the request is conditional; no redirects, no content
 * encoding, a cap on bytes, one deadline for the whole exchange (a dripping body does not stretch it), certificates always
 * checked. Faults name no content.
 */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface GetOptions {
  readonly url: URL;
  /** PEM of the authorities to trust instead of the well-known ones. */
  readonly ca?: string;
  /** PEM of the certificate to present, and of its key. */
  readonly client?: { readonly cert: string; readonly key: string };
  readonly bearerToken?: string;
  /** Lower-case names; `if-none-match` makes the request conditional. */
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON to send: then it is a POST. */
  readonly send?: string;
  readonly timeoutMs: number;
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

/** `bytes` is absent when the server says that nothing changed. */
export type GotBytes = { readonly headers: IncomingHttpHeaders; readonly bytes?: Buffer } | { readonly fault: string; readonly status?: number };
export type Got = { readonly text: string } | { readonly fault: string };

const refusalOf = (status: number | undefined, created: boolean, encoding: string | undefined, length: string | undefined, bytesMax: number): string | undefined => {
  if (status !== undefined && status >= 300 && status < 400) return `answered ${status}; redirects are refused`;
  if (status !== 200 && !(created && status === 201)) return `answered ${status ?? 'nothing'}`;
  if (encoding !== undefined && encoding !== 'identity') return 'answered with a content encoding';
  return length !== undefined && !(Number(length) <= bytesMax) ? `is larger than ${bytesMax} bytes` : undefined;
};

const tlsOf = ({ url, ca, client }: GetOptions) =>
  url.protocol === 'https:' ? { rejectUnauthorized: true, minVersion: 'TLSv1.2' as const, ...(ca === undefined ? {} : { ca }), ...client } : {};

export const getBytes = (options: GetOptions): Promise<GotBytes> =>
  new Promise((resolve) => {
    const { url, bearerToken, headers = {}, send, timeoutMs, bytesMax, signal } = options;
    const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = request(url, {
      method: send === undefined ? 'GET' : 'POST',
      agent: false,
      signal,
      headers: { 'accept-encoding': 'identity', ...(send === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(send) }), ...headers, ...(bearerToken === undefined ? {} : { authorization: `Bearer ${bearerToken}` }) },
      ...tlsOf(options),
    });
    const end = (got: GotBytes): void => {
      clearTimeout(timer);
      outgoing.destroy();
      resolve(got);
    };
    const timer = setTimeout(() => end({ fault: `gave no whole answer within ${timeoutMs} ms` }), timeoutMs);
    outgoing.on('error', (error: NodeJS.ErrnoException) => end({ fault: `can't be fetched (${error.code ?? 'unknown'})` }));
    outgoing.on('response', (response) => {
      const { 'content-encoding': encoding, 'content-length': length } = response.headers;
      if (response.statusCode === 304 && headers['if-none-match'] !== undefined) return end({ headers: response.headers });
      const refusal = refusalOf(response.statusCode, send !== undefined, encoding, length, bytesMax);
      if (refusal !== undefined) return end({ fault: refusal, ...(response.statusCode === undefined ? {} : { status: response.statusCode }) });
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > bytesMax) end({ fault: `is larger than ${bytesMax} bytes` });
        else chunks.push(chunk);
      });
      response.on('error', () => end({ fault: 'broke off' }));
      response.on('end', () => end(response.complete ? { headers: response.headers, bytes: Buffer.concat(chunks) } : { fault: 'broke off' }));
    });
    outgoing.end(send);
  });

/** A JSON document as text, unconditionally. */
export const getDocument = async (options: Omit<GetOptions, 'headers'>): Promise<Got> => {
  const got = await getBytes({ ...options, headers: { accept: 'application/json' } });
  if ('fault' in got) return { fault: got.fault };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(got.bytes) };
  } catch {
    return { fault: 'is not UTF-8' };
  }
};
