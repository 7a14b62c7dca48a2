/**
 * One gRPC call on one HTTP/2 stream. Whatever goes wrong ends as a status, never as an exception. A unary answer is written when
 * the handler sends it, at the latest in the tick in which its promise resolves.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { GrpcLimits } from './config.ts';
import { createFrameReader, frameMessage } from './frame.ts';
import type { GrpcCall, GrpcMethods, GrpcPeer, StreamMethod, UnaryMethod } from './method.ts';
import { GRPC_STATUS, GrpcFault, grpcMessage, type GrpcStatus } from './status.ts';
import { grpcTimeoutMs } from './timeout.ts';

const CONTENT_TYPE = /^application\/grpc(?:\+proto)?(?:\s*;.*)?$/i;
const ANSWER_HEADERS = { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': 'identity' } as const;
const WITH_TRAILERS = { waitForTrailers: true } as const;
const OK_TRAILERS = { 'grpc-status': '0' } as const;

const open = (stream: ServerHttp2Stream): boolean => !stream.destroyed && !stream.closed;

const trailersOf = (status: GrpcStatus, message: string): Record<string, string> =>
  message === '' ? { 'grpc-status': String(status) } : { 'grpc-status': String(status), 'grpc-message': grpcMessage(message) };

/** Tells a caller that is still sending to stop, once everything of ours has left. */
const hangUp = (stream: ServerHttp2Stream): void => {
  stream.resume();
  setImmediate(() => {
    if (open(stream) && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  });
};

/** Ends the call before any answer was sent. */
const refuse = (stream: ServerHttp2Stream, headers: Record<string, string | number>): void => {
  if (!open(stream) || stream.headersSent) return;
  stream.respond(headers, { endStream: true });
  if (!stream.readableEnded) hangUp(stream);
};

const fail = (stream: ServerHttp2Stream, fault: GrpcFault): void =>
  refuse(stream, { ...ANSWER_HEADERS, ...trailersOf(fault.status, fault.message) });

const asFault = (error: unknown): GrpcFault =>
  error instanceof GrpcFault ? error : new GrpcFault(GRPC_STATUS.INTERNAL, 'the call failed');

const answer = (stream: ServerHttp2Stream, message: Uint8Array): boolean => {
  if (!open(stream) || stream.headersSent) return false;
  stream.once('wantTrailers', () => {
    stream.sendTrailers(OK_TRAILERS);
    if (!stream.readableEnded) hangUp(stream);
  });
  stream.respond(ANSWER_HEADERS, WITH_TRAILERS);
  stream.end(frameMessage(message));
  return true;
};

const serveUnary = (stream: ServerHttp2Stream, method: UnaryMethod, call: GrpcCall, limits: GrpcLimits): void => {
  const reader = createFrameReader(limits.maxMessageBytes);
  let message: Buffer | undefined;
  let judged = false;

  const judge = async (fault: GrpcFault | undefined): Promise<void> => {
    if (judged) return;
    judged = true;
    stream.setTimeout(0);
    try {
      if (fault !== undefined && method.refuse === undefined) throw fault;
      const send = (given: Uint8Array): boolean => answer(stream, given);
      const given = fault === undefined ? method.handle(message as Buffer, call, send) : (method.refuse as NonNullable<UnaryMethod['refuse']>)(fault, call, send);
      answer(stream, given instanceof Promise ? await given : given);
    } catch (error) {
      fail(stream, asFault(error));
    }
  };

  const deadline = call.timeoutMs === undefined ? undefined : setTimeout(() => {
    judged = true;
    fail(stream, new GrpcFault(GRPC_STATUS.DEADLINE_EXCEEDED, 'the deadline has passed'));
  }, call.timeoutMs);
  stream.once('close', () => {
    judged = true;
    clearTimeout(deadline);
  });
  stream.setTimeout(limits.receiveTimeoutMs, () => void judge(new GrpcFault(GRPC_STATUS.INVALID_ARGUMENT, 'the request did not arrive in time')));
  stream.on('data', (chunk: Buffer) => {
    if (judged) return;
    try {
      for (const next of reader.push(chunk)) {
        if (message !== undefined) throw new GrpcFault(GRPC_STATUS.INVALID_ARGUMENT, 'more than one message in a unary call');
        message = next;
      }
    } catch (error) {
      void judge(asFault(error));
    }
  });
  stream.once('end', () => {
    // A stream that the caller reset also ends; there is nobody left to answer.
    if (stream.aborted || judged) return;
    try {
      reader.end();
      if (message === undefined) throw new GrpcFault(GRPC_STATUS.INVALID_ARGUMENT, 'no message in a unary call');
    } catch (error) {
      void judge(asFault(error));
      return;
    }
    void judge(undefined);
  });
};

const serveStream = (stream: ServerHttp2Stream, method: StreamMethod, call: GrpcCall, limits: GrpcLimits): void => {
  const reader = createFrameReader(limits.maxMessageBytes);
  let ended = false;
  const end = (status: GrpcStatus, message = ''): void => {
    if (ended || !open(stream)) return;
    ended = true;
    stream.once('wantTrailers', () => {
      stream.sendTrailers(trailersOf(status, message));
      if (!stream.readableEnded) hangUp(stream);
    });
    if (!stream.headersSent) stream.respond(ANSWER_HEADERS, WITH_TRAILERS);
    stream.end();
  };
  const deadline = call.timeoutMs === undefined ? undefined : setTimeout(() => end(GRPC_STATUS.DEADLINE_EXCEEDED, 'the deadline has passed'), call.timeoutMs);
  const service = method.open(call, {
    send: (message) => {
      if (ended || !open(stream)) return;
      if (!stream.headersSent) stream.respond(ANSWER_HEADERS, WITH_TRAILERS);
      // A caller that asks and does not read is cut off rather than buffered for.
      if (stream.writableLength > limits.maxMessageBytes) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      else stream.write(frameMessage(message));
    },
    end,
  });
  const guarded = (step: () => void): void => {
    if (ended) return;
    try {
      step();
    } catch (error) {
      const fault = asFault(error);
      end(fault.status, fault.message);
    }
  };
  stream.on('data', (chunk: Buffer) => guarded(() => {
    for (const message of reader.push(chunk)) service.message(message);
  }));
  stream.once('end', () => guarded(() => {
    reader.end();
    service.ended();
  }));
  stream.once('close', () => {
    clearTimeout(deadline);
    service.closed();
  });
};

/** Serves one stream: finds the method, reads, answers. */
export const serveCall = (stream: ServerHttp2Stream, metadata: IncomingHttpHeaders, methods: GrpcMethods, peer: GrpcPeer, limits: GrpcLimits): void => {
  // Without a listener a reset by the caller would be an uncaught exception.
  stream.on('error', () => undefined);
  if (metadata[':method'] !== 'POST') return refuse(stream, { ':status': 405, allow: 'POST' });
  if (!CONTENT_TYPE.test(metadata['content-type'] ?? '')) return refuse(stream, { ':status': 415 });
  const path = metadata[':path'] ?? '';
  const method = methods.get(path);
  if (method === undefined) return fail(stream, new GrpcFault(GRPC_STATUS.UNIMPLEMENTED, 'no such method'));
  const timeout = metadata['grpc-timeout'];
  let timeoutMs: number | undefined;
  try {
    timeoutMs = grpcTimeoutMs(Array.isArray(timeout) ? timeout.join() : timeout);
  } catch (error) {
    return fail(stream, asFault(error));
  }
  const call: GrpcCall = { path, metadata, peer, timeoutMs, over: () => !open(stream) || stream.headersSent };
  if (method.kind === 'unary') serveUnary(stream, method, call, limits);
  else serveStream(stream, method, call, limits);
};
