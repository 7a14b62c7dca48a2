/**
 * One bounded request to a configured URL, of which only the status of the answer is wanted: no redirects, certificates always checked, one
 * deadline for the whole exchange, and nothing kept of what is answered. Faults name no content.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface PostOptions {
  readonly url: URL;
  readonly body: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** PEM of the authorities to trust instead of the well-known ones. */
  readonly ca?: string | undefined;
  /** PEM of the certificate to present, and of its key. */
  readonly client?: { readonly cert: string; readonly key: string } | undefined;
  readonly timeoutMs: number;
}

/** `status` is what the server answered, whatever it is. */
export type Posted = { readonly status: number } | { readonly fault: string };

const exchange = ({ url, body, headers, ca, client, timeoutMs }: Omit<PostOptions, 'body'> & { readonly body?: PostOptions['body'] }): Promise<Posted> =>
  new Promise((resolve) => {
    const secure = url.protocol === 'https:';
    const outgoing = (secure ? httpsRequest : httpRequest)(url, {
      method: body === undefined ? 'GET' : 'POST',
      agent: false,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
      ...(secure ? { rejectUnauthorized: true, minVersion: 'TLSv1.2' as const, ...(ca === undefined ? {} : { ca }), ...client } : {}),
    });
    const end = (posted: Posted): void => {
      clearTimeout(timer);
      outgoing.destroy();
      resolve(posted);
    };
    const timer = setTimeout(() => end({ fault: `gave no answer within ${timeoutMs} ms` }), timeoutMs);
    outgoing.on('error', (error: NodeJS.ErrnoException) => end({ fault: `can't be reached (${error.code ?? 'unknown'})` }));
    outgoing.on('response', (response) => {
      response.on('error', () => undefined);
      end(response.statusCode === undefined ? { fault: 'gave no status' } : { status: response.statusCode });
    });
    outgoing.end(body);
  });

export const post = (options: PostOptions): Promise<Posted> => exchange(options);

/** Of a GET, on a connection of its own. */
export const getStatus = (options: Omit<PostOptions, 'body'>): Promise<Posted> => exchange(options);
