/** gRPC's message framing: one byte of flags, four of length (big endian), the message. */
import { GRPC_STATUS, GrpcFault } from './status.ts';

const PREFIX_BYTES = 5;

/** A message with its prefix, uncompressed. */
export const frameMessage = (message: Uint8Array): Buffer => {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, PREFIX_BYTES);
  return framed;
};

export interface FrameReader {
  /** Takes bytes as they arrive and gives the messages they complete. Throws a `GrpcFault` on what it refuses. */
  push(chunk: Buffer): readonly Buffer[];
  /** Throws when the input ended within a message. */
  end(): void;
}

/**
 * Reads messages of at most `maxMessageBytes`. A longer one is refused when its length is announced, before its bytes are kept.
 * Compressed messages are refused: the server announces that it accepts `identity` only.
 */
export const createFrameReader = (maxMessageBytes: number): FrameReader => {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let wanted = PREFIX_BYTES;

  const lengthOf = (bytes: Buffer, at: number): number => {
    if (bytes[at] !== 0) throw new GrpcFault(GRPC_STATUS.UNIMPLEMENTED, 'compressed messages are not accepted');
    const length = bytes.readUInt32BE(at + 1);
    if (length > maxMessageBytes) throw new GrpcFault(GRPC_STATUS.RESOURCE_EXHAUSTED, `a message is longer than ${maxMessageBytes} bytes`);
    return length;
  };

  return {
    push: (chunk) => {
      pending.push(chunk);
      pendingBytes += chunk.length;
      if (pendingBytes < wanted) return [];
      const bytes = pending.length === 1 ? chunk : Buffer.concat(pending, pendingBytes);
      const messages: Buffer[] = [];
      let at = 0;
      wanted = PREFIX_BYTES;
      while (bytes.length - at >= PREFIX_BYTES) {
        const end = at + PREFIX_BYTES + lengthOf(bytes, at);
        if (end > bytes.length) {
          wanted = end - at;
          break;
        }
        messages.push(bytes.subarray(at + PREFIX_BYTES, end));
        at = end;
      }
      pending = at === bytes.length ? [] : [bytes.subarray(at)];
      pendingBytes = bytes.length - at;
      return messages;
    },
    end: () => {
      if (pendingBytes > 0) throw new GrpcFault(GRPC_STATUS.INVALID_ARGUMENT, 'the request ended within a message');
    },
  };
};
