/** The admin listener: the API's fetch function on a port of its own. Bounds connections, headers and times; the API bounds bodies. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';

export interface AdminListener {
  readonly port: number;
  /** Takes nothing new, lets requests under way end within `drainMs`, then cuts. */
  close(): Promise<void>;
}

export interface AdminListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** May change what it does from request to request. */
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly drainMs: number;
}

const CONNECTIONS_MAX = 256;
const HEADER_BYTES_MAX = 16_384;
const REQUEST_MS_MAX = 10_000;
const DRAIN_STEP_MS = 50;

/** Rejects when it can't listen. */
export const listenAdmin = async ({ host, port, fetch, drainMs }: AdminListenOptions): Promise<AdminListener> => {
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false });
  let closing = false;
  const server = createServer(
    { insecureHTTPParser: false, requireHostHeader: true, maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: REQUEST_MS_MAX / 2, requestTimeout: REQUEST_MS_MAX },
    (incoming, outgoing) => {
      if (closing) outgoing.shouldKeepAlive = false;
      void listener(incoming, outgoing);
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', () => undefined);
  let closed: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      (closed ??= new Promise((resolve) => {
        closing = true;
        const idle = setInterval(() => server.closeIdleConnections(), DRAIN_STEP_MS);
        const cut = setTimeout(() => server.closeAllConnections(), drainMs);
        server.close(() => {
          clearInterval(idle);
          clearTimeout(cut);
          resolve();
        });
      })),
  };
};
