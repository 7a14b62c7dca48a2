/**
 * The admin API on a listener of its own, apart from decisions: the strict HTTP/1.1 server of all listeners, with or without TLS.
 * It bounds connections, headers and times, and takes no body with a coding that it does not undo; the API bounds its bodies.
 */
import { getRequestListener } from '@hono/node-server';
import { httpLimitsConfig } from '../gateways/http/config.ts';
import { bodyOf } from '../gateways/http/request.ts';
import { startHttpServer, type HttpServer } from '../gateways/http/server.ts';
import type { ListenerTls } from '../grpc/secure-context.ts';
import { ANSWER_HEADERS, PROBLEM_TYPE, problemAnswer, problemBody, problemStatus, type Problem } from './problem.ts';

export interface AdminListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** May change what it does from request to request. */
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly drainMs: number;
  readonly tls?: ListenerTls | undefined;
}

const CONNECTIONS_MAX = 256;
const REQUEST_MS_MAX = 10_000;
const HTTP_LIMITS = httpLimitsConfig.parse(undefined);

const UNREADABLE: Problem = { code: 'malformed', detail: 'the request can not be read' };
const CODED: Problem = { code: 'malformed', detail: 'a body comes without transfer coding, or chunked and nothing else' };
/** Where there is no request: refusals are problems all the same. */
const REFUSALS: ReadonlyMap<number, Problem> = new Map([
  [408, { code: 'request-timeout', detail: `a request must be there within ${REQUEST_MS_MAX} ms, its headers within half of that` }],
  [431, { code: 'headers-too-large', detail: `the request line and the headers together may have at most ${HTTP_LIMITS.headerBytesMax} bytes` }],
]);

/** Rejects when it can't listen. */
export const listenAdmin = ({ host, port, fetch, drainMs, tls }: AdminListenOptions): Promise<HttpServer> => {
  const listener = getRequestListener(fetch, {
    overrideGlobalObjects: false,
    // A request line or Host that is no URL: nothing that could be answered more exactly.
    errorHandler: () => problemAnswer({ code: 'malformed', detail: 'the request line or the Host header can not be read' }),
  });
  return startHttpServer({
    listen: { host, port },
    limits: { ...HTTP_LIMITS, connectionsMax: CONNECTIONS_MAX, headersTimeoutMs: REQUEST_MS_MAX / 2, requestTimeoutMs: REQUEST_MS_MAX, drainMs },
    readsBody: true,
    refusal: (status) => ({ type: PROBLEM_TYPE, text: JSON.stringify(problemBody(REFUSALS.get(status) ?? UNREADABLE)) }),
    // Each command comes on a connection of its own, and revoking must not wait for somebody who holds all the others.
    idleGiveWay: true,
    ...(tls === undefined ? {} : { tls: { ...tls, clientCertificate: 'optional' as const } }),
    // What goes wrong now is the connection's; every answer is the application's.
    handle: (incoming, response) => {
      if (bodyOf(incoming.rawHeaders).plain) return void listener(incoming, response).catch(() => response.destroy());
      // What it says is not known: nothing of it is waited for, and nothing more is taken on this connection.
      response.shouldKeepAlive = false;
      const text = JSON.stringify(problemBody(CODED));
      return void response.writeHead(problemStatus(CODED.code), { ...ANSWER_HEADERS, 'content-type': PROBLEM_TYPE, 'content-length': Buffer.byteLength(text) }).end(text);
    },
  });
};
