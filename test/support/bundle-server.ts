/** An OPA bundle server on loopback: entity tags, 304, requests that are held until there is something new. Answers by hand, too. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { freePorts } from './free-ports.ts';

export interface BundleServer {
  readonly url: string;
  /** What was asked, in order. */
  readonly asked: { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers'] }[];
  /** Requests that wait for something new. */
  held(): number;
  /** From now on this is the bundle; those that wait get it. */
  serve(bytes: Uint8Array, etag?: string): void;
  served(): Uint8Array;
  /** From now on every request is answered by hand; `undefined`: as a server does. */
  answer(how: ((request: IncomingMessage, response: ServerResponse) => void) | undefined): void;
  /** Connections are refused until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

export interface BundleServerOptions {
  readonly tls?: ServerOptions;
  /** Requests with `wait` are held. */
  readonly longPoll?: boolean;
}

export const startBundleServer = async ({ tls, longPoll = false }: BundleServerOptions = {}): Promise<BundleServer> => {
  const asked: BundleServer['asked'][number][] = [];
  const waiting = new Set<() => void>();
  let current: { readonly bytes: Uint8Array; readonly etag: string } | undefined;
  let how: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;

  const respond = ({ headers }: IncomingMessage, response: ServerResponse): void => {
    if (current === undefined) return void response.writeHead(404).end();
    if (headers['if-none-match'] === current.etag) return void response.writeHead(304, { etag: current.etag }).end();
    response.writeHead(200, { etag: current.etag, 'content-type': longPoll ? 'application/vnd.openpolicyagent.bundles' : 'application/gzip' }).end(current.bytes);
  };
  const listener: RequestListener = (request, response) => {
    asked.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
    if (how !== undefined) return how(request, response);
    const wait = /(?:^|;)wait=(\d+)/.exec(String(request.headers['prefer'] ?? ''))?.[1];
    if (!longPoll || wait === undefined || request.headers['if-none-match'] !== current?.etag) return respond(request, response);
    const release = (): void => {
      clearTimeout(timer);
      waiting.delete(release);
      respond(request, response);
    };
    const timer = setTimeout(release, Number(wait) * 1_000);
    waiting.add(release);
    response.on('close', () => {
      clearTimeout(timer);
      waiting.delete(release);
    });
  };
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  const listen = (port: number): Promise<void> => new Promise((resolve) => { server.listen(port, 'localhost', resolve); });
  // It goes down and comes up again at the same number, which nobody must be given in between.
  const [port = 0] = await freePorts(1);
  await listen(port);
  const down = (): Promise<void> => new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
  return {
    url: `${tls === undefined ? 'http' : 'https'}://localhost:${port}/bundles/policy.tar.gz`,
    asked,
    held: () => waiting.size,
    serve: (bytes, etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}"`) => {
      current = { bytes, etag };
      for (const release of waiting) release();
    },
    served: () => current?.bytes ?? new Uint8Array(),
    answer: (next) => { how = next; },
    down,
    up: () => listen(port),
    close: async () => {
      if (server.listening) await down();
    },
  };
};
