/**
 * A gRPC client of bare HTTP/2 frames, which does what Envoy does when it is told to go (GOAWAY): what it has asked it waits for, what comes next it
 * asks over another connection, and it says no farewell. Node's own client is no judge of lost calls: told to go it refuses by itself what
 * it has not written yet, and its farewell overtakes calls.
 */
import { connect, type Socket } from 'node:net';
import { frame } from './serve.ts';

const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8 } as const;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const ACK = 0x1;

const frameOf = (type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};

/** RFC 7541, 6.2.2: literals that nobody remembers, so that a block means the same on every connection. */
const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);

export interface FrameClient {
  /** One call. `undefined`: answered, with these bytes; else how it was lost. */
  ask(message: string, expected: string): Promise<string | undefined>;
  /** While it stands still it goes on asking and hears nothing. */
  standStill(still: boolean): void;
  /** Connections opened so far. */
  opened(): number;
  close(): void;
}

interface Connection {
  readonly socket: Socket;
  readonly waiting: Map<number, { data: Buffer; readonly done: (lost: string | undefined) => void; readonly expected: Buffer }>;
  nextId: number;
  told: boolean;
}

export const frameClient = (port: number, path: string): FrameClient => {
  const headers = Buffer.concat([
    literal(':method', 'POST'), literal(':scheme', 'http'), literal(':path', path), literal(':authority', 'curfew'),
    literal('content-type', 'application/grpc'), literal('te', 'trailers'),
  ]);
  const connections = new Set<Connection>();
  let current: Connection | undefined;
  let opened = 0;

  const settle = (connection: Connection, id: number, lost: string | undefined): void => {
    const call = connection.waiting.get(id);
    connection.waiting.delete(id);
    call?.done(lost);
  };
  const take = (connection: Connection, type: number, flags: number, id: number, payload: Buffer): void => {
    const call = connection.waiting.get(id);
    if (type === FRAME.settings && (flags & ACK) === 0) connection.socket.write(frameOf(FRAME.settings, ACK, 0));
    else if (type === FRAME.ping && (flags & ACK) === 0) connection.socket.write(frameOf(FRAME.ping, ACK, 0, payload));
    else if (type === FRAME.goaway) {
      connection.told = true;
      const last = payload.readUInt32BE(0);
      for (const asked of connection.waiting.keys()) if (asked > last) settle(connection, asked, `not taken on: GOAWAY names ${last}`);
    } else if (type === FRAME.reset) settle(connection, id, `reset with ${payload.readUInt32BE(0)}`);
    else if (type === FRAME.data && call !== undefined) call.data = Buffer.concat([call.data, payload]);
    if ((type === FRAME.data || type === FRAME.headers) && (flags & END_STREAM) !== 0 && call !== undefined) {
      settle(connection, id, call.data.equals(call.expected) ? undefined : `another answer: ${call.data.toString('hex')}`);
    }
  };
  const open = (): Connection => {
    opened += 1;
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const connection: Connection = { socket, waiting: new Map(), nextId: 1, told: false };
    connections.add(connection);
    const room = Buffer.alloc(4);
    room.writeUInt32BE(0x3fff_ffff);
    socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frameOf(FRAME.settings, 0, 0), frameOf(FRAME.window, 0, 0, room)]));
    let unread = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      unread = Buffer.concat([unread, bytes]);
      while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
        const end = 9 + unread.readUIntBE(0, 3);
        take(connection, unread.readUInt8(3), unread.readUInt8(4), unread.readUInt32BE(5) & 0x7fff_ffff, unread.subarray(9, end));
        unread = unread.subarray(end);
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      connection.told = true;
      connections.delete(connection);
      for (const id of connection.waiting.keys()) settle(connection, id, 'the connection was closed');
    });
    return connection;
  };

  return {
    ask: (message, expected) => new Promise((done) => {
      if (current === undefined || current.told) current = open();
      const id = current.nextId;
      current.nextId += 2;
      current.waiting.set(id, { data: Buffer.alloc(0), done, expected: frame(expected) });
      current.socket.write(Buffer.concat([frameOf(FRAME.headers, END_HEADERS, id, headers), frameOf(FRAME.data, END_STREAM, id, frame(message))]));
    }),
    standStill: (still) => {
      for (const { socket } of connections) {
        if (still) socket.pause();
        else socket.resume();
      }
    },
    opened: () => opened,
    close: () => {
      for (const { socket } of connections) socket.destroy();
    },
  };
};
