/** What a gRPC service is to the transport. */
import type { X509Certificate } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http2';
import type { GrpcFault, GrpcStatus } from './status.ts';

/** Who is at the other end of the connection; the same object for all calls of one connection. */
export interface GrpcPeer {
  readonly transport: 'plain' | 'tls' | 'unix';
  /** IP address; absent on a Unix socket. */
  readonly address: string | undefined;
  /** The client's certificate, only when it was verified against the configured authorities. */
  readonly certificate: X509Certificate | undefined;
}

export interface GrpcCall {
  readonly path: string;
  readonly metadata: IncomingHttpHeaders;
  readonly peer: GrpcPeer;
  /** What the caller gives us, from the arrival of the call. */
  readonly timeoutMs: number | undefined;
  /** Nobody waits for the answer any more: the caller has gone, or the call was ended at its deadline. */
  readonly over: () => boolean;
}

/** Writes the answer; false when there is nobody to send it to any more. */
export type Send = (answer: Uint8Array) => boolean;

/** Takes one message, gives one. A `GrpcFault` that it throws is the call's status; anything else thrown is INTERNAL. */
export interface UnaryMethod {
  readonly kind: 'unary';
  /** May call `send` when the answer is there, to have it written in the same breath; what it gives then is not sent again. */
  handle(message: Buffer, call: GrpcCall, send: Send): Uint8Array | Promise<Uint8Array>;
  /** Answers a request that could not be read, in place of the fault's status. */
  refuse?(fault: GrpcFault, call: GrpcCall, send: Send): Uint8Array | Promise<Uint8Array>;
}

export interface StreamAnswers {
  send(message: Uint8Array): void;
  end(status: GrpcStatus, message?: string): void;
}

/** A call with messages in both directions, as they come. */
export interface StreamMethod {
  readonly kind: 'stream';
  open(call: GrpcCall, answers: StreamAnswers): {
    message(message: Buffer): void;
    /** The caller has sent everything. */
    ended(): void;
    /** The call is over, however it ended; nothing can be sent any more. */
    closed(): void;
  };
}

export type GrpcMethod = UnaryMethod | StreamMethod;

/** By path, `/package.Service/Method`. */
export type GrpcMethods = ReadonlyMap<string, GrpcMethod>;
