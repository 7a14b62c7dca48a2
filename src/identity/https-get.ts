/**
 * One bounded GET of a document from a configured URL: only status 200, no redirects, no compression, a cap on bytes, one
 * deadline for the whole exchange (a dripping body does not stretch it), certificates always checked. Faults name no content.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface GetOptions {
  readonly url: URL;
  /** PEM of the authorities to trust instead of the well-known ones. */
  readonly ca?: string;
  readonly bearerToken?: string;
  readonly timeoutMs: number;
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

export type Got = { readonly text: string } | { readonly fault: string };

const refusalOf = (status: number | undefined, encoding: string | undefined, length: string | undefined, bytesMax: number): string | undefined => {
  if (status !== undefined && status >= 300 && status < 400) return `answered ${status}; redirects are refused`;
  if (status !== 200) return `answered ${status ?? 'nothing'}`;
  if (encoding !== undefined && encoding !== 'identity') return 'answered with a content encoding';
  return length !== undefined && !(Number(length) <= bytesMax) ? `is larger than ${bytesMax} bytes` : undefined;
};

export const getDocument = ({ url, ca, bearerToken, timeoutMs, bytesMax, signal }: GetOptions): Promise<Got> =>
  new Promise((resolve) => {
    const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = request(url, {
      method: 'GET',
      agent: false,
      signal,
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        ...(bearerToken === undefined ? {} : { authorization: `Bearer ${bearerToken}` }),
      },
      ...(url.protocol === 'https:' ? { rejectUnauthorized: true, minVersion: 'TLSv1.2' as const, ...(ca === undefined ? {} : { ca }) } : {}),
    });
    const end = (got: Got): void => {
      clearTimeout(timer);
      outgoing.destroy();
      resolve(got);
    };
    const timer = setTimeout(() => end({ fault: `gave no whole answer within ${timeoutMs} ms` }), timeoutMs);
    outgoing.on('error', (error: NodeJS.ErrnoException) => end({ fault: `can't be fetched (${error.code ?? 'unknown'})` }));
    outgoing.on('response', (response) => {
      const { 'content-encoding': encoding, 'content-length': length } = response.headers;
      const refusal = refusalOf(response.statusCode, encoding, length, bytesMax);
      if (refusal !== undefined) return end({ fault: refusal });
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > bytesMax) end({ fault: `is larger than ${bytesMax} bytes` });
        else chunks.push(chunk);
      });
      response.on('error', () => end({ fault: 'broke off' }));
      response.on('end', () => {
        if (!response.complete) return end({ fault: 'broke off' });
        try {
          end({ text: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)) });
        } catch {
          end({ fault: 'is not UTF-8' });
        }
      });
    });
    outgoing.end();
  });
