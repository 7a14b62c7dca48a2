/** The admin listener: the API's fetch function on a port of its own, with the limits of every HTTP listener. */
import { getRequestListener } from '@hono/node-server';
import { httpLimitsConfig } from '../gateways/http/config.ts';
import { startHttpServer, type HttpServer } from '../gateways/http/server.ts';
import { BODY_BYTES_MAX } from './read-body.ts';

/** More than the API reads, so that it is the API that says what was too large. */
const BODY_MARGIN = 4;

/** Rejects when it can't listen. `fetch` may change what it does from request to request. */
export const listenAdmin = (options: {
  readonly host: string;
  readonly port: number;
  readonly fetch: (request: Request) => Response | Promise<Response>;
}): Promise<HttpServer> => {
  const listener = getRequestListener(options.fetch, { overrideGlobalObjects: false, errorHandler: (e) => { console.log(e); return new Response(null, { status: 500 }); } });
  return startHttpServer({
    listen: { host: options.host, port: options.port },
    limits: httpLimitsConfig.parse({ bodyBytesMax: BODY_BYTES_MAX * BODY_MARGIN }),
    handle: (incoming, outgoing) => void listener(incoming, outgoing),
  });
};
