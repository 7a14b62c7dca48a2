/**
 * An HTTP/1.1 listener on node's strict parser: a request with Content-Length and Transfer-Encoding, bare line feeds, a missing
 * or repeated Host and the like is answered 400 and its connection closed (THREATS B3). Every resource that a caller can take
 * has a limit. Nothing here knows about authorization.
 */
import cluster from 'node:cluster';
import { chmodSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { acceptance } from '../../grpc/acceptance.ts';
import { boundConnections } from '../../grpc/connections.ts';
import { secureContext, type ListenerTls } from '../../grpc/secure-context.ts';
import { clearStaleSocket } from '../../grpc/stale-socket.ts';
import type { HttpLimits } from './config.ts';
import { keptConnections } from './kept.ts';
import { bodyOf } from './request.ts';

export interface HttpTls extends ListenerTls {
  /** `optional`: a client may show no certificate; one that does not verify is for the caller to refuse (`socket.authorized`). */
  readonly clientCertificate: 'required' | 'optional';
}

export type ListenAt = { readonly host: string; readonly port: number } | { readonly path: string; readonly mode: number };

export interface HttpServer {
  /** `host:port`, or `unix:` and the path. */
  readonly address: string;
  /** 0 on a Unix socket. */
  readonly port: number;
  /** New connections use these certificates; open ones stay, unless they are to be cut. */
  reloadTls(tls: HttpTls, cut?: boolean): void;
  /** Connections that their clients keep; to be asked regularly. */
  connections(): number;
  /** Lets so many go in all, of those that asked since this was asked the time before, with their next answer. Says how many go. */
  shed(count: number): number;
  /** Leaves new connections to the other workers that share the port; only where there are some. Not on a Unix socket. */
  accept(accepting: boolean): void;
  /** Takes no new connection, lets requests under way end within `drainMs`, then cuts. */
  close(): Promise<void>;
}

/** While draining, a connection that asks nothing is kept so long: its next question may be under way, and is then answered. */
const LINGER_MS = 500;
/** After that, connections that fall idle are closed at this pace. */
const DRAIN_STEP_MS = 50;

const STATUS_OF_ERROR = new Map([
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
]);

/** JSON of a media type, for a status. */
export type ConnectionRefusal = (status: number) => { readonly type: string; readonly text: string };

const refuseConnection = (error: NodeJS.ErrnoException, socket: Socket, refusal: ConnectionRefusal | undefined): void => {
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const status = STATUS_OF_ERROR.get(error.code ?? '') ?? '400 Bad Request';
  const { type, text = '' } = refusal?.(Number.parseInt(status, 10)) ?? {};
  const head = `connection: close\r\ncontent-length: ${Buffer.byteLength(text)}\r\n${type === undefined ? '' : `content-type: ${type}\r\n`}cache-control: no-store`;
  socket.end(`HTTP/1.1 ${status}\r\n${head}\r\n\r\n${text}`, () => socket.destroy());
};

/** `bodyTooLarge`: the rest of the body was not waited for, and the connection ends with the answer. */
export type HttpHandler = (incoming: IncomingMessage, response: ServerResponse, bodyTooLarge: boolean) => void;

/** A decision's handler reads no body: it is counted and dropped, and only then is the request handled (THREATS B4). */
const afterBody = (incoming: IncomingMessage, response: ServerResponse, bytesMax: number, handle: HttpHandler): void => {
  const { follows, length } = bodyOf(incoming.rawHeaders);
  if (!follows) {
    handle(incoming, response, false);
    return;
  }
  let bytes = Number(length);
  const finish = (tooLarge: boolean): void => {
    incoming.removeAllListeners('data').removeAllListeners('end');
    if (tooLarge) {
      incoming.pause();
      response.shouldKeepAlive = false;
    }
    handle(incoming, response, tooLarge);
  };
  if (!(bytes <= bytesMax)) {
    finish(true);
    return;
  }
  bytes = 0;
  incoming.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (!(bytes <= bytesMax)) finish(true);
  });
  incoming.on('end', () => finish(false));
};

/** Requests of one connection that wait for the answers before them; more end the connection. */
const PIPELINED_MAX = 32;

/**
 * Handles the requests of a connection one after the other. Node hands out pipelined ones at once and holds their answers back
 * until the earlier ones have left: an allow among them would be old when it leaves. `followed`: another waits behind this one now.
 */
const createOneByOne = (followed: (response: ServerResponse) => void): ((response: ServerResponse, socket: Socket, handle: (last: boolean) => void) => void) => {
  const waiting = new WeakMap<Socket, { last: ServerResponse; count: number }>();
  return (response, socket, handle) => {
    const line = waiting.get(socket);
    if (line === undefined) waiting.set(socket, { last: response, count: 0 });
    else if (line.last.closed) line.last = response;
    if (line === undefined || line.last === response) {
      handle(true);
      return;
    }
    if (line.count >= PIPELINED_MAX) return void socket.destroy();
    const before = line.last;
    line.last = response;
    line.count += 1;
    followed(before);
    before.once('close', () => {
      line.count -= 1;
      if (!socket.destroyed && !response.destroyed) handle(line.last === response);
    });
  };
};

