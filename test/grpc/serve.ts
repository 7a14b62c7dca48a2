/** A gRPC server with an echo method, and ways to talk to it that no client library would allow. */
import { connect, type ClientHttp2Session, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { grpcLimitsConfig } from '../../src/grpc/config.ts';
import type { GrpcCall, GrpcMethod } from '../../src/grpc/method.ts';
import { startGrpcServer, type GrpcServer, type GrpcServerOptions } from '../../src/grpc/server.ts';

export const ECHO = '/test.Echo/Say';

export interface Echo {
  readonly server: GrpcServer;
  readonly calls: GrpcCall[];
}

export const startEcho = async (limits: Record<string, number> = {}, options: Partial<GrpcServerOptions> & { readonly method?: GrpcMethod } = {}): Promise<Echo> => {
  const calls: GrpcCall[] = [];
  const method: GrpcMethod = options.method ?? {
    kind: 'unary',
    handle: (message, call) => {
      calls.push(call);
      return message;
    },
  };
  const server = await startGrpcServer({
    listen: { host: '127.0.0.1', port: 0 }, limits: grpcLimitsConfig.parse(limits), methods: new Map([[ECHO, method]]), ...options,
  });
  return { server, calls };
};

export interface RawCall {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly data: Buffer;
  /** HTTP/2 error code the stream was reset with; 0 when it ended well. */
  readonly reset: number;
}

export const frame = (message: string | Buffer, flag = 0, length?: number): Buffer => {
  const bytes = Buffer.from(message);
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length ?? bytes.length, 1);
  return Buffer.concat([head, bytes]);
};

export const openSession = (server: GrpcServer): ClientHttp2Session => {
  const session = connect(`http://127.0.0.1:${server.port}`);
  session.on('error', () => undefined);
  return session;
};

/** One call with these bytes as its body; `undefined` leaves the request open. */
export const rawCall = (session: ClientHttp2Session, body: readonly Buffer[] | undefined, headers: OutgoingHttpHeaders = {}): Promise<RawCall> =>
  new Promise((resolve) => {
    const stream = session.request({ ':method': 'POST', ':path': ECHO, 'content-type': 'application/grpc', te: 'trailers', ...headers });
    let answered: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on('response', (given) => (answered = given));
    stream.on('trailers', (given) => (trailers = given));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
    stream.on('close', () => resolve({ headers: answered, trailers, data: Buffer.concat(chunks), reset: stream.rstCode }));
    if (body === undefined) return;
    for (const part of body) stream.write(part);
    stream.end();
  });

/** `grpc-status`, wherever it was. */
export const statusOf = ({ headers, trailers }: RawCall): string | undefined => (trailers['grpc-status'] ?? headers['grpc-status'])?.toString();

/**
 * Told to go, node's client says goodbye in turn, which overtakes the calls that it has not written yet and makes node's server refuse
 * them. Envoy says none, nor does this client from here on; whoever made it destroys it.
 */
export const sayNoFarewell = (session: ClientHttp2Session): void => {
  session.close = () => undefined;
};
