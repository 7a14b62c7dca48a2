/**
 * As much of HTTP/2 as a load generator needs to ask unary gRPC questions over one connection, one at a time: what it sends is made once, and of an answer only the frames are
 * read. So that the generator costs as little beside a gRPC server as beside an HTTP one.
 */

const [DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE] = [0, 1, 4, 6, 7, 8];
const [END_STREAM, END_HEADERS, ACK] = [0x1, 0x4, 0x1];
const HEAD = 9;

const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
  const bytes = Buffer.alloc(HEAD + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, HEAD);
  return bytes;
};

/** Not indexed, not compressed (RFC 7541, 6.2.2); shorter than 127 bytes. */
const literal = (name: string | number, value: string): Buffer =>
  Buffer.concat([typeof name === 'number' ? Buffer.from([name]) : Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name)]), Buffer.from([value.length]), Buffer.from(value)]);

const setting = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]);
/** Preface, windows so large that no update is needed for a million answers. */
export const GREETING = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0, setting), frame(WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 0, 0, 0])),
]);

/** HEADERS and DATA of one question; its stream is written in by `addressed`. */
export const questionOf = (path: string, message: Uint8Array): Buffer => {
  const fields = Buffer.concat([Buffer.from([0x83, 0x86]), literal(4, path), literal(1, 'curfew'), literal('content-type', 'application/grpc'), literal('te', 'trailers')]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame(HEADERS, END_HEADERS, 0, fields), frame(DATA, END_STREAM, 0, Buffer.concat([prefix, message]))]);
};

export const addressed = (question: Buffer, stream: number): Buffer => {
  const bytes = Buffer.from(question);
  bytes.writeUInt32BE(stream, 5);
  bytes.writeUInt32BE(stream, HEAD + bytes.readUIntBE(0, 3) + 5);
  return bytes;
};

export interface Heard {
  /** What to answer to, at once. */
  readonly reply: readonly Buffer[];
  /** Message of the answer, once it is whole. */
  readonly message?: Buffer;
  /** The server wants another connection for what comes next. */
  readonly leave: boolean;
}

/** Reads one connection; throws where a call was reset or answered without a message. */
export const createReader = (): ((chunk: Buffer) => Heard) => {
  let rest: Buffer = Buffer.alloc(0);
  let data: Buffer[] = [];
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const reply: Buffer[] = [];
    let message: Buffer | undefined;
    let leave = false;
    while (rest.length >= HEAD && rest.length >= HEAD + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3);
      const [type, flags = 0] = [rest[3], rest[4]];
      const payload = rest.subarray(HEAD, HEAD + length);
      rest = rest.subarray(HEAD + length);
      if (type === DATA) data.push(Buffer.from(payload));
      else if (type === HEADERS && (flags & END_STREAM) !== 0) {
        if (data.length === 0) throw new Error('a call was answered without a message');
        message = Buffer.concat(data).subarray(5);
        data = [];
      } else if (type === SETTINGS && (flags & ACK) === 0) reply.push(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
      else if (type === PING && (flags & ACK) === 0) reply.push(frame(PING, ACK, 0, Buffer.from(payload)));
      else if (type === GOAWAY) leave = true;
      else if (type === 3) throw new Error('a call was reset');
    }
    return { reply, leave, ...(message === undefined ? {} : { message }) };
  };
};

/** Of a CheckResponse: field 3 is `ok_response`, field 2 `denied_response`. */
export const checkAllows = (message: Buffer): boolean | undefined => {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at] ?? 0;
      at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    if (tag >> 3 === 3) return true;
    if (tag >> 3 === 2) return false;
    if ((tag & 7) !== 2) return undefined;
    const length = varint();
    at += length;
  }
  return undefined;
};