const create = (limits: HttpLimits, tls: HttpTls | undefined, handle: RequestListener): Server | SecureServer => {
  const options: ServerOptions = {
    insecureHTTPParser: false,
    requireHostHeader: true,
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 1_000),
  };
  if (tls === undefined) return createServer(options, handle);
  const ask = { requestCert: tls.clientCa !== undefined, rejectUnauthorized: tls.clientCa !== undefined && tls.clientCertificate === 'required' };
  return createSecureServer({ ...options, ...secureContext(tls), ...ask }, handle);
};

/** Rejects when it can't listen. */
export const startHttpServer = async (options: {
  readonly listen: ListenAt;
  readonly tls?: HttpTls | undefined;
  readonly limits: HttpLimits;
  readonly handle: HttpHandler;
  /** The handler reads the body itself and bounds it (of these requests); `limits.bodyBytesMax` does not count. */
  readonly readsBody?: boolean | ((incoming: IncomingMessage) => boolean);
  /** With as many connections as there may be, an idle one makes room for a new one. */
  readonly idleGiveWay?: boolean;
  /** What is said where there is no request that could be handled; absent: nothing but the status. */
  readonly refusal?: ConnectionRefusal;
}): Promise<HttpServer> => {
  const { listen, limits, readsBody = false } = options;
  const unix = 'path' in listen;
  if (unix && cluster.isPrimary) await clearStaleSocket(listen.path);
  let closing = false;
  const kept = keptConnections();
  /** Their connections are closed with them, unless something else was asked meanwhile: that would be lost. */
  const letGo = new WeakSet<ServerResponse>();
  const oneByOne = createOneByOne((response) => {
    if (letGo.delete(response) && !response.headersSent) response.shouldKeepAlive = true;
  });
  const server = create(limits, options.tls, (incoming, response) => {
    connections.asked(incoming.socket);
    // Only who is to give way needs to be known as idle.
    if (options.idleGiveWay === true) response.once('close', () => connections.answered(incoming.socket));
    oneByOne(response, incoming.socket, (last) => {
      if (kept.asked(incoming.socket) && last && response.shouldKeepAlive) letGo.add(response);
      if (closing || letGo.has(response)) response.shouldKeepAlive = false;
      if (typeof readsBody === 'boolean' ? readsBody : readsBody(incoming)) options.handle(incoming, response, false);
      else afterBody(incoming, response, limits.bodyBytesMax, options.handle);
    });
  });
  const connections = boundConnections(server, { max: limits.connectionsMax, idleGiveWay: options.idleGiveWay === true });
  // Node drops header lines beyond its own maximum without a word; whoever reads them counts them instead.
  server.maxHeadersCount = 0;
  server.on('clientError', (error, socket) => refuseConnection(error, socket as Socket, options.refusal));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const ready = (): void => {
      server.off('error', reject);
      resolve();
    };
    if (unix) server.listen(listen.path, ready);
    else server.listen(listen.port, listen.host, ready);
  });
  if (unix) chmodSync(listen.path, listen.mode);
  const port = unix ? 0 : (server.address() as AddressInfo).port;
  const accepting = acceptance(server, unix ? undefined : { host: listen.host, port });
  let closed: Promise<void> | undefined;
  return {
    address: unix ? `unix:${listen.path}` : `${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`,
    port,
    reloadTls: (tls, cut) => {
      if (!('setSecureContext' in server)) throw new Error('this listener has no TLS');
      server.setSecureContext(secureContext(tls));
      if (cut === true) server.closeAllConnections();
    },
    // On a Unix socket they would only come back to whichever worker is first.
    connections: () => (unix ? 0 : kept.look()),
    shed: kept.shed,
    accept: accepting.accept,
    close: () => {
      closed ??= new Promise((resolve) => {
        closing = true;
        let idle: NodeJS.Timeout | undefined;
        const lingered = setTimeout(() => {
          // Node does not count a connection as idle that never sent anything.
          for (const socket of connections.sockets) if (socket.bytesRead === 0) socket.destroy();
          idle = setInterval(() => server.closeIdleConnections(), DRAIN_STEP_MS);
        }, Math.min(LINGER_MS, limits.drainMs));
        const cut = setTimeout(() => server.closeAllConnections(), limits.drainMs);
        // The server's own `close` would end idle connections at once, with questions under way on them.
        accepting.stop(() => {
          clearTimeout(lingered);
          clearInterval(idle);
          clearTimeout(cut);
          server.close();
          resolve();
        });
      });
      return closed;
    },
  };
};
