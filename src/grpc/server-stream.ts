/**
 * Asks a gRPC server for a stream of messages, in the clear, on a connection of its own. Messages are bounded by their announced length; whatever
 * ends the stream is told once, as a status. Nothing is thrown, and after `close` nothing is told.
 */
import { connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { createFrameReader, frameMessage } from './frame.ts';
import { GRPC_STATUS, GrpcFault } from './status.ts';

export type StreamAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export interface ServerStreamOptions {
  readonly address: StreamAddress;
  /** `/service/method`. */
  readonly method: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly message: Uint8Array;
  readonly messageBytesMax: number;
  readonly onMessage: (message: Buffer) => void;
  /** Also a stream that ends well is told of: this was not asked for. `status` is the server's, UNAVAILABLE without one. */
  readonly onEnd: (end: { readonly status: number; readonly detail: string }) => void;
}

const HEADER_BYTES_MAX = 16_384;

const statusIn = (headers: IncomingHttpHeaders): number | undefined => {
  const text = headers['grpc-status'];
  return typeof text === 'string' && /^\d{1,3}$/.test(text) ? Number(text) : undefined;
};

/** Returns how it is closed. */
export const openServerStream = (options: ServerStreamOptions): (() => void) => {
  const { address, onMessage, onEnd } = options;
  let over = false;
  let status: number | undefined;
  const socket = connectSocket(address);
  const session = connect('http://localhost', {
    createConnection: () => socket,
    maxSessionMemory: 1 + Math.ceil(options.messageBytesMax / 1_048_576),
    settings: { enablePush: false, maxHeaderListSize: HEADER_BYTES_MAX, initialWindowSize: 1_048_576 },
  });
  const close = (): void => {
    over = true;
    session.destroy();
    socket.destroy();
  };
  const end = (detail: string, told: number = GRPC_STATUS.UNAVAILABLE): void => {
    if (over) return;
    close();
    onEnd({ status: told, detail });
  };
  session.on('error', () => end('can not be reached, or broke the connection'));
  session.on('close', () => end('closed the connection'));
  session.on('goaway', () => end('ends the connection'));
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    [constants.HTTP2_HEADER_PATH]: options.method,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
    te: 'trailers',
    ...options.metadata,
  });
  const frames = createFrameReader(options.messageBytesMax);
  stream.on('response', (headers) => {
    status = statusIn(headers);
    const isGrpc = headers[':status'] === 200 && String(headers['content-type'] ?? '').startsWith('application/grpc');
    if (!isGrpc) end('does not speak gRPC');
  });
  stream.on('trailers', (trailers: IncomingHttpHeaders) => { status = statusIn(trailers) ?? status; });
  stream.on('data', (chunk: Buffer) => {
    try {
      for (const message of frames.push(chunk)) {
        if (over) return;
        onMessage(message);
      }
    } catch (error) {
      end(error instanceof GrpcFault ? error.message : 'sent a message that can not be read');
    }
  });
  stream.on('error', () => end('broke the stream'));
  stream.on('close', () => end(status === undefined ? 'broke the stream' : `ended the stream with status ${status}`, status));
  stream.end(frameMessage(options.message));
  return close;
};
