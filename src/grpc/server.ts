/**
 * gRPC over node:http2, in the clear (prior knowledge), over TLS, or on a Unix socket. Every resource that a caller can take has a
 * limit: connections, calls at once, metadata, message size, memory, idle and receive time. Streams opened and reset in rapid
 * succession close the connection (nghttp2's own limit: 1,000 at once, 33 a second). Nothing here knows about authorization.
 */
import cluster from 'node:cluster';
import { chmodSync } from 'node:fs';
import { createSecureServer, createServer, type Http2SecureServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { acceptance } from './acceptance.ts';
import { serveCall } from './call.ts';
import type { GrpcLimits } from './config.ts';
import { boundConnections } from './connections.ts';
import type { GrpcMethods, GrpcPeer } from './method.ts';
import { NOTICE_MS, retire } from './retire.ts';
import { secureContext, type ListenerTls } from './secure-context.ts';
import { clearStaleSocket } from './stale-socket.ts';

/** With `clientCa` every client must show a certificate that it has signed. */
export type GrpcTls = ListenerTls;

export interface GrpcServerOptions {
  /** `port` 0 takes any free one. A Unix socket is made with `mode` (default 0660). */
  readonly listen: { readonly host: string; readonly port: number } | { readonly path: string; readonly mode?: number };
  readonly tls?: GrpcTls;
  readonly limits: GrpcLimits;
  readonly methods: GrpcMethods;
}

export interface GrpcServer {
  /** `host:port`, or `unix:` and the path. */
  readonly address: string;
  /** The port, 0 on a Unix socket. */
  readonly port: number;
  /** New connections use these certificates; open ones stay, unless they are to be cut. */
  reloadTls(tls: GrpcTls, cut?: boolean): void;
  /** Connections that nobody has asked to be opened anew. */
  connections(): number;
  /** Asks the peers of so many connections, oldest first, to open new ones; what they ask meanwhile is answered. Says how many it asked. */
  shed(count: number): number;
  /** Leaves new connections to the other workers that share the port; only where there are some. */
  accept(accepting: boolean): void;
  /** Takes no new connection, has peers open theirs elsewhere, lets open calls end within `drainMs`, then cuts. */
  close(): Promise<void>;
}

/** Of the age at which a connection is opened anew: so that those which came together don't go together. */
const AGE_SPREAD = 0.1;

interface Connected {
  readonly peer: GrpcPeer;
  readonly socket: Socket | undefined;
  underWay: number;
  /** Old enough to be opened anew for the sake of the others. */
  settled: boolean;
  /** Its peer was asked to open another one. */
  leaving: boolean;
}

const peerOf = (session: ServerHttp2Session, unix: boolean): GrpcPeer => {
  if (unix) return { transport: 'unix', address: undefined, certificate: undefined };
  const socket = session.socket;
  const address = socket?.remoteAddress;
  if (!(socket instanceof TLSSocket)) return { transport: 'plain', address, certificate: undefined };
  return { transport: 'tls', address, certificate: socket.authorized ? socket.getPeerX509Certificate() : undefined };
};

const create = ({ tls, limits }: GrpcServerOptions): Http2Server | Http2SecureServer => {
  const options = {
    maxSessionMemory: limits.maxSessionMemoryMiB,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    settings: {
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxHeaderListSize: limits.maxHeaderListBytes,
      initialWindowSize: 1_048_576,
    },
  };
  if (tls === undefined) return createServer(options);
  return createSecureServer({
    ...options,
    ...secureContext(tls),
    ALPNProtocols: ['h2'],
    requestCert: tls.clientCa !== undefined,
    rejectUnauthorized: true,
  });
};

/** Listens, and serves `methods` until closed. Rejects when it can't listen. */
export const startGrpcServer = async (options: GrpcServerOptions): Promise<GrpcServer> => {
  const { listen, limits, methods } = options;
  const unix = 'path' in listen;
  if (unix && cluster.isPrimary) await clearStaleSocket(listen.path);
  const server = create(options);
  const sessions = new Map<ServerHttp2Session, Connected>();
  let closing = false;
  // Node makes the session while it tells of the connection.
  let connecting: Socket | undefined;
  server.prependListener('connection', (socket: Socket) => { connecting = socket; });
  const leave = (session: ServerHttp2Session, connected: Connected, noticeMs: number): void => {
    if (connected.leaving) return;
    connected.leaving = true;
    retire(session, connected.socket, noticeMs, () => connected.underWay);
  };

  // Who reaches a Unix socket was let in by its permissions; there a session can't be told from its connection by name either.
  const connections = unix ? undefined : boundConnections(server, { max: limits.maxConnections, idleGiveWay: false });
  if (unix) server.maxConnections = limits.maxConnections;
  const haveAsked = new WeakSet<ServerHttp2Session>();
  server.on('session', (session: ServerHttp2Session) => {
    if (closing) return session.destroy();
    const connected: Connected = { peer: peerOf(session, unix), socket: connecting, underWay: 0, settled: false, leaving: false };
    sessions.set(session, connected);
    session.on('error', () => undefined);
    const settling = setTimeout(() => { connected.settled = true; }, limits.minConnectionAgeMs).unref();
    const aged = setTimeout(() => leave(session, connected, NOTICE_MS), limits.maxConnectionAgeMs * (1 - AGE_SPREAD * Math.random())).unref();
    session.once('close', () => {
      clearTimeout(settling);
      clearTimeout(aged);
      sessions.delete(session);
    });
    session.setLocalWindowSize(4 * 1_048_576);
    session.setTimeout(limits.idleTimeoutMs, () => session.close());
  });
  server.on('stream', (stream, headers) => {
    const session = stream.session as ServerHttp2Session | undefined;
    const connected = session === undefined ? undefined : sessions.get(session);
    if (session !== undefined && !haveAsked.has(session)) {
      haveAsked.add(session);
      connections?.asked(session.socket);
    }
    if (connected === undefined) {
      stream.destroy();
      return;
    }
    connected.underWay += 1;
    stream.once('close', () => { connected.underWay -= 1; });
    serveCall(stream, headers, methods, connected.peer, limits);
  });
  server.on('sessionError', () => undefined);
  server.on('unknownProtocol', (socket: { destroy(): void }) => socket.destroy());

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const ready = (): void => {
      server.off('error', reject);
      resolve();
    };
    if (unix) server.listen(listen.path, ready);
    else server.listen(listen.port, listen.host, ready);
  });
  if (unix) chmodSync(listen.path, listen.mode ?? 0o660);

  const bound = server.address();
  const port = unix ? 0 : (bound as AddressInfo).port;
  const accepting = acceptance(server, unix ? undefined : { host: listen.host, port });
  let closed: Promise<void> | undefined;
  return {
    address: unix ? `unix:${listen.path}` : `${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`,
    port,
    reloadTls: (tls, cut) => {
      if (!('setSecureContext' in server)) throw new Error('this listener has no TLS');
      server.setSecureContext(secureContext(tls));
      if (cut === true) for (const session of sessions.keys()) session.destroy();
    },
    connections: () => [...sessions.values()].filter(({ leaving }) => !leaving).length,
    shed: (count) => {
      // A map keeps its order: those that came first.
      const going = [...sessions].filter(([, { leaving, settled }]) => settled && !leaving).slice(0, count);
      for (const [session, connected] of going) leave(session, connected, NOTICE_MS);
      return going.length;
    },
    accept: accepting.accept,
    close: () => {
      closed ??= new Promise((resolve) => {
        closing = true;
        const cut = setTimeout(() => {
          for (const session of sessions.keys()) session.destroy();
        }, limits.drainMs);
        accepting.stop(() => {
          clearTimeout(cut);
          resolve();
        });
        for (const [session, connected] of sessions) leave(session, connected, Math.min(NOTICE_MS, limits.drainMs / 2));
      });
      return closed;
    },
  };
};
